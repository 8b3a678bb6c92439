"""The desk of the queue on the log: group commits, kills, lost answers, several processes, leaked places."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from runtime.errors import UnavailableError
from runtime.ports import Published, Stored
from scheduler.decision_messages import QUEUE_SUBJECT, admissions, decode_queue
from scheduler.queue_desk import TOGETHER, Desk
from schemas import subjects
from schemas.cloudevents import Event
from schemas.messages import TYPE_OF, Cause, Decision, QueueDecided, WorkflowRef
from schemas.queue_state import QueueEntry, QueueState
from schemas.run_state import RunState
from schemas.workflow_status import Phase
from tests.eventually import eventually
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog
from tests.scheduler.queue_world import (
    CANCELLED,
    LOGGER,
    Auditor,
    Clerk,
    KilledError,
    MortalLog,
    an_event,
    queue_of,
    the_end_of,
    the_start_of,
    working,
)

WHY = Cause("message-1", 1, "test")


def some_runs(count: int, seed: int = 1) -> dict[str, QueueEntry]:
    """Runs of any priority and age; names say nothing about their turn."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return {f"run-{n}": QueueEntry(chance.randrange(4), chance.randrange(1000), f"run-{n}") for n in range(count)}


def an_entry(uid: str) -> QueueEntry:
    """A run whose turn is by its name."""
    return QueueEntry(2, 0, uid)


def head(log: FakeLog) -> QueueState:
    """The state of the queue as the log has it."""
    return queue_of(log.stored(QUEUE_SUBJECT))[-1].state


def names(state: QueueState) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who runs and who waits."""
    return state.active, tuple(entry.uid for entry in state.waiting)


async def record(log: FakeLog, uid: str, phase: Phase, queue: QueueEntry | None = None) -> None:
    """Put a decision of a run into the log."""
    body = Decision(
        workflow=WorkflowRef(namespace="shop", name=uid, uid=uid),
        correlation_id=uid,
        version=1,
        now=0,
        causes=(),
        state=RunState(phase=phase, queue=queue),
    )
    await log.publish(an_event(subjects.decision(uid), f"{uid}/{phase}", body))


async def test_a_run_has_a_place_at_once_and_the_next_one_when_it_leaves() -> None:
    """Asking again changes nothing; the answer names the decision that says so."""
    log = FakeLog()
    desk = Desk(log, LOGGER, 1)

    first = await desk.ask(an_entry("a"), WHY)
    second = await desk.ask(an_entry("b"), WHY)
    again = await desk.ask(an_entry("a"), WHY)
    await desk.leave("a", WHY)

    chain = log.stored(QUEUE_SUBJECT)
    causes = [Cause(stored.headers["ce-id"], stored.sequence, stored.headers["ce-type"]) for stored in chain]
    assert [(True, causes[0]), (False, causes[1]), (True, causes[1])] == [first, second, again]
    assert [("a",), (), ("b",)] == [admissions(stored) for stored in chain]
    assert (("b",), ()) == names(head(log))


async def test_what_is_asked_while_a_decision_is_under_way_goes_into_the_next_together() -> None:
    """Five hundred arrivals are three messages, not five hundred."""
    log = FakeLog()
    desk = Desk(log, LOGGER, 3)

    answers = await asyncio.gather(*(desk.ask(an_entry(f"run-{n:03}"), WHY) for n in range(2 * TOGETHER)))

    assert [True] * 3 + [False] * (2 * TOGETHER - 3) == [admitted for admitted, _ in answers]
    assert 4 >= len(log.stored(QUEUE_SUBJECT))


class GatedLog(MortalLog):
    """A log that publishes nothing before the test lets it."""

    def __init__(self, log: FakeLog) -> None:
        super().__init__(log)
        self.gate = asyncio.Semaphore(0)
        self.waiting = 0

    async def publish(self, event: Event, *, expect: int | None = None, expect_filter: str | None = None) -> Published:
        """As the log, once it may."""
        self.waiting += 1
        await self.gate.acquire()
        self.waiting -= 1
        return await super().publish(event, expect=expect, expect_filter=expect_filter)


async def test_one_that_gives_up_while_it_serves_the_others_leaves_them_to_the_next() -> None:
    """A handler that is cancelled takes nobody with it, and what it asked itself is dropped."""
    log = FakeLog()
    gated = GatedLog(log)
    desk = Desk(gated, LOGGER, 5)
    first = asyncio.create_task(desk.ask(an_entry("a"), WHY))
    impatient = asyncio.create_task(desk.ask(an_entry("b"), WHY))
    others = [asyncio.create_task(desk.ask(an_entry(uid), WHY)) for uid in "cd"]
    gated.gate.release()
    await first
    await eventually(lambda: gated.waiting == 1)

    impatient.cancel()
    gated.gate.release()
    answers = await asyncio.wait_for(asyncio.gather(*others), 5.0)

    assert [True, True] == [admitted for admitted, _ in answers]
    assert [("a",), ("c", "d")] == [decision.admitted for decision in queue_of(log.stored(QUEUE_SUBJECT))]


async def test_an_answer_that_was_lost_is_no_second_place() -> None:
    """The decision is stored, the answer is not: whoever asks again learns of it."""
    log = FakeLog()
    desk = Desk(log, LOGGER, 2)
    log.lose_answers = 1
    with pytest.raises(UnavailableError):
        await desk.ask(an_entry("a"), WHY)

    answer, _ = await desk.ask(an_entry("a"), WHY)

    assert answer
    assert [("a",)] == [decision.admitted for decision in queue_of(log.stored(QUEUE_SUBJECT))]


async def test_without_the_log_everyone_is_told_and_later_everyone_is_served() -> None:
    """Nobody waits at the desk for ever."""
    log = FakeLog()
    desk = Desk(log, LOGGER, 2)
    log.unavailable = True
    refused = await asyncio.gather(*(desk.ask(an_entry(uid), WHY) for uid in "abc"), return_exceptions=True)
    log.unavailable = False

    answers = await asyncio.gather(*(desk.ask(an_entry(uid), WHY) for uid in "abc"))

    assert [UnavailableError] * 3 == [type(each) for each in refused]
    assert [True, True, False] == [admitted for admitted, _ in answers]


async def test_leaving_looks_at_the_queue_as_it_is_and_not_as_it_was() -> None:
    """Another process has let the run in meanwhile: its place is given back all the same."""
    log = FakeLog()
    desk, other = Desk(log, LOGGER, 1), Desk(FakeLog(log.broker), LOGGER, 1)
    await desk.ask(an_entry("a"), WHY)
    await other.ask(an_entry("b"), WHY)

    await desk.leave("b", WHY)

    assert (("a",), ()) == names(head(log))


async def test_asking_again_looks_at_the_queue_as_it_is_and_not_as_it_was() -> None:
    """One that is remembered as waiting was pushed out by another process, which then found no others in the log."""
    log = FakeLog()
    desk, other = (Desk(each, LOGGER, 1, room=1) for each in (log, FakeLog(log.broker)))
    await desk.ask(an_entry("a"), WHY)
    await desk.ask(an_entry("z"), WHY)
    await other.ask(an_entry("b"), WHY)
    await other.leave("b", WHY)
    assert (("a",), ()) == names(head(log))

    await record(log, "z", "queued", an_entry("z"))
    await desk.ask(an_entry("z"), WHY)

    assert (("a",), ("z",)) == names(head(log))


async def test_those_who_are_not_named_are_read_from_the_log_before_nobody_is_left() -> None:
    """By phase and turn; what is no queued run, or makes no sense, is passed over."""
    log = FakeLog()
    desk = Desk(log, LOGGER, 1, room=2)
    await desk.ask(an_entry("a"), WHY)
    for uid in ("g", "f", "e", "d", "c", "b"):
        await record(log, uid, "queued", an_entry(uid))
        await desk.ask(an_entry(uid), WHY)
    await record(log, "g", "cancelled")
    await record(log, "x", "queued", an_entry("y"))
    log.broker.put("KUBERNAUT", subjects.decision("u"), {"ce-type": "io.kubernaut.log.decision.v1"}, b"\xff")
    assert (("a",), ("b", "c")) == names(head(log))

    for uid in "abcd":
        await record(log, uid, "completed")
        await desk.leave(uid, WHY)

    assert (("e",), ("f",)) == names(head(log))
    assert not head(log).overflow


class InterruptedLog(MortalLog):
    """A log in which something happens right after it was read through for the first time."""

    def __init__(self, log: FakeLog, happens: Callable[[], Awaitable[None]]) -> None:
        super().__init__(log)
        self._happens: Callable[[], Awaitable[None]] | None = happens

    async def scan(
        self, stream: str, subject: str, *, last_per_subject: bool = False, start: int = 1
    ) -> AsyncGenerator[Stored, None]:
        """As the log; then it happens."""
        async for stored in super().scan(stream, subject, last_per_subject=last_per_subject, start=start):
            yield stored
        happens, self._happens = self._happens, None
        if happens:
            await happens()


async def test_one_that_is_queued_while_the_log_is_being_read_is_not_overlooked() -> None:
    """It asks again once the log says that it waits: whoever has read the log without it must read it again."""
    log = FakeLog()
    other = Desk(log, LOGGER, 1, room=2)

    async def z_is_queued() -> None:
        await record(log, "z", "queued", an_entry("z"))
        await other.ask(an_entry("z"), WHY)

    desk = Desk(InterruptedLog(FakeLog(log.broker), z_is_queued), LOGGER, 1, room=2)
    for uid in "abc":
        await desk.ask(an_entry(uid), WHY)
    await other.ask(an_entry("z"), WHY)

    for uid in "ab":
        await record(log, uid, "completed")
        await desk.leave(uid, WHY)

    assert (("c",), ("z",)) == names(head(log))
    assert not head(log).overflow


async def test_a_place_that_was_never_given_back_is_found_by_the_sweep() -> None:
    """Only of runs that have ended, by the log's own word."""
    log = FakeLog()
    desk = Desk(log, LOGGER, 3)
    for uid in "abcd":
        await desk.ask(an_entry(uid), WHY)
    await record(log, "a", "completed")
    await record(log, "b", "executing")
    await record(log, "d", "cancelled")

    freed = await Desk(log, LOGGER, 3).free_finished(("d", "c", "b", "a", "stranger"))

    assert ("a", "d") == freed
    assert (("b", "c"), ()) == names(head(log))


async def test_a_raised_limit_takes_effect_when_the_sweep_comes_by() -> None:
    """Although nobody asks and nobody leaves."""
    log = FakeLog()
    for uid in "abc":
        await Desk(log, LOGGER, 1).ask(an_entry(uid), WHY)

    await Desk(log, LOGGER, 2).free_finished(())

    assert (2, (("a", "b"), ("c",))) == (head(log).limit, names(head(log)))


@pytest.mark.parametrize(
    ("version", "body"),
    [
        pytest.param("v1", b'{"version": 1, "state": 5}', id="of a form that is not known here"),
        pytest.param("v2", b"{}", id="of a type that only a newer scheduler knows"),
    ],
)
async def test_a_queue_that_cannot_be_read_keeps_everyone_waiting_and_says_so(version: str, body: bytes) -> None:
    """Nobody may decide what came after a decision that nobody understands."""
    log = FakeLog()
    kind = f"{TYPE_OF[QueueDecided].rpartition('.')[0]}.{version}"
    headers = {"ce-id": "q", "ce-type": kind, "ce-source": "/test", "ce-specversion": "1.0"}
    log.broker.put("KUBERNAUT", QUEUE_SUBJECT, headers, body)

    with pytest.raises(UnavailableError, match=r"queue of runs \(sequence 1\) cannot be read"):
        await Desk(log, LOGGER, 1).ask(an_entry("a"), WHY)

    assert 1 == len(log.stored(QUEUE_SUBJECT))


def ended(log: FakeLog, runs: dict[str, QueueEntry]) -> bool:
    """Whether every run has ended and the queue holds nobody."""
    chain = queue_of(log.stored(QUEUE_SUBJECT))
    decisions = log.stored(subjects.DECISIONS)
    over = {stored.subject for stored in decisions if b'"phase":"c' in stored.data}
    return len(over) == len(runs) and bool(chain) and not (chain[-1].state.active or chain[-1].state.waiting)


def check(log: FakeLog, runs: dict[str, QueueEntry], limit: int) -> Auditor:
    """Hold the whole log to what the queue promises."""
    auditor = Auditor(runs, limit)
    auditor.read(log.stored())
    auditor.over(decode_queue(log.stored(QUEUE_SUBJECT)[-1]))
    return auditor


@pytest.mark.parametrize("after", [pytest.param(False, id="before the call"), pytest.param(True, id="after the call")])
async def test_a_process_killed_at_any_call_leaves_a_queue_that_another_goes_on_with(after: bool) -> None:  # noqa: FBT001
    """For every call of a whole day: the process dies there, a new one takes over, every run gets its turn."""
    runs = some_runs(7)
    kill_at, reached = 0, True
    while reached:
        kill_at += 1
        clock = ManualClock()
        first = FakeLog(clock=clock)
        for uid in runs:
            await first.publish(the_start_of(uid))
        await first.publish(the_end_of("run-3", CANCELLED))
        mortal = MortalLog(first, kill_at, after=after)
        try:
            async with working(FakeLog(first.broker), Clerk(mortal, runs, 2, room=2)):
                await eventually(lambda log=first: ended(log, runs))  # type: ignore[misc]
        except* KilledError:
            first.crash()
        reached = mortal.calls >= kill_at

        second = FakeLog(first.broker)
        clock.advance(60.0)
        async with working(FakeLog(first.broker), Clerk(second, runs, 2, room=2)):
            await eventually(lambda log=second: ended(log, runs))  # type: ignore[misc]

        check(second, runs, 2)
    assert kill_at > 30


@pytest.mark.parametrize("seed", range(12))
async def test_two_desks_make_one_chain(seed: int) -> None:
    """They share the messages and race for every decision; nobody is lost, passed over or let in twice."""
    runs = some_runs(60, seed)
    one = FakeLog()
    logs = [MortalLog(FakeLog(one.broker), seed=2 * seed + n) for n in range(2)]

    async with working(FakeLog(one.broker), *(Clerk(log, runs, 3, room=4) for log in logs)):
        for uid in runs:
            await one.publish(the_start_of(uid))
        await one.publish(the_end_of("run-30", CANCELLED))
        await eventually(lambda: ended(one, runs), seconds=60.0)

    auditor = check(one, runs, 3)
    assert len(auditor.executed) >= 59
