"""A shadow scheduler: makes every decision of the log again, as this version does, and tells what would be otherwise.

It is how a new version is tried beside the one that acts. Must never write anything that acts: no decision, no wake-up,
no place in the queue; of what it finds it counts, logs and publishes a message that nobody acts on. What the scheduler
that acts ignored leads to no decision and is not seen here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Final

import msgspec
import structlog
from prometheus_client import Counter

from runtime.backoff import Backoff
from runtime.errors import UnavailableError
from runtime.keyed import KeyedWork
from runtime.metrics import REGISTRY
from runtime.ports import Delivery, Log, Stored
from scheduler.decision_messages import decode_decision
from scheduler.difference import KINDS, Difference, differences
from scheduler.gather import workflow_of
from scheduler.inputs import Input
from scheduler.plan import Plan
from scheduler.redecide import TIMER, MissingError, begins, inputs_of, plan_of, redecide
from schemas import subjects
from schemas.cloudevents import Event, attribute, traceparent
from schemas.messages import TYPE_OF, Decision, ShadowDiverged, encode
from schemas.names import digest

SOURCE: Final = "/kubernaut/shadow"
IN_HAND: Final = 256
SIDE_BY_SIDE: Final = 16
REMEMBERED: Final = 2000
"""Runs whose last decision and plan are kept, for speed only; one is some 10 KB."""
TOLD: Final = 32
"""Differences of one decision that are told; what is more is counted."""
ERROR: Final = "error"

DECISIONS = Counter(
    "kubernaut_shadow_decisions_total",
    "Decisions that the shadow tried: same, diverged, or untried because a message is past retention",
    ["result"],
    registry=REGISTRY,
)
DIVERGENCES = Counter(
    "kubernaut_shadow_divergences_total",
    "Decisions that the shadow would have made otherwise, by what differs (one may count under several)",
    ["kind"],
    registry=REGISTRY,
)
for _kind in (*KINDS, ERROR):
    DIVERGENCES.labels(_kind)

Decide = Callable[[Plan, Decision | None, Sequence[Input]], Decision | None]


class _Run(msgspec.Struct, frozen=True):
    """What is known of a run after its last decision."""

    decision: Decision
    plan: Plan
    made_of: tuple[int, bytes]
    """The sequence of the definition and the figures that the plan was made of."""


class Shadow:
    """Decides beside the scheduler that acts."""

    def __init__(
        self, log: Log, logger: structlog.typing.FilteringBoundLogger, *, decide_again: Decide = redecide
    ) -> None:
        """`decide_again`: the rules that are tried; this version's own by default."""
        self._log = log
        self._logger = logger
        self._decide = decide_again
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self._backoff = Backoff(first=0.5, most=5.0)
        self.work = KeyedWork(self.handle, side_by_side=SIDE_BY_SIDE)

    async def pull(self) -> None:
        """Take decisions from the log for ever; those of the queue are not tried."""
        async with aclosing(self._log.consume(subjects.SHADOW, in_hand=IN_HAND)) as deliveries:
            async for delivery in deliveries:
                uid = workflow_of(delivery.message.subject)
                if uid == subjects.QUEUE:
                    await delivery.ack()
                else:
                    self.work.add(uid, delivery)

    async def handle(self, uid: str, deliveries: list[Delivery]) -> None:
        """Try decisions of one run, in order; acknowledge what is told."""
        for delivery in deliveries:
            try:
                await self._try(uid, delivery.message)
            except UnavailableError as error:
                self._logger.warning("shadow_delayed", workflow=uid, error=str(error))
                await delivery.nak(self._backoff.next())
                continue
            self._backoff.reset()
            await delivery.ack()

    async def _try(self, uid: str, stored: Stored) -> None:
        try:
            recorded = decode_decision(stored)
            previous, plan, inputs = await self._gather(uid, recorded)
        except (MissingError, ValueError, TypeError, msgspec.MsgspecError) as error:
            DECISIONS.labels("untried").inc()
            self._logger.warning("shadow_untried", workflow=uid, sequence=stored.sequence, error=str(error))
            return
        found = self._compare(plan, previous, inputs, recorded)
        DECISIONS.labels("diverged" if found else "same").inc()
        if found:
            await self._tell(stored, recorded, found)

    def _compare(
        self, plan: Plan, previous: Decision | None, inputs: Sequence[Input], recorded: Decision
    ) -> list[Difference]:
        try:
            made = self._decide(plan, previous, inputs)
        except Exception as error:  # noqa: BLE001 - that a version raises is what is looked for
            return [Difference(ERROR, f"deciding raised {type(error).__name__}: {error}")]
        # As this version writes it: what an earlier release wrote without a field that has its default is the same.
        return differences(encode(recorded), encode(made) if made is not None else None)

    async def _gather(self, uid: str, recorded: Decision) -> tuple[Decision | None, Plan, list[Input]]:
        """Read what a decision was made of. Raises MissingError and what reading raises."""
        known = self._runs.pop(uid, None)
        previous = None
        if not begins(recorded):
            fits = known is not None and known.decision.version == recorded.version - 1
            previous = known.decision if known is not None and fits else await self._before(uid, recorded.version)
        at = {}
        sequence = recorded.state.definition_sequence
        for wanted in {sequence, *(cause.sequence for cause in recorded.causes if cause.type != TIMER)}:
            stored = await self._log.get(subjects.LOG.name, wanted)
            if stored is not None:
                at[wanted] = stored
        made_of = (sequence, msgspec.json.encode(recorded.state.learned))
        fresh = known is None or known.made_of != made_of
        plan = plan_of(recorded, recorded.state.learned, at.get) if fresh or known is None else known.plan
        self._runs[uid] = _Run(recorded, plan, made_of)
        if len(self._runs) > REMEMBERED:
            self._runs.popitem(last=False)
        return previous, plan, inputs_of(recorded, at.get)

    async def _before(self, uid: str, version: int) -> Decision:
        """Read the decision before a version, for a run that is not remembered. Raises MissingError."""
        async with aclosing(self._log.scan(subjects.LOG.name, subjects.decision(uid))) as decisions:
            async for stored in decisions:
                decision = decode_decision(stored)
                if decision.version == version - 1:
                    return decision
        raise MissingError(f"decision {version - 1}, the one before, is not there")

    async def _tell(self, stored: Stored, recorded: Decision, found: Sequence[Difference]) -> None:
        ref = recorded.workflow
        kinds = tuple(sorted({each.kind for each in found}))
        more = (f"and {len(found) - TOLD} more",) if len(found) > TOLD else ()
        words = (*(f"{each.text} [{each.rule}]" if each.rule else each.text for each in found[:TOLD]), *more)
        body = ShadowDiverged(
            workflow=ref, version=recorded.version, sequence=stored.sequence, kinds=kinds, differences=words
        )
        data = encode(body)
        identity = f"{ref.uid}/shadow/{recorded.version}-{digest(data.decode(), characters=12)}"
        published = await self._log.publish(
            Event(
                subject=subjects.divergence(ref.uid),
                id=identity,
                type=TYPE_OF[ShadowDiverged],
                source=SOURCE,
                data=data,
                correlation_id=recorded.correlation_id,
                causation_id=attribute(stored.headers, "ce-id"),
                traceparent=traceparent(ref.uid, identity),
            )
        )
        if published.duplicate:
            return
        for kind in kinds:
            DIVERGENCES.labels(kind).inc()
        self._logger.warning(
            "shadow_diverged",
            workflow=ref.uid,
            namespace=ref.namespace,
            name=ref.name,
            version=recorded.version,
            sequence=stored.sequence,
            kinds=kinds,
            differences=words,
        )
