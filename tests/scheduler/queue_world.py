"""A world around the queue of runs: clerks that do with a desk what the scheduler does, runs, a cluster that ends them.

Everything else of the scheduler is left out, so that a test sees what the queue alone must hold.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec

from runtime.errors import ConflictError, UnavailableError
from runtime.keyed import KeyedWork
from runtime.logs import get_logger
from runtime.ports import Delivery, Log, Published, Stored
from scheduler.decision_messages import QUEUE_SUBJECT, admissions, decode_queue
from scheduler.queue_desk import Desk
from schemas import subjects
from schemas.cloudevents import Event
from schemas.messages import TYPE_OF, AlertFired, Cause, Decision, QueueDecided, WorkflowChanged, WorkflowRef, encode
from schemas.queue_state import QueueEntry
from schemas.run_state import RunState
from schemas.subjects import Consumer
from schemas.workflow_status import TERMINAL_PHASES, Phase
from tests.fakes.log import FakeLog

LOGGER = get_logger("test")
CANCELLED = "cancelled by a person"
_DECISIONS = msgspec.json.Decoder(Decision)


class KilledError(BaseException):
    """The process was killed here."""


class MortalLog:
    """The log of a process that dies right before or right after its n-th call, and whose calls take their time."""

    def __init__(self, log: FakeLog, kill_at: int = 0, *, after: bool = False, seed: int | None = None) -> None:
        self.log = log
        self.calls = 0
        self._kill_at = kill_at
        self._after = after
        self._chance = None if seed is None else random.Random(seed)  # noqa: S311 - repeatable on purpose

    async def _call(self, call: Callable[[], Any]) -> Any:
        self.calls += 1
        mine = self.calls
        if mine == self._kill_at and not self._after:
            raise KilledError
        await self._pause()
        answer = await call()
        await self._pause()
        if mine == self._kill_at:
            raise KilledError
        return answer

    async def _pause(self) -> None:
        for _ in range(self._chance.randrange(6) if self._chance else 0):
            await asyncio.sleep(0)

    async def publish(self, event: Event, *, expect: int | None = None, expect_filter: str | None = None) -> Published:
        """As the log."""
        return await self._call(lambda: self.log.publish(event, expect=expect, expect_filter=expect_filter))

    async def last(self, stream: str, subject: str) -> Stored | None:
        """As the log."""
        return await self._call(lambda: self.log.last(stream, subject))

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """As the log."""
        return await self._call(lambda: self.log.get(stream, sequence))

    async def scan(
        self, stream: str, subject: str, *, last_per_subject: bool = False, start: int = 1
    ) -> AsyncGenerator[Stored, None]:
        """As the log; what is read is what was there at the beginning."""

        async def read() -> list[Stored]:
            found = self.log.scan(stream, subject, last_per_subject=last_per_subject, start=start)
            return [stored async for stored in found]

        for stored in await self._call(read):
            yield stored

    def consume(self, consumer: Consumer, *, in_hand: int) -> AsyncGenerator[Delivery, None]:
        """As the log."""
        return self.log.consume(consumer, in_hand=in_hand)


class Share:
    """One admitted run's part of a message of the queue: the message is acknowledged with the last of them."""

    def __init__(self, delivery: Delivery, left: list[str]) -> None:
        self.message = delivery.message
        self.again = delivery.again
        self._delivery = delivery
        self._left = left

    async def ack(self) -> None:
        """One fewer to wait for."""
        self._left.pop()
        if not self._left:
            await self._delivery.ack()

    async def nak(self, delay: float = 0.0) -> None:
        """All of it comes again."""
        await self._delivery.nak(delay)

    async def term(self) -> None:
        """Never used."""
        raise AssertionError


class Clerk:
    """One scheduler as far as the queue goes: asks, records, asks again while a run waits, leaves when it has ended."""

    def __init__(self, log: Log, turns: Mapping[str, QueueEntry], limit: int, *, room: int | None = None) -> None:
        """`turns`: what the objects of the runs say of their turn."""
        self._log = log
        self._turns = turns
        self.desk = Desk(log, LOGGER, limit) if room is None else Desk(log, LOGGER, limit, room=room)
        self.work = KeyedWork(self.handle, side_by_side=128)

    async def pull(self) -> None:
        """Take messages for ever."""
        async with aclosing(self._log.consume(subjects.SCHEDULER, in_hand=512)) as deliveries:
            async for delivery in deliveries:
                await self._sort(delivery)

    async def _sort(self, delivery: Delivery) -> None:
        tokens = delivery.message.subject.split(".")
        if delivery.message.subject != QUEUE_SUBJECT:
            self.work.add(tokens[4] if tokens[1] == "change" else tokens[2], delivery)
            return
        left = list(admissions(delivery.message))
        if not left:
            await delivery.ack()
        for uid in tuple(left):
            self.work.add(uid, Share(delivery, left))

    async def handle(self, uid: str, deliveries: list[Delivery]) -> None:
        """Do what is to be done for one run, then acknowledge."""
        try:
            while await self._step(uid, deliveries):
                pass
        except UnavailableError:
            for delivery in deliveries:
                await delivery.nak(0.01)
            return
        for delivery in deliveries:
            await delivery.ack()

    async def _step(self, uid: str, deliveries: list[Delivery]) -> bool:
        """One decision on a run; False when there is none to be made."""
        stored = await self._log.last(subjects.LOG.name, subjects.decision(uid))
        phase = _DECISIONS.decode(stored.data).state.phase if stored else ""
        why = cause_of(stored or deliveries[0].message)
        asked_to_end = any(d.message.subject.startswith("kubernaut.signal.") for d in deliveries)
        if phase in TERMINAL_PHASES:
            await self.desk.leave(uid, why)
            return False
        if phase and asked_to_end:
            return await self._record(uid, stored, "completed" if phase == "executing" else "cancelled")
        if phase == "executing":
            return False
        admitted, _ = await self.desk.ask(self._turns[uid], why, now=(stored or deliveries[0].message).time_ms)
        if phase == "queued" and not admitted:
            return False
        return await self._record(uid, stored, "executing" if admitted else "queued")

    async def _record(self, uid: str, stored: Stored | None, phase: Phase) -> bool:
        turn = self._turns[uid] if phase == "queued" else None
        version = _DECISIONS.decode(stored.data).version + 1 if stored else 1
        body = Decision(
            workflow=WorkflowRef(namespace="shop", name=uid, uid=uid),
            correlation_id=uid,
            version=version,
            now=0,
            causes=(),
            state=RunState(phase=phase, queue=turn),
        )
        event = an_event(subjects.decision(uid), f"{uid}/{version}-{phase}", body)
        try:
            await self._log.publish(event, expect=stored.sequence if stored else 0)
        except ConflictError:
            return True
        return True


async def end_what_runs(log: Log) -> None:
    """The cluster: every run that executes is told to have ended, once for each time that its decision is seen."""
    async with aclosing(log.consume(subjects.BRIDGE, in_hand=512)) as deliveries:
        async for delivery in deliveries:
            message = delivery.message
            if message.subject != QUEUE_SUBJECT and _DECISIONS.decode(message.data).state.phase == "executing":
                try:
                    await log.publish(the_end_of(message.subject.rsplit(".", 1)[1]))
                except UnavailableError:
                    await delivery.nak(0.01)
                    continue
            await delivery.ack()


def cause_of(stored: Stored) -> Cause:
    """The message as a cause."""
    return Cause(stored.headers["ce-id"], stored.sequence, stored.headers["ce-type"])


def an_event(subject: str, identity: str, body: msgspec.Struct) -> Event:
    """A message of the log."""
    return Event(subject=subject, id=identity, type=TYPE_OF[type(body)], source="/test", data=encode(body))


def the_start_of(uid: str) -> Event:
    """The watcher has seen a new run."""
    body = WorkflowChanged(resource_version="1", object=msgspec.Raw(b"{}"))
    return an_event(subjects.workflow_change("shop", uid), f"start of {uid}", body)


def the_end_of(uid: str, why: str = "") -> Event:
    """Everything that the run had to do is done, or a person cancels it."""
    body = AlertFired(workflow=WorkflowRef(namespace="shop", name=uid, uid=uid), alert=why)
    return an_event(f"kubernaut.signal.{uid}.end", f"end of {uid} {why}", body)


@asynccontextmanager
async def working(log: Log, *clerks: Clerk) -> AsyncIterator[None]:
    """Clerks and a cluster at work, until the block ends."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(end_what_runs(log))]
        tasks += [group.create_task(each.pull()) for each in clerks]
        tasks += [group.create_task(each.work.run()) for each in clerks]
        yield
        for task in tasks:
            task.cancel()


def queue_of(messages: Iterable[Stored]) -> list[QueueDecided]:
    """The chain of decisions of the queue."""
    return [decode_queue(stored) for stored in messages if stored.subject == QUEUE_SUBJECT]


class Auditor:
    """Reads the log from its beginning and holds every message to what the queue promises."""

    def __init__(self, turns: Mapping[str, QueueEntry], limit: int) -> None:
        self._turns = turns
        self._limit = limit
        self._version = 0
        self._active: set[str] = set()
        self._waiting: set[str] = set()
        """Those who certainly wait: named, or asked for again after the log said that they are queued."""
        self._executing: set[str] = set()
        self.ended: dict[str, str] = {}
        self.executed: list[str] = []

    def read(self, messages: Iterable[Stored]) -> None:
        """Take messages in, in the order of the log."""
        for stored in messages:
            if stored.subject == QUEUE_SUBJECT:
                self._queue(decode_queue(stored))
            elif stored.subject.startswith("kubernaut.decision."):
                self._run(_DECISIONS.decode(stored.data))

    def _queue(self, decision: QueueDecided) -> None:
        state = decision.state
        assert self._version + 1 == decision.version
        self._version += 1
        asked = {cause.id.split("/", 1)[0] for cause in decision.causes if cause.id.endswith("-queued")}
        self._waiting |= asked
        self._active -= set(decision.left)
        self._waiting -= {*decision.left, *decision.admitted, *self.ended}
        assert not self._active & set(decision.admitted)
        self._active |= set(decision.admitted)
        assert self._active == set(state.active)
        assert len(state.active) == len(self._active) <= self._limit
        turns = [self._turns[uid] for uid in decision.admitted]
        assert sorted(turns) == turns
        if turns and self._waiting:
            assert turns[-1] < min(self._turns[uid] for uid in self._waiting), "somebody was passed over"
        self._waiting |= {entry.uid for entry in state.waiting}

    def _run(self, decision: Decision) -> None:
        uid, phase = decision.workflow.uid, decision.state.phase
        if phase == "executing":
            assert uid in self._active
            self._executing.add(uid)
            self.executed.append(uid)
            assert len(self._executing) <= self._limit
        elif phase in TERMINAL_PHASES:
            self._executing.discard(uid)
            self._waiting.discard(uid)
            self.ended[uid] = phase

    def over(self, last: QueueDecided) -> None:
        """Every run has ended, and the queue is as empty as at the beginning."""
        assert set(self._turns) == set(self.ended)
        assert len(self.executed) == len(set(self.executed))
        assert ((), (), False) == (last.state.active, last.state.waiting, last.state.overflow)
