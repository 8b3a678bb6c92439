"""Plays each situation to a consumer and returns the card: one verdict a behaviour.

Every situation ends with an event of a run of its own: when its line is there, all lines before it are.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from kubernaut.conformance import verdicts
from kubernaut.conformance.consumer import ConsumerError, ConsumerProcess, running
from kubernaut.conformance.stage import Stage
from kubernaut.conformance.story import (
    Message,
    a_run,
    a_uid,
    again,
    as_told,
    interleaved,
    of_newer_minor,
    of_type,
    poison,
)
from kubernaut.conformance.verdicts import Line, Verdict, verdict

SECONDS: Final = 30.0
"""How long a situation may take until its last event is processed."""
_LAST: Final = as_told(a_run(99)[0])
_SORTS: Final = ("no headers", "broken data", "other data")
Situation = Callable[["Trial"], Awaitable[list[Verdict]]]


class Trial:
    """One consumer on one stage."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], stage: Stage, seconds: float) -> None:
        self._command = command
        self._environment = environment
        self.stage = stage
        self.seconds = seconds
        self._durable = ""

    async def begin(self, messages: Sequence[Message]) -> list[tuple[int, Message]]:
        """Clear the stage, tell messages, and choose a durable that nobody had before."""
        await self.stage.clear()
        self._durable = f"conformance-{secrets.token_hex(4)}"
        return await self.stage.tell(messages)

    def consumer(self) -> AbstractAsyncContextManager[ConsumerProcess]:
        """Start the consumer."""
        told = {"NATS_URL": self.stage.url, "KUBERNAUT_DURABLE": self._durable}
        return running(self._command, {**self._environment, **told})

    async def to_the_end(self) -> list[Line]:
        """Tell the last event, run the consumer until it is processed, and return its lines."""
        await self.stage.tell([_LAST])
        async with self.consumer() as consumer:
            await self.reach(consumer, _LAST)
            return consumer.lines

    async def reach(self, consumer: ConsumerProcess, message: Message) -> None:
        """Wait until an event is processed."""
        await consumer.until(
            lambda: message.id in verdicts.ids_of(consumer.lines), self.seconds, f"event {message.id} was processed"
        )


async def conformance(
    command: Sequence[str],
    environment: Mapping[str, str],
    stage: Stage,
    *,
    seconds: float = SECONDS,
    only: Collection[str] = (),
    tell: Callable[[Verdict], None] = lambda _: None,
) -> list[Verdict]:
    """Try a consumer in all situations, or those of the behaviours named; `tell` gets each verdict when it is known."""
    card: list[Verdict] = []
    for names, situation in SITUATIONS:
        if only and not set(only) & set(names):
            continue
        trial = Trial(command, environment, stage, seconds)
        try:
            found = await situation(trial)
        except ConsumerError as error:
            found = [verdict(name, str(error)) for name in names]
        for each in found:
            tell(each)
        card += found
    return card


async def _late(trial: Trial) -> list[Verdict]:
    told = [as_told(event) for event in interleaved(a_run(1), a_run(2), a_run(3))]
    later = [as_told(event) for event in a_run(4)]
    await trial.begin(told)
    async with trial.consumer() as consumer:
        await trial.reach(consumer, told[-1])
        lines = list(consumer.lines)
        await trial.stage.tell(later)
        await trial.reach(consumer, later[-1])
        both = consumer.lines
    return [
        verdict("late-joiner", verdicts.all_processed(told, lines)),
        verdict("order", verdicts.in_order([*told, *later], both)),
        verdict("follow", verdicts.all_processed(later, both)),
    ]


async def _duplicates(trial: Trial) -> list[Verdict]:
    told = [as_told(event) for event in a_run()]
    await trial.begin([*told[:3], again(told[1]), again(told[2]), *told[3:], again(told[0])])
    lines = await trial.to_the_end()
    return [verdict("duplicates", verdicts.all_processed(told, lines) or verdicts.each_once(told, lines))]


async def _versions(trial: Trial) -> list[Verdict]:
    told = [as_told(event) for event in a_run()]
    newer = of_newer_minor(told[1])
    unknown = [
        of_type(told[2], "io.kubernaut.workflow.escalated.v1"),
        of_type(told[3], "io.kubernaut.step.ready.v2"),
    ]
    stored = await trial.begin([told[0], newer, *unknown, *told[4:]])
    lines = await trial.to_the_end()
    processed = verdicts.all_processed([told[0], *told[4:]], lines)
    return [
        verdict("unknown-minor", verdicts.told_as("event", stored[1:2], lines)),
        verdict("unknown-type", verdicts.told_as("unknown", stored[2:4], lines) or processed),
    ]


async def _gap(trial: Trial) -> list[Verdict]:
    runs = [[as_told(event) for event in a_run(number)] for number in (1, 2)]
    stored = await trial.begin([*runs[0], *runs[1]])
    for sequence, message in stored:
        if (message in runs[0] and message.ordinal in (4, 5)) or (message in runs[1] and message.ordinal < 3):  # noqa: PLR2004 - the gap
            await trial.stage.drop(sequence)
    lines = await trial.to_the_end()
    wrong = verdicts.gap_told(a_uid(1), (4, 5), runs[0][6].id, lines)
    wrong = wrong or verdicts.gap_told(a_uid(2), (0, 2), runs[1][3].id, lines)
    left = [*runs[0][:4], *runs[0][6:], *runs[1][3:]]
    return [verdict("gap", wrong or verdicts.all_processed(left, lines))]


async def _poison(trial: Trial) -> list[Verdict]:
    told = [as_told(event) for event in a_run()]
    bad = [poison(told[place], sort) for place, sort in enumerate(_SORTS, 1)]
    good = [told[0], *told[4:]]
    stored = await trial.begin([told[0], *bad, *told[4:]])
    lines = await trial.to_the_end()
    wrong = verdicts.told_as("unreadable", stored[1:4], lines)
    return [verdict("poison", wrong or verdicts.all_processed(good, lines))]


async def _redelivery(trial: Trial) -> list[Verdict]:
    """Its output is not read, so that it has to wait in the middle of an event; so it is killed, and started again."""
    told = [as_told(event) for event in interleaved(*(a_run(number) for number in range(1, 11)))]
    await trial.begin(told)
    async with trial.consumer() as consumer:
        await consumer.until_stuck(trial.seconds)
        await consumer.kill()
        before = consumer.lines
    after = await trial.to_the_end()
    return [
        verdict("redelivery", verdicts.all_processed(told, [*before, *after])),
        verdict("durable", verdicts.not_from_the_first(told, before, after)),
    ]


SITUATIONS: Final[tuple[tuple[tuple[str, ...], Situation], ...]] = (
    (("late-joiner", "order", "follow"), _late),
    (("duplicates",), _duplicates),
    (("unknown-minor", "unknown-type"), _versions),
    (("gap",), _gap),
    (("poison",), _poison),
    (("redelivery", "durable"), _redelivery),
)
