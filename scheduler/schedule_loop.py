"""The scheduler's loop: messages of one workflow in order, workflows side by side; gather, decide, publish, then ack.

Must never repair a refused decision: when somebody else was first, everything known of the run is dropped, read anew
and decided again.
"""

from __future__ import annotations

import time
from contextlib import aclosing

import msgspec
import structlog

from runtime.backoff import Backoff
from runtime.deadletters import bury
from runtime.errors import ConflictError, UnavailableError
from runtime.keyed import KeyedWork
from runtime.ports import Delivery, Log
from scheduler import metrics
from scheduler.announce import SOURCE
from scheduler.decide import Verdict, decide, may_wait
from scheduler.definition import Definition
from scheduler.gather import Known, Memory, load, newest_definition, read_input, workflow_of
from scheduler.inputs import Execution, Input
from scheduler.plan import make
from schemas import subjects
from schemas.cloudevents import Event, traceparent
from schemas.messages import TYPE_OF, Decision, encode
from schemas.names import digest

IN_HAND = 512
SIDE_BY_SIDE = 128
LINGER_SECONDS = 0.05
"""How long a decision waits that nobody waits for: an executor that is quick ends an execution within it."""
TRIES = 20
"""Conflicts in a row before the messages are given back; more than a few mean that something is wrong."""


class Batch:
    """Messages of one workflow that are decided on together."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.readable: list[Delivery] = []
        """To be acknowledged once what they led to is in the log."""
        self.lingered = False


class Scheduler:
    """Decides on the messages of the log."""

    def __init__(self, log: Log, logger: structlog.typing.FilteringBoundLogger) -> None:
        self._log = log
        self._logger = logger
        self._memory = Memory()
        self._backoff = Backoff(first=0.5, most=5.0)
        self.work = KeyedWork(self.handle, side_by_side=SIDE_BY_SIDE)

    async def pull(self) -> None:
        """Take messages from the log for ever."""
        async with aclosing(self._log.consume(subjects.SCHEDULER, in_hand=IN_HAND)) as deliveries:
            async for delivery in deliveries:
                self.work.add(workflow_of(delivery.message.subject), delivery)

    async def handle(self, uid: str, deliveries: list[Delivery]) -> None:
        """Decide on all waiting messages of one workflow, publish, then acknowledge."""
        batch = Batch()
        await self._read(batch, deliveries)
        try:
            if batch.inputs:
                await self._settle(uid, batch)
        except UnavailableError as error:
            self._memory.drop(uid)
            self._logger.warning("decision_delayed", workflow=uid, error=str(error))
            for delivery in batch.readable:
                await delivery.nak(self._backoff.next())
            return
        self._backoff.reset()
        for delivery in batch.readable:
            await delivery.ack()

    async def _read(self, batch: Batch, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            try:
                seen = read_input(delivery.message)
            except (ValueError, msgspec.MsgspecError) as error:
                await bury(self._log, delivery, consumer=subjects.SCHEDULER.name, error=str(error))
                continue
            batch.readable.append(delivery)
            if seen is not None:
                batch.inputs.append(seen)
                if isinstance(seen.fact, Execution) and not seen.fact.known_phase:
                    metrics.UNKNOWN_PHASES.inc()

    async def _settle(self, uid: str, batch: Batch) -> None:
        known = self._memory.get(uid) or await load(self._log, uid)
        for _ in range(TRIES):
            known, taken = await self._with_plan(uid, known, batch.inputs)
            if known.plan is None:
                metrics.IGNORED.inc(len(taken))
                self._logger.warning("no_such_workflow", workflow=uid, messages=[i.cause.id for i in taken])
                return
            verdict = decide(known.plan, known.previous, taken)
            if verdict.decision is not None and may_wait(verdict.decision) and await self._grow(uid, batch):
                continue
            if verdict.strangers and not known.fresh:
                known = await load(self._log, uid)
            elif verdict.decision is None:
                self._ignore(uid, known, verdict, taken)
                return
            elif await self._publish(uid, known, verdict.decision, taken):
                return
            else:
                known = await load(self._log, uid)
        message = f"{TRIES} others were first in a row"
        raise UnavailableError(message)

    async def _grow(self, uid: str, batch: Batch) -> bool:
        """Wait a moment, once a batch, for what comes right behind; whether anything did."""
        if batch.lingered:
            return False
        batch.lingered = True
        more = await self.work.more(uid, LINGER_SECONDS)
        await self._read(batch, more)
        return bool(more)

    async def _with_plan(self, uid: str, known: Known, inputs: list[Input]) -> tuple[Known, list[Input]]:
        if known.plan is not None:
            return known, inputs
        definitions = [each.fact for each in inputs if isinstance(each.fact, Definition)]
        if not definitions and known.previous is None:
            found = await self._find_definition(uid)
            inputs = [found, *inputs] if found else inputs
            definitions = [found.fact] if found and isinstance(found.fact, Definition) else []
        if not definitions:
            return known, inputs
        began = time.perf_counter()
        plan = make(definitions[-1])
        metrics.PLANNING_SECONDS.observe(time.perf_counter() - began)
        return msgspec.structs.replace(known, plan=plan), inputs

    async def _find_definition(self, uid: str) -> Input | None:
        stored = await newest_definition(self._log, "*", uid)
        return read_input(stored) if stored else None

    def _ignore(self, uid: str, known: Known, verdict: Verdict, inputs: list[Input]) -> None:
        metrics.IGNORED.inc(len(inputs))
        if known.previous is not None:
            self._memory.put(uid, msgspec.structs.replace(known, fresh=False))
        for stranger in verdict.strangers:
            self._logger.warning("not_of_this_run", workflow=uid, message=stranger.cause.id)

    async def _publish(self, uid: str, known: Known, decision: Decision, inputs: list[Input]) -> bool:
        event = decision_event(decision)
        try:
            published = await self._log.publish(event, expect=known.sequence)
        except ConflictError:
            return False
        plan = known.plan
        self._memory.put(uid, Known(previous=decision, sequence=published.sequence, plan=plan))
        if not published.duplicate and plan is not None:
            metrics.count(decision, plan, inputs)
        self._logger.info(
            "decided",
            workflow=uid,
            namespace=decision.workflow.namespace,
            name=decision.workflow.name,
            version=decision.version,
            sequence=published.sequence,
            phase=decision.state.phase,
            transitions=[
                f"{t.entity} {t.step} {t.what}" if t.step else f"{t.entity} {t.what}" for t in decision.transitions
            ],
            correlation=decision.correlation_id,
            trace=event.traceparent,
        )
        return True


def decision_event(decision: Decision) -> Event:
    """Return the message of a decision.

    Its id holds a digest of the whole decision: two schedulers that decide differently on the same version must not
    take the other's message for their own when an answer was lost.
    """
    data = encode(decision)
    uid = decision.workflow.uid
    identity = f"{uid}/{decision.version}-{digest(data.decode(), characters=12)}"
    return Event(
        subject=subjects.decision(uid),
        id=identity,
        type=TYPE_OF[Decision],
        source=SOURCE,
        data=data,
        correlation_id=decision.correlation_id,
        causation_id=decision.causes[0].id if decision.causes else "",
        traceparent=traceparent(uid, identity),
    )
