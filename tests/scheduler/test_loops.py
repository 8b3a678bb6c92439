"""The scheduler's and the announcer's loops on the log: kills, lost answers, repeats, two at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from runtime.logs import get_logger
from runtime.ports import Delivery, Log, Published, Stored
from scheduler.announce_loop import Announcer
from scheduler.decision_messages import decode_decision
from scheduler.queue_desk import Desk
from scheduler.schedule_loop import Scheduler
from scheduler.wake import Waker
from schemas import subjects
from schemas.cloudevents import Event
from schemas.messages import (
    TYPE_OF,
    CreateExecution,
    Decision,
    ExecutionChanged,
    PublicEvent,
    WorkflowChanged,
    encode,
)
from schemas.subjects import Consumer
from tests.eventually import eventually
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog
from tests.scheduler.builders import UID, a_step, a_workflow, ten_steps

LOGGER = get_logger("test")


class KilledError(BaseException):
    """The process was killed here."""


class KillableLog:
    """A log whose process dies right before or right after its n-th call."""

    def __init__(self, log: FakeLog, kill_at: int = 0, *, after: bool = False) -> None:
        self.log = log
        self.calls = 0
        self._kill_at = kill_at
        self._after = after

    async def _call(self, call: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls == self._kill_at and not self._after:
            raise KilledError
        answer = await call()
        if self.calls == self._kill_at:
            raise KilledError
        return answer

    async def publish(self, event: Event, *, expect: int | None = None, expect_filter: str | None = None) -> Published:
        """As the log."""
        return await self._call(lambda: self.log.publish(event, expect=expect, expect_filter=expect_filter))

    async def last(self, stream: str, subject: str) -> Stored | None:
        """As the log."""
        return await self._call(lambda: self.log.last(stream, subject))

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """As the log."""
        return await self._call(lambda: self.log.get(stream, sequence))

    def scan(
        self, stream: str, subject: str, *, last_per_subject: bool = False, start: int = 1
    ) -> AsyncGenerator[Stored, None]:
        """As the log."""
        return self.log.scan(stream, subject, last_per_subject=last_per_subject, start=start)

    async def schedule(self, event: Event, *, at_ms: int, target: str) -> None:
        """As the log."""
        await self._call(lambda: self.log.schedule(event, at_ms=at_ms, target=target))

    async def acknowledged(self, consumer: Consumer) -> int:
        """As the log."""
        answer: int = await self._call(lambda: self.log.acknowledged(consumer))
        return answer

    async def now(self) -> int:
        """As the log."""
        answer: int = await self._call(self.log.now)
        return answer

    def consume(self, consumer: Consumer, *, in_hand: int) -> AsyncGenerator[Delivery, None]:
        """As the log."""
        return self.log.consume(consumer, in_hand=in_hand)


def workflow_event(workflow: dict[str, Any], version: int = 5) -> Event:
    """The watcher's message of a workflow."""
    body = WorkflowChanged(resource_version=str(version), object=msgspec.Raw(msgspec.json.encode(workflow)))
    return _event(subjects.workflow_change("shop", UID), f"workflowexecutions/{UID}/{version}", body)


def execution_event(create: CreateExecution, version: int, phase: str) -> Event:
    """The watcher's message of an execution."""
    found = {
        "metadata": {"name": create.name, "namespace": "shop", "uid": f"execution-{create.step}"},
        "spec": {
            "workflowExecutionRef": {"name": "leak", "namespace": "shop", "uid": UID},
            "stepNumber": create.step,
            "attempt": create.attempt,
            "action": create.action,
            "idempotencyKey": create.idempotency_key,
        },
        "status": {"phase": phase} if phase else {},
    }
    body = ExecutionChanged(resource_version=str(version), object=msgspec.Raw(msgspec.json.encode(found)))
    uid = f"execution-{create.step}"
    return _event(subjects.execution_change("shop", UID, uid), f"kubernetesexecutions/{uid}/{version}", body)


def _event(subject: str, identity: str, body: msgspec.Struct) -> Event:
    return Event(subject=subject, id=identity, type=TYPE_OF[type(body)], source="/test", data=encode(body))


def a_scheduler(log: Log, limit: int = 100) -> Scheduler:
    """A scheduler as its composition root makes it; `limit` runs may be active at once."""
    return Scheduler(log, Desk(log, LOGGER, limit), Waker(log), LOGGER)


@asynccontextmanager
async def running(*services: Scheduler | Announcer) -> AsyncIterator[asyncio.TaskGroup]:
    """The loops of services, until the block ends."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.pull()) for each in services]
        tasks += [group.create_task(each.pull_wake_ups()) for each in services if isinstance(each, Scheduler)]
        tasks += [group.create_task(each.work.run()) for each in services]
        yield group
        for task in tasks:
            task.cancel()


class InHand:
    """The newest message of a filter, given to nobody else."""

    def __init__(self, log: FakeLog, pattern: str, stream: str = subjects.LOG.name) -> None:
        found = log.broker.newest(stream, pattern)
        assert found is not None
        self.message = found
        self.again = False

    async def ack(self) -> None:
        """As a delivery."""

    async def nak(self, delay: float = 0.0) -> None:
        """As a delivery."""
        raise AssertionError(f"given back for {delay} s")

    async def term(self) -> None:
        """As a delivery."""
        raise AssertionError("buried")


def decisions(log: FakeLog) -> list[Decision]:
    """The chain of decisions in the log."""
    runs = [s for s in log.stored(subjects.DECISIONS) if s.subject != subjects.decision(subjects.QUEUE)]
    return [decode_decision(stored) for stored in runs]


def creates(log: FakeLog) -> list[CreateExecution]:
    """All executions commanded, in order."""
    return [c for d in decisions(log) for c in d.commands if isinstance(c, CreateExecution)]


async def carry_out(log: FakeLog, done: set[int]) -> None:
    """A watcher that sees every commanded execution being created and completed, once."""
    for create in creates(log):
        if create.step not in done:
            done.add(create.step)
            await log.publish(execution_event(create, 100 + create.step, ""))
            await log.publish(execution_event(create, 1000 + create.step, "completed"))


def is_over(log: FakeLog) -> bool:
    """Whether the run has ended in the log."""
    chain = decisions(log)
    return bool(chain) and chain[-1].state.phase in {"completed", "failed", "cancelled"}


def assert_one_good_chain(log: FakeLog, steps: int) -> None:
    """Versions without gap or fork, each step commanded once, the run completed."""
    chain = decisions(log)
    assert list(range(1, len(chain) + 1)) == [decision.version for decision in chain]
    assert list(range(1, steps + 1)) == sorted(create.step for create in creates(log))
    assert ("completed", "success") == (chain[-1].state.phase, chain[-1].state.outcome)


async def drive(log: FakeLog, until_over: Callable[[], bool]) -> None:
    """Let the cluster carry out what is commanded until the run is over."""
    done: set[int] = set()
    async with asyncio.timeout(10):
        while not until_over():
            await carry_out(log, done)
            await asyncio.sleep(0.001)


async def test_a_run_goes_through_the_log_to_its_end() -> None:
    """Messages in, one chain of decisions out, everything acknowledged."""
    log = FakeLog()
    await log.publish(workflow_event(ten_steps()))

    async with running(a_scheduler(log)):
        await drive(log, lambda: is_over(log))

    assert_one_good_chain(log, 10)


@pytest.mark.parametrize("after", [pytest.param(False, id="before the call"), pytest.param(True, id="after the call")])
async def test_a_scheduler_killed_at_any_call_leaves_a_chain_that_another_goes_on_with(after: bool) -> None:  # noqa: FBT001
    """For every call of a whole run: the process dies there, a new one takes over, the run ends as if nothing was."""
    workflow = a_workflow(a_step(1), a_step(2, after=(1,)), a_step(3, after=(1,)), a_step(4, after=(2, 3)))
    kill_at, reached = 0, True
    while reached:
        kill_at += 1
        clock = ManualClock()
        first = FakeLog(clock=clock)
        killable = KillableLog(first, kill_at, after=after)
        await first.publish(workflow_event(workflow))
        try:
            async with running(a_scheduler(killable)):
                await drive(first, lambda log=first: is_over(log))  # type: ignore[misc]
        except* KilledError:
            first.crash()
        reached = killable.calls >= kill_at

        second = FakeLog(first.broker)
        clock.advance(60.0)
        async with running(a_scheduler(second)):
            await drive(second, lambda log=second: is_over(log))  # type: ignore[misc]

        assert_one_good_chain(second, 4)
    assert kill_at > 5


async def test_two_schedulers_make_one_chain() -> None:
    """They share the messages; who is second reads again and decides again."""
    one = FakeLog()
    other = FakeLog(one.broker)
    await one.publish(workflow_event(ten_steps()))

    async with running(a_scheduler(one), a_scheduler(other)):
        await drive(one, lambda: is_over(one))

    assert_one_good_chain(one, 10)


async def test_a_scheduler_that_another_has_overtaken_drops_no_wake_up() -> None:
    """What it remembers of the run knows no timer; the log does, and that is what it holds the wake-up against."""
    clock = ManualClock()
    log = FakeLog(clock=clock)
    overtaken, other = a_scheduler(log), a_scheduler(FakeLog(log.broker))
    await log.publish(workflow_event(a_workflow(a_step(1, maxRetries=1))))
    await overtaken.handle(UID, [InHand(log, subjects.WORKFLOW_CHANGES)])
    await log.publish(execution_event(creates(log)[0], 100, "failed"))
    await other.handle(UID, [InHand(log, subjects.EXECUTION_CHANGES)])
    clock.advance(60.0)

    await overtaken.handle(UID, [InHand(log, subjects.TIMERS_DUE, subjects.TIMER_STREAM.name)])

    assert [1, 2] == [create.attempt for create in creates(log)]


async def test_an_answer_that_was_lost_makes_no_second_decision() -> None:
    """The decision is stored, the answer is not: the message comes again and finds it."""
    log = FakeLog()
    await log.publish(workflow_event(ten_steps()))
    log.lose_answers = 1

    async with running(a_scheduler(log)):
        await drive(log, lambda: is_over(log))

    assert_one_good_chain(log, 10)


async def test_a_message_that_cannot_be_read_goes_to_the_dead_letters_and_nothing_waits() -> None:
    """Neither what is behind it nor its own workflow."""
    log = FakeLog()
    log.broker.put("KUBERNAUT", subjects.workflow_change("shop", UID), {}, b"\xff not JSON")
    bad = {"ce-id": "x", "ce-type": "io.kubernaut.log.unheard-of.v9", "ce-source": "/x", "ce-specversion": "1.0"}
    log.broker.put("KUBERNAUT", subjects.execution_change("shop", UID, "e"), bad, b"{}")
    await log.publish(workflow_event(a_workflow()))

    async with running(a_scheduler(log)):
        await drive(log, lambda: is_over(log))

    assert 2 == len(log.stored(subjects.DEAD_LETTERS))
    assert_one_good_chain(log, 1)


async def test_an_execution_of_no_known_workflow_is_acknowledged_and_forgotten() -> None:
    """Somebody made one by hand; nothing waits behind it."""
    log = FakeLog()
    create = CreateExecution(name="x", step=1, attempt=1, action="notify_only", timeout="5m", idempotency_key="k")
    published = await log.publish(execution_event(create, 5, ""))

    async with running(a_scheduler(log)):
        await eventually(lambda: published.sequence in log.acked)

    assert [] == decisions(log)


def told(log: FakeLog) -> list[tuple[int, str]]:
    """Ordinal and subject's end of every public event in the stream, in order."""
    return [
        (int(s.headers["ce-ordinal"]), ".".join(s.subject.split(".")[4:]))
        for s in log.stored(subjects.EVENTS, stream=subjects.EVENT_STREAM.name)
    ]


async def finished_run(clock: ManualClock | None = None) -> FakeLog:
    """A log with the decisions of a run of two steps and no public event yet."""
    log = FakeLog(clock=clock) if clock else FakeLog()
    await log.publish(workflow_event(a_workflow(a_step(1), a_step(2, after=(1,)))))
    async with running(a_scheduler(log)):
        await drive(log, lambda: is_over(log))
    return log


EXPECTED = [
    "workflow.planned",
    "workflow.validated",
    "workflow.started",
    "step.ready",
    "step.started",
    "step.completed",
    "step.ready",
    "step.started",
    "step.completed",
    "workflow.completed",
]


async def test_every_transition_is_one_public_event_in_order() -> None:
    """With ordinals from 0 and the data of the transition."""
    log = await finished_run()

    async with running(Announcer(log, LOGGER)):
        await eventually(lambda: len(told(log)) == len(EXPECTED))

    assert list(enumerate(EXPECTED)) == told(log)
    last = log.stored(subjects.EVENTS, stream=subjects.EVENT_STREAM.name)[-1]
    body = msgspec.json.decode(last.data, type=PublicEvent)
    assert ("executing", "completed", "leak") == (body.before, body.after, body.workflow.name)
    assert last.headers["ce-id"] == last.headers["Nats-Msg-Id"]


@pytest.mark.parametrize("after", [pytest.param(False, id="before the call"), pytest.param(True, id="after the call")])
async def test_an_announcer_killed_at_any_call_leaves_no_gap_and_no_repeat(after: bool) -> None:  # noqa: FBT001
    """Far beyond the broker's own window for duplicates."""
    kill_at, reached = 0, True
    while reached:
        kill_at += 1
        clock = ManualClock()
        base = await finished_run(clock)
        killable = KillableLog(base, kill_at, after=after)
        try:
            async with running(Announcer(killable, LOGGER)):
                await eventually(lambda log=base: len(told(log)) == len(EXPECTED))  # type: ignore[misc]
        except* KilledError:
            base.crash()
        reached = killable.calls >= kill_at

        later = FakeLog(base.broker)
        clock.advance(3600.0)
        async with running(Announcer(later, LOGGER)):
            await eventually(lambda log=later: len(told(log)) == len(EXPECTED))  # type: ignore[misc]

        assert list(enumerate(EXPECTED)) == told(later)
    assert kill_at > len(EXPECTED)


async def test_many_announcers_tell_one_story() -> None:
    """Each takes some of the decisions; who comes too early fills the gap, who comes late finds it told."""
    log = await finished_run()
    others = [FakeLog(log.broker) for _ in range(2)]

    async with running(*(Announcer(each, LOGGER) for each in (log, *others))):
        await eventually(lambda: len(told(log)) == len(EXPECTED))

    assert list(enumerate(EXPECTED)) == told(log)
