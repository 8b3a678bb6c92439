"""Handling a dead letter again: by the consumer that failed and nobody else, and nothing of it twice (G2, G3, G5)."""

from __future__ import annotations

import pytest

from kubernaut.cli.dead_letters_desk import DeadLetter, ask, chosen, read
from kubernaut.cli.dead_letters_view import as_json, shown, table
from runtime import deadletters
from runtime.errors import NotFoundError
from runtime.ports import Delivery
from runtime.redrive import unwrapped
from scheduler.announce_loop import Announcer
from schemas import subjects
from schemas.subjects import SCHEDULER
from tests.eventually import eventually
from tests.fakes.log import FakeLog
from tests.hostile.test_strays import TWO_STEPS, buried, commanded, completed, the_chain
from tests.scheduler.builders import UID
from tests.scheduler.test_loops import LOGGER, InHand, a_scheduler, running, told, workflow_event

LOG = subjects.LOG.name


class Handed(InHand):
    """A message in hand that may be ended in any way."""

    async def nak(self, delay: float = 0.0) -> None:
        """As a delivery."""

    async def term(self) -> None:
        """As a delivery."""


async def bury_newest(log: FakeLog, pattern: str, consumer: str = "scheduler", stream: str = LOG) -> None:
    """What a consumer could not read is in the dead letters."""
    delivery: Delivery = Handed(log, pattern, stream)
    await deadletters.bury(log, delivery, consumer=consumer, error="of a newer version")


async def redrive(log: FakeLog, letter: DeadLetter) -> bool:
    """Ask for one again."""
    return await ask(log, letter, by="ana@laptop", reason="fixed")


async def a_run_with_a_buried_definition() -> FakeLog:
    """The scheduler could not read the message that a run begins with, and went on to others."""
    log = FakeLog()
    await log.publish(workflow_event(TWO_STEPS))
    async for delivery in log.consume(SCHEDULER, in_hand=1):
        await deadletters.bury(log, delivery, consumer="scheduler", error="of a newer version")
        break
    return log


async def test_the_consumer_that_failed_handles_the_message_as_it_was() -> None:
    """The run begins and ends; its first cause is the old message, at its old place, which nobody published anew."""
    log = await a_run_with_a_buried_definition()
    changed = log.stored(subjects.WORKFLOW_CHANGES)
    [letter] = await read(log)

    async with running(a_scheduler(log), Announcer(log, LOGGER)):
        assert await redrive(log, letter)
        await completed(log)
        await eventually(lambda: told(log) and told(log)[-1][1] == "workflow.completed")

    assert changed == log.stored(subjects.WORKFLOW_CHANGES)
    assert changed[0].sequence == the_chain(log)[0].causes[0].sequence
    assert [1, 2] == [create.step for create in commanded(log)]
    assert list(range(len(told(log)))) == [ordinal for ordinal, _ in told(log)]


async def test_redriving_a_letter_twice_has_no_second_effect() -> None:
    """Not at once, nor after the server has forgotten the first one, nor of what was handled meanwhile."""
    log = await a_run_with_a_buried_definition()
    [letter] = await read(log)

    first = await redrive(log, letter)
    again = await redrive(log, letter)
    log.broker._seen.clear()  # noqa: SLF001 - as after ten minutes
    later = await redrive(log, letter)

    assert (True, False, False) == (first, again, later)
    assert 1 == len(log.stored(subjects.REDRIVES))


async def test_a_message_that_took_effect_before_takes_none_again() -> None:
    """Of a run that is over: the scheduler acknowledges the old news and decides nothing."""
    log = FakeLog()
    await log.publish(workflow_event(TWO_STEPS))
    async with running(a_scheduler(log)):
        await completed(log)
        before = len(the_chain(log))
        for pattern in (subjects.WORKFLOW_CHANGES, subjects.EXECUTION_CHANGES):
            await bury_newest(log, pattern)
        for letter in await read(log):
            await redrive(log, letter)
        await eventually(lambda: {s.sequence for s in log.stored(subjects.REDRIVES)} <= set(log.acked))

    assert before == len(the_chain(log))
    assert [1, 2] == [create.step for create in commanded(log)]


async def test_what_fails_again_leaves_a_letter_of_its_own_that_can_be_redriven() -> None:
    """And is counted: nothing that was asked for is lost because it was asked for once."""
    log = FakeLog()
    log.broker.put(LOG, subjects.outcome(UID), {"Nats-Msg-Id": "x"}, b"no JSON")
    async with running(a_scheduler(log)):
        await eventually(lambda: buried(log, "scheduler"))
        [first] = await read(log)
        await redrive(log, first)
        await eventually(lambda: len(buried(log, "scheduler")) == 2)
        [second] = await read(log)
        asked = await redrive(log, second)

    assert ("waiting", 1, "waiting", 2) == (first.state, first.count, second.state, second.count)
    assert asked
    assert "fixed" == (second.redrive.reason if second.redrive else "")


async def test_what_was_handled_is_marked_with_who_asked_and_why() -> None:
    """Nothing is taken out of the list of all."""
    log = await a_run_with_a_buried_definition()
    [letter] = await read(log)
    await redrive(log, letter)
    asked = (await read(log))[0]

    async with running(a_scheduler(log)):
        await completed(log)
        await eventually(lambda: {s.sequence for s in log.stored(subjects.REDRIVES)} <= set(log.acked))
    handled = (await read(log))[0]

    assert ("redriven", "handled") == (asked.state, handled.state)
    assert handled.redrive is not None
    assert ("ana@laptop", "fixed") == (handled.redrive.by, handled.redrive.reason)


async def test_a_body_that_was_left_out_is_read_where_it_still_is() -> None:
    """A letter without its body can be redriven for as long as the stream holds the message; then it says so."""
    log = FakeLog()
    data = b"x" * 900_000
    log.broker.put(LOG, subjects.outcome(UID), {}, data)
    await bury_newest(log, subjects.OUTCOMES)
    [letter] = await read(log)
    await redrive(log, letter)
    delivery = Handed(log, subjects.REDRIVES)

    found = await unwrapped(log, delivery, SCHEDULER)
    log.broker.remove(LOG, 1)
    gone = await unwrapped(log, delivery, SCHEDULER)

    assert (900_000, b"") == (letter.letter.left_out, letter.letter.data)
    assert data == (found.message.data if found else b"")
    assert gone is None
    assert b"not at 1 of KUBERNAUT any more" in log.stored(subjects.DEAD_LETTERS)[-1].data


async def test_a_message_that_retention_has_dropped_is_handled_from_its_letter() -> None:
    """With its old place, and the time of the letter, which is not earlier than its own."""
    log = await a_run_with_a_buried_definition()
    [letter] = await read(log)
    original = log.stored(subjects.WORKFLOW_CHANGES)[0]
    await redrive(log, letter)
    log.broker.remove(LOG, original.sequence)

    found = await unwrapped(log, Handed(log, subjects.REDRIVES), SCHEDULER)

    assert found is not None
    assert (original.sequence, original.data, original.headers) == (
        found.message.sequence,
        found.message.data,
        found.message.headers,
    )
    assert letter.time_ms == found.message.time_ms


@pytest.mark.parametrize(
    ("subject", "headers", "data"),
    [
        pytest.param("kubernaut.redrive.scheduler.x", {}, b"garbage", id="no event"),
        pytest.param(
            "kubernaut.redrive.scheduler.x", {"ce-type": "io.kubernaut.log.timer-due.v1"}, b"{}", id="another"
        ),
        pytest.param(
            "kubernaut.redrive.scheduler.x",
            {"ce-type": "io.kubernaut.log.redrive-asked.v1"},
            b'{"consumer":"scheduler","letter":"deadletter/x","letterSequence":1,"subject":"s","by":"","reason":""}',
            id="of a letter that is none",
        ),
    ],
)
async def test_a_forged_redrive_is_buried_and_stops_nobody(subject: str, headers: dict[str, str], data: bytes) -> None:
    """What asks for nothing that the consumer was ever given goes to the dead letters itself."""
    log = FakeLog()
    log.broker.put(LOG, subject, headers, data)
    await log.publish(workflow_event(TWO_STEPS))

    async with running(a_scheduler(log)):
        await completed(log)

    assert [1] == buried(log, "scheduler")


async def test_a_letter_about_what_the_consumer_does_not_read_is_refused() -> None:
    """A forged letter must not hand the scheduler a decision of a run as if it were a change."""
    log = FakeLog()
    await log.publish(workflow_event(TWO_STEPS))
    async with running(a_scheduler(log)):
        await completed(log)
        await bury_newest(log, subjects.decision(UID))
        [letter] = await read(log)
        await redrive(log, letter)
        await eventually(lambda: len(buried(log, "scheduler")) == 2)

    assert b"reads nothing on kubernaut.decision" in log.stored(subjects.DEAD_LETTERS)[-1].data


async def test_what_is_shown_is_redacted_and_moves_no_terminal() -> None:
    """A secret in body, header or reason is left out, and what a terminal would obey is spelt out."""
    log = FakeLog()
    log.broker.put(
        LOG, subjects.outcome(UID), {"authorization": "Bearer abcdefgh12345678"}, b'{"password":"hunter2","a":[1]}'
    )
    await deadletters.bury(
        log, Handed(log, subjects.OUTCOMES), consumer="scheduler", error="bad \x1b[2J password=hunter2\n"
    )
    [letter] = await read(log)

    everything = "\n".join([*table([letter]), *shown(letter), as_json([letter], whole=True)])

    assert "hunter2" not in everything
    assert "abcdefgh12345678" not in everything
    assert "\x1b" not in everything
    assert '  "a": [' in everything


async def test_letters_are_chosen_by_their_numbers() -> None:
    """In the order given, each once; one that is none is named."""
    log = FakeLog()
    for data in (b"a", b"b"):
        log.broker.put(LOG, subjects.outcome(UID), {}, data)
        await bury_newest(log, subjects.OUTCOMES)
    letters = await read(log)
    first, second = (each.number for each in letters)

    picked = [each.number for each in chosen(letters, [second, first, second])]

    assert [second, first] == picked
    with pytest.raises(NotFoundError, match="dead letter 99"):
        chosen(letters, [99])
