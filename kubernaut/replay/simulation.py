"""A discrete-event run of the real `decide` over a virtual clock, with a recorded run as the oracle. Pure.

Each attempt takes what it took and ends as it ended; one that was never recorded takes what is usual and succeeds; one
that was cut is taken never to end by itself. What people and alerts did comes as long after the beginning of its phase
as it did. The cluster's and the scheduler's own delays are those that were recorded.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final

import msgspec

from kubernaut.replay.changes import Changes, apply
from kubernaut.replay.oracle import Act, Attempt, Oracle, expected_ms
from scheduler.decide import decide
from scheduler.inputs import Execution, Fact, Input, Place
from scheduler.lifecycle import needs_place, turn_of
from scheduler.plan import Plan
from scheduler.queueing import Release, Request, decide_queue
from schemas.messages import (
    Cause,
    CheckReported,
    Command,
    CommandRefused,
    CreateExecution,
    Decision,
    DeleteExecution,
    QueueDecided,
    RunCheck,
    TimerDue,
)
from schemas.workflow_status import TERMINAL_PHASES

LONGEST_EVENTS: Final = 200_000
"""More than any run of 256 steps with all its retries has."""
_KIND: Final = "what-if"


class Course(msgspec.Struct, kw_only=True):
    """How a simulated run went."""

    oracle: Oracle
    plan: Plan
    decisions: list[Decision] = []
    assumed: list[str] = []
    """What had to be assumed, because it was never recorded."""
    hangs: bool = False
    """Nothing happens any more, and it has not ended."""

    @property
    def last(self) -> Decision | None:
        """The newest decision."""
        return self.decisions[-1] if self.decisions else None

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return bool(self.decisions) and self.decisions[-1].state.phase in TERMINAL_PHASES


class _Run:
    """One simulated run and what is on its way to it."""

    def __init__(self, oracle: Oracle, changes: Changes) -> None:
        self.oracle = oracle
        self.changes = changes
        self.course = Course(oracle=oracle, plan=apply(oracle.plan, changes))
        self.pending: dict[str, list[_News]] = {}
        """By the uid of the execution: news that its deletion stops."""
        self.acts = list(oracle.acts)
        self.version = 0


class _News:
    """Something that a run will be told."""

    __slots__ = ("fact", "void")

    def __init__(self, fact: Fact) -> None:
        self.fact = fact
        self.void = False


class Simulation:
    """Several runs on one clock, and the queue that hands out their places."""

    def __init__(self, oracles: Sequence[Oracle], changes: Changes) -> None:
        """With `changes.max_active` these runs are all there are, and wait for one another."""
        self._runs = [_Run(oracle, changes) for oracle in oracles]
        self._changes = changes
        self._queue: QueueDecided | None = None
        self._heap: list[tuple[int, int, int, _News]] = []
        self._order = 0
        self._places = {run.oracle.definition.ref.uid: place for place, run in enumerate(self._runs)}

    def go(self) -> list[Course]:
        """Run them all to their ends."""
        for place, run in enumerate(self._runs):
            self._tell(run.oracle.begins_at, place, run.oracle.definition)
            for act in [each for each in run.acts if not each.phase]:
                self._tell(run.oracle.begins_at + act.after_ms, place, act.fact)
                run.acts.remove(act)
        for _ in range(LONGEST_EVENTS):
            if not self._heap:
                break
            now, _, place, news = heapq.heappop(self._heap)
            if not news.void and not self._runs[place].course.ended:
                self._take(now, place, news.fact)
        for run in self._runs:
            run.course.hangs = not run.course.ended
        return [run.course for run in self._runs]

    def _tell(self, at: int, place: int, fact: Fact) -> _News:
        news = _News(fact)
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, place, news))
        return news

    def _take(self, now: int, place: int, fact: Fact) -> None:
        run = self._runs[place]
        course, previous = run.course, run.course.last
        facts: list[Fact] = [fact]
        if previous is None:
            facts += self._first_place(now, place)
        if run.oracle.earlier is not None and Place(admitted=True) in facts:
            facts.append(run.oracle.earlier)
        inputs = [self._input(now, each) for each in facts]
        verdict = decide(course.plan, previous, inputs)
        if verdict.wake_at:
            due = TimerDue(workflow_uid=run.oracle.definition.ref.uid, due_at=verdict.wake_at)
            self._tell(max(verdict.wake_at, now) + run.oracle.late_ms, place, due)
        if verdict.decision is None:
            return
        course.decisions.append(verdict.decision)
        for command in verdict.decision.commands:
            self._carry_out(now, place, command)
        self._act(now, place)
        if course.ended:
            self._leave(now, run)

    def _input(self, now: int, fact: Fact) -> Input:
        self._order += 1
        return Input(cause=Cause(f"{_KIND}/{self._order}", self._order, _KIND), time_ms=now, fact=fact)

    # The queue

    def _first_place(self, now: int, place: int) -> list[Fact]:
        run = self._runs[place]
        definition = run.oracle.definition
        if not needs_place(definition):
            return []
        if self._changes.max_active:
            request = Request(turn_of(definition), Cause(definition.ref.uid, 0, _KIND))
            admitted = self._ask(now, [request], [])
            return [Place(admitted=definition.ref.uid in admitted)]
        if run.oracle.waited_ms <= run.oracle.soon_ms:
            return [Place(admitted=True)]
        self._tell(now + run.oracle.waited_ms, place, Place(admitted=True))
        return [Place(admitted=False)]

    def _leave(self, now: int, run: _Run) -> None:
        if self._changes.max_active:
            uid = run.oracle.definition.ref.uid
            for admitted in self._ask(now, [], [Release(uid, Cause(uid, 0, _KIND))]):
                self._tell(now + run.oracle.soon_ms, self._places[admitted], Place(admitted=True))

    def _ask(self, now: int, requests: list[Request], releases: list[Release]) -> tuple[str, ...]:
        decided = decide_queue(self._queue, requests, releases, None, limit=self._changes.max_active, now=now)
        if decided is None:
            return ()
        self._queue = decided
        return decided.admitted

    # The world

    def _act(self, now: int, place: int) -> None:
        """Send on their way what people and alerts did in phases that have begun."""
        run = self._runs[place]
        last = run.course.last
        began = last.state.phase_times if last is not None else {}
        for act in [each for each in run.acts if each.phase in began]:
            self._tell(max(began[act.phase] + act.after_ms, now + 1), place, act.fact)
            run.acts.remove(act)

    def _carry_out(self, now: int, place: int, command: Command) -> None:
        match command:
            case CreateExecution():
                self._create(now, place, command)
            case DeleteExecution():
                self._delete(now, place, command)
            case RunCheck():
                self._check(now, place, command)
            case _:
                pass  # finalizers and the end of the object change nothing before the end of the run

    def _create(self, now: int, place: int, command: CreateExecution) -> None:
        run = self._runs[place]
        delay = run.changes.delay(command.step, command.action)
        attempt = run.oracle.attempts.get((command.purpose, command.step, command.attempt))
        seen = _unrecorded(run, command) if attempt is None or not attempt.seen else attempt.seen
        what = f"attempt {command.attempt} of step {command.step} ({command.purpose})"
        if attempt is not None and attempt.seen and attempt.cut:
            if delay.fixed_ms:
                seen = (*seen, (delay.fixed_ms, _completed(attempt)))
            else:
                run.course.assumed.append(f"{what} was cut: it is taken never to end by itself")
        first, last = seen[0][0], seen[-1][0]
        stretch = (delay.fixed_ms - first) / max(last - first, 1) if delay.fixed_ms else delay.factor
        for after, fact in seen:
            moved = first + round(max((after - first) * stretch, 0))
            news = self._tell(now + moved, place, self._newer(run, fact))
            run.pending.setdefault(command.idempotency_key, []).append(news)

    def _newer(self, run: _Run, fact: Execution | CommandRefused) -> Execution | CommandRefused:
        if isinstance(fact, CommandRefused):
            return fact
        run.version += 1
        return msgspec.structs.replace(fact, version=run.version)

    def _delete(self, now: int, place: int, command: DeleteExecution) -> None:
        run = self._runs[place]
        for waiting in run.pending.values():
            known = [each.fact for each in waiting if isinstance(each.fact, Execution) and each.fact.uid == command.uid]
            if not known:
                continue
            for news in waiting:
                news.void = True
            gone = msgspec.structs.replace(
                known[-1], ending="deleted", gone=True, deleting=True, reason="deleted", error="", result=None
            )
            self._tell(now + run.oracle.soon_ms, place, self._newer(run, gone))
            return

    def _check(self, now: int, place: int, command: RunCheck) -> None:
        oracle = self._runs[place].oracle
        known = oracle.checks.get(command.check)
        if known is None:
            same = [each for each in oracle.checks.values() if each[1].type == command.type]
            blank = CheckReported(
                workflow=oracle.definition.ref, command_id="", check=command.check, type=command.type, passed=True
            )
            after, found = same[0] if same else (oracle.soon_ms, blank)
            known = after, msgspec.structs.replace(found, check=command.check)
            finds = "what the last one did" if same else "nothing wrong"
            told = f"{command.type} checks that were never recorded find {finds}"
            self._runs[place].course.assumed.append(told)
        self._tell(now + known[0], place, known[1])


def _unrecorded(run: _Run, command: CreateExecution) -> tuple[tuple[int, Execution], ...]:
    takes, why = expected_ms(run.oracle, command.action)
    run.course.assumed.append(
        f"attempt {command.attempt} of step {command.step} ({command.purpose}) was never recorded: it takes"
        f" {takes / 1000:g}s, {why}, and succeeds if its timeout lets it"
    )
    fact = Execution(
        name=command.name,
        uid=f"{_KIND}-{command.idempotency_key[:16]}",
        version=0,
        step=command.step,
        attempt=command.attempt,
        key=command.idempotency_key,
        purpose=command.purpose,
        ending="",
        deleting=False,
        gone=False,
        known_phase=True,
        reason="",
        error="",
        retryable=True,
        executed=True,
        result=None,
        affected=0,
        touched=None,
        pre_image=None,
        findings=(),
    )
    first = min(run.oracle.soon_ms, takes)
    return ((first, fact), (takes, msgspec.structs.replace(fact, ending="completed")))


def _completed(attempt: Attempt) -> Execution:
    last = attempt.seen[-1][1]
    assert isinstance(last, Execution)  # noqa: S101 - what was cut was seen
    return msgspec.structs.replace(last, ending="completed")


def acts_left(course: Course, acts: Sequence[Act]) -> list[Act]:
    """Return what people did in phases that the simulated run never came to."""
    last = course.last
    reached = last.state.phase_times if last is not None else {}
    return [act for act in acts if act.phase and act.phase not in reached]
