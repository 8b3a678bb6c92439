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
from runtime.deadletters import Failures, bury
from runtime.errors import ConflictError, UnavailableError
from runtime.keyed import KeyedWork
from runtime.ports import Delivery, Log
from runtime.redrive import unwrapped
from scheduler import metrics
from scheduler.decide import Verdict, decide, may_wait
from scheduler.decision_messages import QUEUE_SUBJECT, admissions, decision_event
from scheduler.definition import Definition
from scheduler.gather import (
    Known,
    Memory,
    UnreadableError,
    load,
    newest_definition,
    plan_anew,
    read_input,
    read_stored_definition,
    with_end_of_workflow,
    workflow_of,
)
from scheduler.inputs import Execution, Input
from scheduler.placing import Placing
from scheduler.queue_desk import Desk
from scheduler.shares import shares
from scheduler.wake import Waker
from schemas import subjects
from schemas.messages import Decision, TimerDue

IN_HAND = 512
SIDE_BY_SIDE = 128
LINGER_SECONDS = 0.05
"""How long a decision waits that nobody waits for: an executor that is quick ends an execution within it."""
FAILURES = 5
"""How often a message may end in an error that nobody thought of before it is buried."""
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

    def __init__(self, log: Log, desk: Desk, waker: Waker, logger: structlog.typing.FilteringBoundLogger) -> None:
        """`desk`: hands out the places of the queue; `waker`: arms the wake-ups of runs."""
        self._log = log
        self._waker = waker
        self._logger = logger
        self._memory = Memory()
        self._placing = Placing(log, desk, self._memory)
        self._backoff = Backoff(first=0.5, most=5.0)
        self._failures = Failures(FAILURES)
        self.work = KeyedWork(self.handle, side_by_side=SIDE_BY_SIDE)

    async def pull(self) -> None:
        """Take messages from the log for ever."""
        async with aclosing(self._log.consume(subjects.SCHEDULER, in_hand=IN_HAND)) as deliveries:
            async for came in deliveries:
                delivery = await unwrapped(self._log, came, subjects.SCHEDULER, also=(subjects.TIMERS_DUE,))
                if delivery is None:
                    continue
                if delivery.message.subject == QUEUE_SUBJECT:
                    await self._hand_out(delivery)
                else:
                    await self._add(delivery)

    async def pull_wake_ups(self) -> None:
        """Take the wake-ups that are due for ever."""
        async with aclosing(self._log.consume(subjects.TIMER_CONSUMER, in_hand=IN_HAND)) as deliveries:
            async for delivery in deliveries:
                await self._add(delivery)

    async def _add(self, delivery: Delivery) -> None:
        try:
            uid = workflow_of(delivery.message.subject)
        except IndexError:
            await self._bury(delivery, f"the subject {delivery.message.subject} names no workflow")
            return
        self.work.add(uid, delivery)

    async def _hand_out(self, delivery: Delivery) -> None:
        """Give a decision of the queue to every run that got a place by it."""
        try:
            admitted = admissions(delivery.message)
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            await self._bury(delivery, str(error))
            return
        if not admitted:
            await delivery.ack()
        for uid, part in zip(admitted, shares(delivery, len(admitted)), strict=True):
            self.work.add(uid, part)

    async def handle(self, uid: str, deliveries: list[Delivery]) -> None:
        """Decide on all waiting messages of one workflow, publish, then acknowledge."""
        batch = Batch()
        try:
            await self._read(batch, deliveries)
            if batch.inputs:
                await self._settle(uid, batch)
        except UnreadableError as error:
            for delivery in batch.readable:
                await self._bury(delivery, str(error))
            return
        except UnavailableError as error:
            self._memory.drop(uid)
            self._logger.warning("decision_delayed", workflow=uid, error=str(error))
            for delivery in batch.readable:
                await delivery.nak(self._backoff.next())
            return
        except Exception as error:  # noqa: BLE001 - a message that nobody thought of must not stop the others (G11)
            await self._unforeseen(uid, deliveries, batch, error)
            return
        self._backoff.reset()
        for delivery in batch.readable:
            await delivery.ack()

    async def _unforeseen(self, uid: str, deliveries: list[Delivery], batch: Batch, error: Exception) -> None:
        """Find the message that is to blame, by trying each alone, and bury it when it fails again and again."""
        self._memory.drop(uid)
        self._logger.error("unforeseen_error", workflow=uid, messages=len(deliveries), exc_info=error)
        known = {id(each) for each in deliveries}
        together = [*deliveries, *(each for each in batch.readable if id(each) not in known)]
        if len(together) > 1:
            for delivery in together:
                await self.handle(uid, [delivery])
        elif self._failures.failed(_place(together[0])):
            await self._bury(together[0], f"{FAILURES} times {type(error).__name__}: {error}")
        else:
            await together[0].nak(self._backoff.next())

    async def _bury(self, delivery: Delivery, error: str) -> None:
        self._logger.error("message_buried", sequence=delivery.message.sequence, error=error)
        await bury(self._log, delivery, consumer=subjects.SCHEDULER.name, error=error)

    async def _read(self, batch: Batch, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            try:
                seen = read_input(delivery.message)
            except Exception as error:  # noqa: BLE001 - reading is pure: what it raises once, it raises again
                await self._bury(delivery, str(error) or type(error).__name__)
                continue
            batch.readable.append(delivery)
            if seen is not None:
                batch.inputs.append(seen)
                if isinstance(seen.fact, Execution) and not seen.fact.known_phase:
                    metrics.UNKNOWN_PHASES.inc()
                if isinstance(seen.fact, TimerDue):
                    metrics.TIMER_LATENESS.observe(max(0, seen.time_ms - seen.fact.due_at) / 1000)

    async def _settle(self, uid: str, batch: Batch) -> None:
        known = self._memory.get(uid) or await load(self._log, uid)
        for _ in range(TRIES):
            known, taken = await self._with_plan(uid, known, batch.inputs)
            if known.plan is None:
                metrics.IGNORED.inc(len(taken))
                self._logger.warning("no_such_workflow", workflow=uid, messages=[i.cause.id for i in taken])
                return
            taken = await with_end_of_workflow(self._log, uid, taken)
            taken = await self._placing.with_place(known.plan, known.previous, taken)
            verdict = decide(known.plan, known.previous, taken)
            if verdict.decision is not None and may_wait(verdict.decision) and await self._grow(uid, batch):
                continue
            if not known.fresh and _may_be_news(verdict, taken):
                known = await load(self._log, uid)
                continue
            if verdict.wake_at:
                await self._waker.arm(uid, verdict.wake_at)
            if verdict.decision is None:
                known = self._ignore(uid, known, verdict, taken)
            elif (published := await self._publish(uid, known, verdict.decision, taken)) is None:
                known = await load(self._log, uid)
                continue
            else:
                known = published
            place = await self._placing.at_the_desk(uid, known, taken)
            if place is None:
                return
            batch.inputs = [place]
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
        plan = await plan_anew(self._log, definitions[-1])
        metrics.PLANNING_SECONDS.observe(time.perf_counter() - began)
        return msgspec.structs.replace(known, plan=plan), inputs

    async def _find_definition(self, uid: str) -> Input | None:
        stored = await newest_definition(self._log, "*", uid)
        return read_stored_definition(stored) if stored else None

    def _ignore(self, uid: str, known: Known, verdict: Verdict, inputs: list[Input]) -> Known:
        metrics.IGNORED.inc(len(inputs))
        known = msgspec.structs.replace(known, fresh=False)
        if known.previous is not None:
            self._memory.put(uid, known)
        for stranger in verdict.strangers:
            self._logger.warning("not_of_this_run", workflow=uid, message=stranger.cause.id)
        return known

    async def _publish(self, uid: str, known: Known, decision: Decision, inputs: list[Input]) -> Known | None:
        """Publish a decision and return what is known then; None when somebody else was first."""
        event = decision_event(decision)
        try:
            published = await self._log.publish(event, expect=known.sequence)
        except ConflictError:
            return None
        plan = known.plan
        now_known = Known(previous=decision, sequence=published.sequence, plan=plan)
        self._memory.put(uid, now_known)
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
        return now_known


def _place(delivery: Delivery) -> str:
    message = delivery.message
    return f"{message.stream}/{message.sequence}"


def _may_be_news(verdict: Verdict, taken: list[Input]) -> bool:
    """Whether what changes nothing on a remembered state may change something on the newest, which others have made.

    Versions of objects only rise, so that old news stays old news; all other facts must be held against the newest
    state before they are acknowledged without effect.
    """
    if verdict.decision is not None:
        return bool(verdict.strangers)
    return bool(verdict.strangers) or any(not isinstance(each.fact, Definition | Execution) for each in taken)
