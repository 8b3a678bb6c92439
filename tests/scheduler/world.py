"""A world around the pure core, without any I/O: a log, a bad line to the scheduler, a clock with wake-ups, a cluster.

The log has one order and each message one time. What the scheduler gets of it may be late, twice and out of order, but
it gets everything in the end. Every decision is held against the guarantees as it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from executor_bridge.decide import is_wanted
from scheduler.decide import Verdict, decide
from scheduler.definition import Definition
from scheduler.inputs import Fact, Input, Place
from scheduler.plan import Plan, make
from schemas.messages import (
    AlertFired,
    Cause,
    CreateExecution,
    Decision,
    DeleteExecution,
    DeleteWorkflow,
    RunCheck,
    TimerDue,
    WorkflowRef,
    encode,
)
from schemas.run_state import RunState
from schemas.workflow_status import TERMINAL_PHASES
from tests.scheduler import guarantees
from tests.scheduler.builders import NOW, UID, definition_of
from tests.scheduler.fake_cluster import Cluster, Made, Pending
from tests.scheduler.watched import Watched

Choose = Callable[[int], int]
"""Gives one of so many, counted from 0."""
Fate = Callable[[Made], str]
Verdicts = Callable[[RunCheck], bool]

SWEEP_MS = 5000
ROUNDS = 600
"""Rounds within which a run must end once the faults have: each is a message that came, or a time that passed."""


class World:
    """One run and everything around it."""

    def __init__(self, workflow: dict[str, Any], *, admitted: bool = True) -> None:
        self.cluster = Cluster(workflow)
        self.admitted = admitted
        self.clock = NOW
        self.log: list[Input] = []
        self.undelivered: list[Input] = []
        self.delivered: dict[int, Input] = {}
        """By their place in the log."""
        self.chain: list[Decision] = []
        self.batches: list[list[Input]] = []
        """The causes of each decision."""
        self.plan: Plan | None = None
        self.pending: list[Pending] = []
        self.armed: set[int] = set()
        self.lost_a_wake_up = False
        self.watched = Watched()

    @property
    def last(self) -> Decision | None:
        """The newest decision."""
        return self.chain[-1] if self.chain else None

    @property
    def state(self) -> RunState:
        """The state after it."""
        return self.chain[-1].state

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return bool(self.chain) and self.state.phase in TERMINAL_PHASES

    # The log and the line

    def store(self, fact: Fact) -> None:
        """A message is stored on the log."""
        number = len(self.log) + 1
        self.log.append(Input(cause=Cause(f"message-{number}", number, "any"), time_ms=self.clock, fact=fact))
        self.undelivered.append(self.log[-1])

    def watch(self, count: int = 1) -> None:
        """The watcher tells the oldest things that happened in the cluster."""
        for name, seen in self.cluster.events[:count]:
            if name == "workflow":
                version, deleted = seen
                self.store(definition_of(version, sequence=len(self.log) + 1, deleted=deleted))
            else:
                self.store(seen)
        del self.cluster.events[:count]

    def relist(self) -> None:
        """The watcher was blind: of each object it tells the newest version only."""
        newest = {name: (name, seen) for name, seen in self.cluster.events}
        self.cluster.events = sorted(newest.values(), key=self.cluster.events.index)
        self.watch(len(newest))

    def deliver(self, inputs: Iterable[Input]) -> None:
        """The scheduler gets messages and decides on them together."""
        batch = list(inputs)
        numbers = {each.cause.sequence for each in batch}
        self.delivered |= {each.cause.sequence: each for each in batch}
        self.undelivered = [each for each in self.undelivered if each.cause.sequence not in numbers]
        batch = self._with_plan(batch)
        if self.plan is None or not batch:
            return
        verdict = self._decide(batch)
        if verdict.decision is not None:
            self._publish(verdict.decision, batch)
        guarantees.check_at_rest(self)

    def _with_plan(self, batch: list[Input]) -> list[Input]:
        """What the loop does around a decision: the definition of a new run, and its place."""
        definitions = [each.fact for each in batch if isinstance(each.fact, Definition)]
        if self.plan is None and not definitions:
            found = [each for each in self.log if isinstance(each.fact, Definition)][-1:]
            batch = [*found, *batch]
            definitions = [each.fact for each in found if isinstance(each.fact, Definition)]
        if self.plan is None and definitions:
            self.plan = make(definitions[-1])
        if not self.chain:
            place = Input(cause=Cause("queue", 0, "any"), time_ms=0, fact=Place(admitted=self.admitted))
            batch = [*batch, place]
        return batch

    def _decide(self, batch: list[Input]) -> Verdict:
        assert self.plan is not None
        before = encode(self.last) if self.last else b""
        verdict = decide(self.plan, self.last, batch)
        assert before == (encode(self.last) if self.last else b""), "a decision changed the one before"
        assert () == verdict.strangers
        if verdict.wake_at:
            self.armed.add(verdict.wake_at)
        return verdict

    def _publish(self, decision: Decision, batch: list[Input]) -> None:
        before = self.last
        self.chain.append(decision)
        self.batches.append(batch)
        self.pending += [Pending(decision, index) for index in range(len(decision.commands))]
        guarantees.check_decision(self, before, decision)

    # Faults of the scheduler

    def crash(self) -> None:
        """The scheduler is killed: another reads the last decision from the log and plans anew."""
        if self.plan is None or not self.chain:
            return
        again = msgspec.json.decode(encode(self.chain[-1]), type=Decision)
        assert encode(again) == encode(self.chain[-1])
        self.chain[-1] = again
        planned = next(each.fact for each in self.log if each.cause.sequence == again.state.definition_sequence)
        assert isinstance(planned, Definition)
        self.plan = make(planned, again.state.learned)

    def race(self, inputs: Iterable[Input]) -> None:
        """Another scheduler decides on the same decision and is too late: only its wake-up remains."""
        if self.plan is not None and self.chain:
            self._decide(list(inputs))

    # Time

    def due(self) -> int:
        """When the next wake-up comes, by the server or by the sweep; 0 for never."""
        times = list(self.armed)
        if self.chain and self.state.timers and not self.state.gone:
            times.append(min(self.state.timers.values()) + SWEEP_MS)
        return min(times, default=0)

    def pass_time(self, milliseconds: int) -> None:
        """Time passes; wake-ups that are due are stored."""
        self.clock += milliseconds
        due = sorted(at for at in self.armed if at <= self.clock)
        self.armed -= set(due)
        for at in due:
            self.store(TimerDue(workflow_uid=UID, due_at=at))
        if self.chain and not due and self.state.timers and min(self.state.timers.values()) + SWEEP_MS <= self.clock:
            self.store(TimerDue(workflow_uid=UID, due_at=min(self.state.timers.values())))

    def lose_wake_up(self) -> None:
        """The next wake-up is lost."""
        if self.armed:
            self.armed.remove(min(self.armed))
            self.lost_a_wake_up = True

    # The bridge

    def carry_out(self, pending: Pending, *, passed: bool = True, stubborn: bool = False) -> None:
        """The bridge carries out a command."""
        if pending in self.pending:
            self.pending.remove(pending)
        if isinstance(pending.command, RunCheck):
            self.store(self.cluster.answer(pending, passed=passed))
        else:
            if isinstance(pending.command, DeleteWorkflow) and is_wanted(pending.command, self.state):
                guarantees.check_deletion(self)
            self.cluster.carry_out(pending, self.state, stubborn=stubborn)
        guarantees.check_limit(self)

    def refuse(self, pending: Pending) -> None:
        """The cluster refuses a create or a delete."""
        if isinstance(pending.command, CreateExecution | DeleteExecution):
            self.pending.remove(pending)
            if isinstance(pending.command, DeleteExecution) or pending.command.name not in self.cluster.made:
                self.store(self.cluster.refuse(pending))

    def get_a_place(self) -> None:
        """The queue gives the run a place; that it had one already is told again."""
        if self.chain:
            self.store(Place(admitted=True))
        self.admitted = True

    def alert(self) -> None:
        """An alert fires."""
        self.store(AlertFired(workflow=WorkflowRef(namespace="shop", name="leak", uid=UID), alert="HighLatency"))

    # What may happen next

    def acts(self, choose: Choose, fate: Fate, check: Verdicts) -> list[Callable[[], None]]:
        """Everything that could happen now without any fault, each one thing; time is none of them.

        `fate`: what the executor makes of an execution, empty for nothing. `check`: whether a check passes.
        """
        found: list[Callable[[], None]] = []
        if self.undelivered:
            found.append(lambda: self.deliver(self.undelivered[: 1 + choose(3)]))
        if self.cluster.events:
            found.append(lambda: self.watch(1 + choose(3)))
        found += [partial(self._carry_out_well, pending, check) for pending in self.pending]
        return found + [partial(self.cluster.meet, made, word) for made in self.running() if (word := fate(made))]

    def _carry_out_well(self, pending: Pending, check: Verdicts) -> None:
        command = pending.command
        self.carry_out(pending, passed=not isinstance(command, RunCheck) or check(command))

    # The end of all faults

    def settle(self, *, executor_sleeps: bool = False, bridge_checks: bool = True, batch: int = 3) -> None:
        """Everything works from now on: the run must end, and its object go in its time.

        `executor_sleeps`: it ends nothing any more. `bridge_checks`: checks are answered.
        """
        for _ in range(ROUNDS):
            busy = self._work(executor_sleeps=executor_sleeps, bridge_checks=bridge_checks)
            if self.undelivered:
                self.deliver(self.undelivered[:batch])
            elif not busy and not self._next_time():
                return
        raise AssertionError(f"not at rest after {ROUNDS} rounds: {self.state}")

    def _work(self, *, executor_sleeps: bool, bridge_checks: bool) -> bool:
        busy = bool(self.pending or self.cluster.events)
        for pending in tuple(self.pending):
            if isinstance(pending.command, RunCheck) and not bridge_checks and pending.command.type != "audit":
                self.pending.remove(pending)
            else:
                self.carry_out(pending)
        for made in self.cluster.made.values():
            self.cluster.let_go(made)
            if made.running and not executor_sleeps:
                self.cluster.write(made, "ok 1")
        self.cluster.collect()
        self.watch(len(self.cluster.events))
        return busy

    def _next_time(self) -> bool:
        """Nothing happens any more by itself: a person lets the run go on, or time passes."""
        if not self.chain:
            return False
        control = self.cluster.workflow["spec"].get("control", {})
        if self.state.phase == "queued":
            self.get_a_place()
        elif control.get("paused") and not self.ended and not self.cluster.gone:
            self.cluster.change_workflow(paused=False)
        elif self.due():
            self.pass_time(max(self.due() - self.clock, 1))
        else:
            return False
        return True

    def running(self) -> list[Made]:
        """Executions that count against the limit."""
        return [made for made in self.cluster.made.values() if made.running and not made.kept]
