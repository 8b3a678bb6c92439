"""Guarantees of what a decision commands and tells: in order, once, safely, and only what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.messages import (
    STEP_EVENTS,
    WORKFLOW_EVENTS,
    CheckReported,
    CreateExecution,
    Decision,
    DeleteExecution,
    DeleteWorkflow,
    ReleaseExecution,
    RunCheck,
)
from schemas.run_state import RunState, SideState, StepState
from schemas.workflow_status import TERMINAL_PHASES, TERMINAL_STEP_PHASES
from tests.scheduler.fake_cluster import AGAIN
from tests.scheduler.model import IDEMPOTENT
from tests.scheduler.watched import OPEN, Watched

if TYPE_CHECKING:
    from scheduler.plan import Plan
    from tests.scheduler.world import World

RUN_MOVES: Final = {
    "": {"queued", "planning"},
    "queued": {"planning", "cancelled"},
    "planning": {"validating", "failed", "cancelled"},
    "validating": {"executing", "failed", "cancelled"},
    "executing": {"monitoring", "rolling_back", "completed", "failed", "cancelled"},
    "monitoring": {"rolling_back", "completed", "failed", "cancelled"},
    "rolling_back": {"failed", "cancelled"},
    "completed": set(),
    "failed": {"rolling_back"},
    "cancelled": set(),
}
STEP_MOVES: Final = {
    "pending": {"executing", "waiting_retry", "skipped", "failed", "cancelled"},
    "executing": {"executing", "waiting_retry", "completed", "failed", "skipped", "cancelled"},
    "waiting_retry": {"executing", "waiting_retry", "failed", "skipped", "cancelled"},
    "completed": {"rolled_back"},
    "failed": {"waiting_retry"},
    "skipped": {"pending"},
    "cancelled": set(),
    "rolled_back": set(),
}


def check(world: World, before: Decision | None, decision: Decision) -> None:
    """Hold the commands and transitions of a decision against everything that must be true of them."""
    it_follows_on_the_one_before(before, decision)
    transitions_follow_on_each_other(world.watched, decision)
    public_events_are_known_and_numbered(world.watched, decision)
    nothing_is_commanded_twice(world.watched, decision)
    nothing_is_commanded_that_must_not_be(before, decision)
    only_what_was_seen_is_deleted_once(world, decision)
    the_object_is_kept_until_it_is_audited(world, decision)
    _note_what_is_given_up(world.watched, decision.state)
    if decision.state.steps:
        retries_are_safe(world, decision)
        steps_start_after_their_dependencies(world, decision)
        rollbacks_go_backwards(world, decision)


def it_follows_on_the_one_before(before: Decision | None, decision: Decision) -> None:
    """One chain (G3): versions without a gap, time that does not go back."""
    assert decision.version == (before.version if before else 0) + 1
    assert decision.now >= (before.now if before else 0)


def transitions_follow_on_each_other(watched: Watched, decision: Decision) -> None:
    """Every change of a phase is a legal one, starts where the last one ended, and ends where the state is."""
    for each in decision.transitions:
        if each.entity == "workflow":
            assert each.before == watched.run, each
            assert each.after == each.before or each.after in RUN_MOVES[each.before], each
            watched.run = each.after
        else:
            known = watched.steps.get(each.step, "pending")
            assert each.before == known, each
            assert each.after in STEP_MOVES[known], each
            watched.steps[each.step] = each.after
    assert decision.state.phase == watched.run
    for step in decision.state.steps:
        assert step.phase == watched.steps.get(step.number, "pending")


def public_events_are_known_and_numbered(watched: Watched, decision: Decision) -> None:
    """Each has a name that subscribers know; their ordinals have no gap (G4)."""
    told = [each for each in decision.transitions if each.what]
    assert {each.what for each in told if each.entity == "workflow"} <= set(WORKFLOW_EVENTS)
    assert {each.what for each in told if each.entity == "step"} <= set(STEP_EVENTS)
    watched.announced += len(told)
    assert decision.state.announced == watched.announced


def nothing_is_commanded_twice(watched: Watched, decision: Decision) -> None:
    """Of each purpose and step the attempts are 1, 2, 3 ... (G5)."""
    for create in _creates(decision):
        watched.attempts[create.purpose, create.step] += 1
        assert create.attempt == watched.attempts[create.purpose, create.step]


def nothing_is_commanded_that_must_not_be(before: Decision | None, decision: Decision) -> None:
    """Not while it is paused, not once it closes, not once it has ended; a rollback only while it is rolled back."""
    state, phases = decision.state, {"execute": "executing", "dry_run": "validating", "rollback": "rolling_back"}
    passed = {t.after for t in decision.transitions if t.entity == "workflow"} | {before.state.phase if before else ""}
    creates = _creates(decision)
    assert not creates or not state.paused_at
    for create in creates:
        assert phases[create.purpose] in passed | {state.phase}
        if create.purpose != "dry_run":
            assert state.phase == phases[create.purpose]
    asked_again = any(t.reason == "retry_asked" for t in decision.transitions)
    closed = before is not None and before.state.closing and not asked_again
    assert not closed or not any(create.purpose == "execute" for create in creates)
    if before is not None and before.state.phase in TERMINAL_PHASES and state.phase in TERMINAL_PHASES:
        checks = [command for command in decision.commands if isinstance(command, RunCheck)]
        assert not creates
        assert all(check.type == "audit" for check in checks)


def only_what_was_seen_is_deleted_once(world: World, decision: Decision) -> None:
    """A delete names an execution that was observed, and comes once; so does the release of one that is held."""
    watched = world.watched
    observed = {each.fact.uid for each in world.delivered.values() if hasattr(each.fact, "uid")}
    for command in decision.commands:
        if isinstance(command, DeleteExecution):
            assert command.uid in observed
            watched.deleted[command.uid] += 1
            watched.released[command.uid] += command.hold
            assert 1 == watched.deleted[command.uid], command
        elif isinstance(command, ReleaseExecution):
            watched.released[command.uid] += 1
    refused = {made.uid for made in world.cluster.made.values() if made.kept}
    assert all(count <= 1 + (uid in refused) for uid, count in watched.released.items()), watched.released


def the_object_is_kept_until_it_is_audited(world: World, decision: Decision) -> None:
    """It is deleted only after its time, when the audit was asked after that and holds everything."""
    assert world.plan is not None
    state = decision.state
    for command in decision.commands:
        if isinstance(command, RunCheck) and command.type == "audit":
            world.watched.audits[command.check] = decision.now
        elif isinstance(command, DeleteWorkflow):
            asked = f"audit-{state.audit_looks}"
            facts = [each.fact for each in world.delivered.values()]
            assert state.phase in TERMINAL_PHASES
            assert any(isinstance(fact, CheckReported) and fact.check == asked and fact.passed for fact in facts)
            assert world.watched.audits[asked] >= state.ended_at + world.plan.ttl_ms


def retries_are_safe(world: World, decision: Decision) -> None:
    """A step is tried again only where that may help and does nothing twice (spec.md section 3), within its budget."""
    plan, watched = world.plan, world.watched
    assert plan is not None
    for each in decision.transitions:
        if each.entity != "step" or each.what != "retrying":
            continue
        watched.begun.add(each.step)
        if each.reason == "retry_asked":
            watched.asked_again[each.step] += 1
        elif each.reason in AGAIN:
            assert AGAIN[each.reason][0 if IDEMPOTENT[each.action] else 1], each
        else:
            assert each.reason == "precondition_failed" or IDEMPOTENT[each.action], each
    for step in decision.state.steps:
        assert step.retries <= plan.budgets[step.number]
        assert step.attempt <= 1 + plan.budgets[step.number] + watched.asked_again[step.number]
    for side in decision.state.rollbacks:
        assert side.attempt <= 1 + plan.budgets[side.number]


def steps_start_after_their_dependencies(world: World, decision: Decision) -> None:
    """No step starts before all that it depends on has ended, nor without a runIf unless all of it let it through.

    A step that had begun before a person had one of those before it tried again goes on with its own retries.
    """
    plan, watched = world.plan, world.watched
    assert plan is not None
    steps = {step.number: step for step in decision.state.steps}
    for create in _creates(decision):
        if create.purpose != "execute":
            continue
        needed = [steps[number] for number in plan.before[create.step]]
        went_on = create.step in watched.begun and any(
            watched.asked_again[number] for number in _behind(plan, create.step)
        )
        watched.begun.add(create.step)
        if went_on:
            continue
        assert all(step.phase in TERMINAL_STEP_PHASES for step in needed), create
        if plan.step(create.step).run_if is None:
            assert all(_lets_through(step) for step in needed), create


def _behind(plan: Plan, number: int) -> set[int]:
    """All that a step depends on, however far back."""
    direct = plan.before[number]
    return set(direct).union(*(_behind(plan, each) for each in direct))


def _lets_through(step: StepState) -> bool:
    return step.phase == "completed" or (step.phase == "skipped" and step.reason != "dependency_failed")


def rollbacks_go_backwards(world: World, decision: Decision) -> None:
    """Only completed steps are undone, each after all that depends on it; none at all where the strategy is none.

    Unless a person cancels the run with a rollback: that is asked of this very run.
    """
    plan, state = world.plan, decision.state
    assert plan is not None
    steps = {step.number: step for step in state.steps}
    sides = {side.number: side for side in state.rollbacks}
    for create in _creates(decision):
        if create.purpose == "rollback":
            assert plan.strategy.rollback_strategy != "none" or state.control.cancel == "rollback"
            assert steps[create.step].phase == "completed"
            assert all(sides[number].phase not in OPEN for number in plan.after[create.step]), create
    for number, side in sides.items():
        assert (side.phase == "completed") == (steps[number].phase == "rolled_back")


def _note_what_is_given_up(watched: Watched, state: RunState) -> None:
    rows: list[tuple[str, StepState | SideState]] = [("execute", step) for step in state.steps]
    rows += [("dry_run", side) for side in state.dry_runs] + [("rollback", side) for side in state.rollbacks]
    for purpose, row in rows:
        watched.given_up |= {(purpose, row.number, attempt) for attempt in (row.abandoned, *row.lost) if attempt}


def _creates(decision: Decision) -> list[CreateExecution]:
    return [command for command in decision.commands if isinstance(command, CreateExecution)]
