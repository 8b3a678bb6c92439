"""Guarantees of what the scheduler keeps count of: in flight, settled, blocked, ready, due. Each is counted anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.messages import Decision
from schemas.run_state import RunState, SideState, StepState
from schemas.workflow_status import TERMINAL_PHASES, TERMINAL_STEP_PHASES
from tests.scheduler.watched import OPEN

if TYPE_CHECKING:
    from scheduler.plan import Plan


def check(plan: Plan, decision: Decision) -> None:
    """Hold the state after a decision against what a recount gives."""
    state = decision.state
    counts_are_right(plan, state)
    blockers_are_right(plan, state)
    what_is_ready_is_right(state)
    nothing_idles(state)
    timers_are_right(decision)
    a_pause_stops_no_more_time_than_there_is(plan, decision)


def counts_are_right(plan: Plan, state: RunState) -> None:
    """What is in flight and what is settled, counted anew; never more than the limit in flight (G6)."""
    rows: list[StepState | SideState] = [*state.steps, *state.dry_runs, *state.rollbacks]
    assert state.in_flight == sum(1 for row in rows if row.phase == "executing")
    assert state.settled == sum(1 for step in state.steps if step.phase in TERMINAL_STEP_PHASES)
    assert state.in_flight <= state.limit == plan.limit


def blockers_are_right(plan: Plan, state: RunState) -> None:
    """For each step how many of its dependencies are open; for a rollback how many that depend on the step.

    In a run that was cancelled nobody asks any more what blocks a step.
    """
    steps = {step.number: step for step in state.steps}
    counted = state.phase in {"validating", "executing"} and state.closing_reason != "cancelled"
    for step in state.steps if counted else ():
        opened = [n for n in plan.before[step.number] if steps[n].phase not in TERMINAL_STEP_PHASES]
        assert step.blockers == len(opened), step
    sides = {side.number: side for side in state.rollbacks}
    if state.phase == "rolling_back":
        for side in state.rollbacks:
            assert side.blockers == sum(1 for n in plan.after[side.number] if sides[n].phase in OPEN), side


def what_is_ready_is_right(state: RunState) -> None:
    """In rising order, exactly those that only the limit, a pause or the end keeps from starting."""
    assert list(state.ready) == sorted(set(state.ready))
    rows: dict[str, tuple[StepState, ...] | tuple[SideState, ...]]
    rows = {"executing": state.steps, "rolling_back": state.rollbacks}
    if state.phase in rows:
        word = "step" if state.phase == "executing" else "undo"
        pending = {row.number for row in rows[state.phase] if row.phase == "pending" and not row.blockers}
        waiting = {row.number for row in rows[state.phase] if row.phase == "waiting_retry"}
        timed = {number for number in waiting if f"{word}:{number}" in state.timers}
        ready = set(state.ready)
        assert ready <= pending | waiting
        if not state.closing or state.phase == "rolling_back":
            assert ready == pending | (waiting - timed)
    elif state.phase != "validating":
        assert () == state.ready
    elif state.dry_runs:
        skipped = {step.number for step in state.steps if step.phase == "skipped"}
        assert set(state.ready) - skipped == {s.number for s in state.dry_runs if s.phase == "pending"} - skipped


def nothing_idles(state: RunState) -> None:
    """What is ready starts as soon as there is room."""
    if state.phase not in TERMINAL_PHASES and state.ready and not state.paused_at and state.in_flight < state.limit:
        stopped = state.closing in {"failed", "cancelled"} if state.phase == "rolling_back" else bool(state.closing)
        failed = state.phase == "validating" and any(side.phase == "failed" for side in state.dry_runs)
        assert stopped or failed


def timers_are_right(decision: Decision) -> None:
    """Nothing is due in the past; what is in flight or has a deadline has its timer, what has ended has none."""
    state = decision.state
    if state.timers:
        first = min(state.timers.values())
        assert first >= decision.now
        assert decision.now < state.wake_at <= max(first, decision.now + 1)
    rows: list[tuple[str, StepState | SideState]] = [("step", step) for step in state.steps]
    rows += [("dry", side) for side in state.dry_runs] + [("undo", side) for side in state.rollbacks]
    for word, row in rows:
        armed = f"{word}:{row.number}" in state.timers
        if row.phase == "executing" and not (row.ending and row.execution_uid):
            assert armed, row
        elif row.phase not in {"waiting_retry", "executing"}:
            assert not armed, row
    known = {*state.timers, *state.stopped}
    if state.phase == "validating":
        assert {"workflow", "phase"} <= known
    elif state.phase == "monitoring":
        assert "phase" in known
    elif state.phase in TERMINAL_PHASES:
        assert known <= {"ttl", "audit"}


def a_pause_stops_no_more_time_than_there_is(plan: Plan, decision: Decision) -> None:
    """A deadline that stands still, or was set going again, gives a run no more time than it ever had."""
    state = decision.state
    most = {"workflow": plan.workflow_ms, "phase": max(5 * 60_000, plan.monitor_ms)}
    for name, limit in most.items():
        assert state.stopped.get(name, 0) <= limit
        assert state.timers.get(name, 0) - decision.now <= limit
