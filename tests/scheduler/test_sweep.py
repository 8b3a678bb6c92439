"""Wake-ups of runs, and the sweep that sends the ones that were lost."""

from __future__ import annotations

import asyncio

import pytest

from runtime.errors import UnavailableError
from runtime.logs import get_logger
from runtime.ports import Stored
from scheduler.sweep_loop import EVERY_SECONDS, Sweeper
from scheduler.timer_index import GRACE_MS, Overdue, TimerIndex
from scheduler.wake import Waker
from schemas import subjects
from schemas.cloudevents import Event, from_message
from schemas.messages import TYPE_OF, Decision, QueueDecided, TimerDue, WorkflowRef, decode, encode
from schemas.queue_state import QueueState
from schemas.run_state import RunState
from schemas.subjects import TIMER_STREAM
from schemas.workflow_status import Phase
from tests.executor_bridge import virtual
from tests.fakes.clock import START, ManualClock
from tests.fakes.log import FakeLog

UID = "5f8f8a52-0000-4000-8000-000000000001"
NOW = round(START * 1000)
MINUTE_MS = 60_000
LOGGER = get_logger("test")


def a_decision(uid: str = UID, *, version: int = 1, phase: Phase = "executing", **state: object) -> Event:
    """The message of a decision whose state has these fields."""
    body = Decision(
        workflow=WorkflowRef(namespace="shop", name="leak", uid=uid),
        correlation_id=uid,
        version=version,
        now=NOW,
        causes=(),
        state=RunState(phase=phase, **state),  # type: ignore[arg-type]
    )
    return Event(
        subject=subjects.decision(uid),
        id=f"{uid}/{version}",
        type=TYPE_OF[Decision],
        source="/test",
        data=encode(body),
    )


class Place:
    """A log with a clock that is moved by hand, and a sweep on it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = FakeLog(clock=self.clock)
        self.finished: list[str] = []
        self.sweeper = self.new_sweeper()

    def new_sweeper(self) -> Sweeper:
        """Another process that sweeps."""
        return Sweeper(FakeLog(self.log.broker), LOGGER, on_finished=self.finished.append)

    async def decide(self, uid: str = UID, **fields: object) -> None:
        """Publish a decision."""
        await self.log.publish(a_decision(uid, **fields))  # type: ignore[arg-type]

    async def sweep(self, *, after: float = 0.0) -> None:
        """Sweep, so many seconds later."""
        self.clock.advance(after)
        await self.sweeper.sweep()

    @property
    def due(self) -> list[Stored]:
        """Every message that something is due."""
        return self.log.stored(subjects.TIMERS_DUE, TIMER_STREAM.name)

    @property
    def due_ids(self) -> list[str]:
        """The same by id."""
        return [message.headers["ce-id"] for message in self.due]


async def test_a_run_is_woken_once_however_often_that_is_armed() -> None:
    """At its time and not before it, by a message that says of which run and for when."""
    place = Place()
    at = NOW + MINUTE_MS
    for _ in range(3):
        await Waker(place.log).arm(UID, at)
    place.clock.advance(59.9)
    assert [] == place.due

    place.clock.advance(600.0)

    [message] = place.due
    event = from_message(message.subject, dict(message.headers), message.data)
    assert (subjects.timer_due(UID, at), f"{UID}/wake/{at}") == (event.subject, event.id)
    assert TimerDue(workflow_uid=UID, due_at=at) == decode(event.type, event.data)
    assert at <= message.time_ms


async def test_another_time_of_the_same_run_replaces_nothing() -> None:
    """Who loses a race has armed a wake-up for nothing, and taken none away from who won it."""
    place = Place()
    for seconds in (60, 30):
        await Waker(place.log).arm(UID, NOW + seconds * 1000)

    place.clock.advance(61.0)

    assert [f"{UID}/wake/{NOW + 30_000}", f"{UID}/wake/{NOW + 60_000}"] == place.due_ids


async def test_a_wake_up_that_no_server_takes_makes_the_decision_wait() -> None:
    """The scheduler is told, and tries again later."""
    place = Place()
    place.log.unavailable = True

    with pytest.raises(UnavailableError):
        await Waker(place.log).arm(UID, NOW)


async def test_a_wake_up_that_was_lost_is_sent_by_the_sweep() -> None:
    """Its schedule was purged: the run is woken once it is five seconds late, by a message as the timer's own."""
    place = Place()
    at = NOW + MINUTE_MS
    await Waker(place.log).arm(UID, at)
    await place.decide(timers={"phase": at, "ttl": at + 1}, wake_at=at)
    place.log.broker.purge(TIMER_STREAM.name, subjects.timer_schedule(UID, at))
    await place.sweep(after=65.0)
    assert [] == place.due

    await place.sweep(after=0.1)

    [message] = place.due
    event = from_message(message.subject, dict(message.headers), message.data)
    assert (subjects.timer_due(UID, at), f"{UID}/sweep/{at}/0") == (event.subject, event.id)
    assert TimerDue(workflow_uid=UID, due_at=at) == decode(event.type, event.data)


async def test_a_run_is_left_alone_once_a_newer_decision_moved_its_timer() -> None:
    """Be it that the timer was dealt with, or that the run has none any more."""
    place = Place()
    others = [f"run-{number}" for number in range(3)]
    for uid in (UID, *others):
        await place.decide(uid, timers={"phase": NOW})
    await place.sweep()
    await place.decide(UID, version=2, timers={"phase": NOW + MINUTE_MS})
    await place.decide(others[0], version=2)
    await place.decide(others[1], version=2, timers={"ttl": NOW}, gone=True)

    await place.sweep(after=30.0)

    assert [f"{others[2]}/sweep/{NOW}/0"] == place.due_ids


async def test_a_run_that_nothing_comes_of_is_woken_again_with_a_new_id() -> None:
    """In the next round, then in ever fewer of them, at least every eight minutes."""
    place = Place()
    await place.decide(timers={"phase": NOW})

    sent = []
    for number in range(60):
        before = len(place.due)
        await place.sweep(after=30.0)
        sent += [number] * (len(place.due) - before)

    assert [0, 1, 3, 7, 15, 31, 47] == sent
    assert [f"{UID}/sweep/{NOW}/{tries}" for tries in range(7)] == place.due_ids


async def test_a_run_that_is_past_retention_is_forgotten() -> None:
    """It is woken once; before the second time its decisions are looked for and are not there."""
    place = Place()
    await place.decide(timers={"phase": NOW})
    await place.sweep(after=30.0)
    place.log.broker.purge(subjects.LOG.name, subjects.DECISIONS)

    for _ in range(5):
        await place.sweep(after=30.0)

    assert 1 == len(place.due)


async def test_several_that_sweep_send_one_message() -> None:
    """What one has sent is the same message for the others."""
    place = Place()
    await place.decide(timers={"phase": NOW})
    place.clock.advance(30.0)

    for sweeper in (place.sweeper, place.new_sweeper(), place.new_sweeper()):
        await sweeper.sweep()

    assert [f"{UID}/sweep/{NOW}/0"] == place.due_ids


async def test_each_end_of_a_run_is_told() -> None:
    """What is seen in the first scan and in later ones; not what still runs, and not the queue."""
    place = Place()
    await place.decide("ended", phase="completed", timers={"ttl": NOW + MINUTE_MS})
    await place.decide("running")
    await place.decide("removed", gone=True)
    queue = QueueDecided(version=1, now=NOW, causes=(), state=QueueState())
    await place.log.publish(
        Event(
            subject=subjects.decision(subjects.QUEUE),
            id="queue/1",
            type=TYPE_OF[QueueDecided],
            source="/test",
            data=encode(queue),
        )
    )
    await place.sweep()
    await place.decide("running", version=2, phase="cancelled")
    await place.decide("ended", version=2, phase="completed")

    await place.sweep()

    assert ["ended", "removed", "running", "ended"] == place.finished


async def test_a_decision_that_cannot_be_read_keeps_no_other_run_from_its_wake_up() -> None:
    """It is passed over."""
    place = Place()
    place.log.broker.put(subjects.LOG.name, subjects.decision("broken"), {}, b"[1]")
    await place.decide(timers={"phase": NOW})

    await place.sweep(after=30.0)

    assert [f"{UID}/sweep/{NOW}/0"] == place.due_ids


async def test_a_later_sweep_reads_only_what_is_new() -> None:
    """What was read once is not read again, and nothing is missed that came in between."""
    place = Place()
    read: list[int] = []

    class Watched(FakeLog):
        async def scan(self, stream, subject, *, headers_only=False, **more):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202
            async for stored in super().scan(stream, subject, headers_only=headers_only, **more):
                read.append(stored.sequence)
                yield stored

    sweeper = Sweeper(Watched(place.log.broker), LOGGER)
    for version in range(1, 4):
        await place.decide(version=version, timers={"phase": NOW + MINUTE_MS})
    await sweeper.sweep()
    await place.decide("another", timers={"phase": NOW})
    await place.decide(version=4)

    await sweeper.sweep()

    assert [3, 4, 5] == read


def test_the_sweep_goes_on_when_the_log_was_away() -> None:
    """Every 30 seconds; what it could not do it does in a later round."""

    async def scenario() -> tuple[list[str], list[str]]:
        log = FakeLog()
        now = await log.now()
        await log.publish(a_decision(timers={"phase": now}))
        log.broker.stop()
        task = asyncio.create_task(Sweeper(FakeLog(log.broker), LOGGER).run())
        await asyncio.sleep(9.5 * EVERY_SECONDS)
        log.broker.start()
        await asyncio.sleep(EVERY_SECONDS)
        task.cancel()
        return [f"{UID}/sweep/{now}/0"], [
            m.headers["ce-id"] for m in log.stored(subjects.TIMERS_DUE, TIMER_STREAM.name)
        ]

    expected, sent = virtual.run(scenario())

    assert expected == sent


def test_a_wake_up_that_was_lost_costs_a_run_no_more_than_35_seconds() -> None:
    """(F43) Wherever between two rounds its time is."""

    async def scenario() -> dict[str, int]:
        log = FakeLog()
        now = await log.now()
        for seconds in range(60):
            at = now + 1000 * seconds
            await log.publish(a_decision(f"run-{seconds}", timers={"phase": at}))
        task = asyncio.create_task(Sweeper(FakeLog(log.broker), LOGGER).run())
        await asyncio.sleep(4.5 * EVERY_SECONDS)
        task.cancel()
        late: dict[str, int] = {}
        for message in log.stored(subjects.TIMERS_DUE, TIMER_STREAM.name):
            due = decode(TYPE_OF[TimerDue], message.data)
            assert isinstance(due, TimerDue)
            late.setdefault(due.workflow_uid, message.time_ms - due.due_at)
        return late

    late = virtual.run(scenario())

    assert {f"run-{seconds}" for seconds in range(60)} == late.keys()
    assert GRACE_MS <= min(late.values()) < max(late.values()) <= 35_000


def test_more_runs_than_are_remembered_are_all_woken() -> None:
    """Those due last are left out for want of room, and the index is built anew before they are due."""
    index = TimerIndex(remembered=10)
    timers = {f"run-{number}": NOW + 1000 * ((number * 7) % 25) for number in range(25)}
    messages = {uid: a_decision(uid, timers={"phase": at}).data for uid, at in timers.items()}
    woken: list[str] = []

    for now in range(NOW, NOW + 40_000, 1000):
        if index.incomplete(now):
            index = TimerIndex(remembered=10)
        for uid, data in messages.items():
            index.take(uid, data)
        assert len(index) <= 10
        for overdue in index.begin_round(now):
            assert overdue.due_at < now - GRACE_MS
            woken.append(overdue.workflow_uid)
            messages[overdue.workflow_uid] = a_decision(overdue.workflow_uid).data
            index.take(overdue.workflow_uid, messages[overdue.workflow_uid])

    assert sorted(timers, key=lambda uid: timers[uid]) == woken


def test_many_that_are_due_at_once_are_woken_in_parts() -> None:
    """Even when all of them are due in the same millisecond."""
    index = TimerIndex(remembered=10)
    for number in range(12):
        index.take(f"run-{number:02}", a_decision(timers={"phase": NOW}).data)

    found = index.begin_round(NOW + MINUTE_MS)

    assert [Overdue(f"run-{number:02}", NOW, 0) for number in range(len(found))] == found
    assert 5 <= len(found) <= 10
    assert index.incomplete(NOW)
