"""What keeps one step from running now: all reasons together, none that does not count. Pure.

A minimal set: once every reason is taken away `decide` starts the step (or its own condition decides against it), and
while any of them stands it does not. What the taking away itself brings about, such as others who take the places that
became free, is a reason only then. Docs: docs/explain.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge.reasons import (
    Approval,
    Closing,
    Condition,
    Dependency,
    Doomed,
    DryRun,
    Place,
    Reason,
    Result,
    Resume,
    Skipped,
    Slot,
    approval,
    of_step,
    open_checks,
)
from scheduler.inverse import inverse
from scheduler.orders import holds_template
from schemas.run_state import StepState
from schemas.workflow_status import TERMINAL_PHASES, TERMINAL_STEP_PHASES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scheduler.plan import Plan
    from schemas.run_state import RunState, SideState

_CANCELLED: Final = "cancelled"
"""How a rollback is closing that goes no further."""


def reasons(plan: Plan, state: RunState, number: int) -> tuple[Reason, ...]:
    """Return what keeps a step from running now; what is in flight of one that runs; nothing when it has ended.

    While the run rolls back it is about undoing the step. `number` must be one of the plan's.
    """
    if state.phase == "rolling_back":
        return _undoing(plan, state, number)
    step = _step(plan, state, number)
    if state.phase in TERMINAL_PHASES or step.phase in {"executing", *TERMINAL_STEP_PHASES}:
        return of_step(state, step)
    if closing := _closing(state):
        return (closing,)
    if number in _to_be_skipped(state):
        return (*_place(plan, state), Skipped())
    own = _own(plan, state, step)
    doomed = any(isinstance(each, Doomed) for each in own)
    return (
        *_place(plan, state),
        *_checks(plan, state),
        *_dry_runs(plan, state),
        *own,
        *([Resume(since=state.paused_at)] if state.paused_at and not doomed else []),
        *_approval(plan, state),
    )


def _step(plan: Plan, state: RunState, number: int) -> StepState:
    """Return the state of a step; before the run was planned, one that has not begun."""
    return state.steps[plan.place[number]] if state.steps else StepState(number=number)


def _closing(state: RunState) -> Closing | None:
    """Return why no step starts any more; None while one may."""
    if state.closing:
        return Closing(how=state.closing, why=state.failing)
    failed = next((each for each in _sides(state) if each.phase == "failed"), None)
    if failed is not None:
        said = failed.error or failed.reason
        return Closing(how="failed", why=f"the dry run of step {failed.number} failed: {said}")
    return None


def _sides(state: RunState) -> list[SideState]:
    """Return the dry runs of a run that is validated, but those of steps that a person skipped."""
    if state.phase != "validating":
        return []
    return [each for each, step in zip(state.dry_runs, state.steps, strict=False) if step.phase != "skipped"]


def _to_be_skipped(state: RunState) -> set[int]:
    """Return the steps that a person has skipped before the run was planned."""
    return {number for number, operation, _ in state.control.later if operation == "skip"}


def _place(plan: Plan, state: RunState) -> list[Reason]:
    return [Place(priority=plan.strategy.priority)] if state.phase == "queued" else []


def _checks(plan: Plan, state: RunState) -> tuple[Reason, ...]:
    """Return the checks without a result; of a run that is queued, those that it will ask for."""
    if state.phase == "queued":
        asked = enumerate(plan.strategy.safety_checks, 1)
        return tuple(Result(check=f"check-{place}", type=each.type) for place, each in asked if each.required)
    return open_checks(state) if state.phase == "validating" else ()


def _dry_runs(plan: Plan, state: RunState) -> list[Reason]:
    """Return the dry runs that have not ended, but those that will be passed over."""
    if not plan.strategy.dry_run_first or state.phase not in {"queued", "validating"}:
        return []
    phases = {each.number: each.phase for each in state.dry_runs}
    skipped = _to_be_skipped(state) | {each.number for each in state.steps if each.phase == "skipped"}
    return [
        DryRun(step=step.step_number, phase=phase)
        for step in plan.steps
        if (phase := phases.get(step.step_number, "pending")) not in TERMINAL_STEP_PHASES
        and (phase == "executing" or not (step.step_number in skipped or holds_template(step.parameters)))
    ]


def _approval(plan: Plan, state: RunState) -> list[Reason]:
    if not plan.strategy.approval_required or state.phase not in {"queued", "validating"}:
        return []
    given, digest = state.approval, plan.state.digest if plan.state else ""
    holds = given is not None and (given.plan == digest or state.phase == "validating")
    return [] if holds else [approval(state) if state.phase == "validating" else Approval()]


def _own(plan: Plan, state: RunState, step: StepState) -> list[Reason]:
    """Return what only this step waits for: dependencies, its next attempt, a place, its own conditions."""
    number = step.number
    found: list[Reason] = list(of_step(state, step))
    waits_for = [other for other in _before(plan, state, number) if other.phase not in TERMINAL_STEP_PHASES]
    found += [Dependency(step=other.number, phase=other.phase) for other in waits_for]
    doomed = _doomed(plan, state, step)
    if state.phase == "executing" and not doomed:
        freed = sum(1 for other in waits_for if other.phase == "executing")
        others = {other.number for other in waits_for}
        found += _slot(state, number, _ahead(plan, state.ready, number), freed=freed, but=others)
    return [*found, *_conditions(plan, state, step), *doomed]


def _before(plan: Plan, state: RunState, number: int) -> list[StepState]:
    skipped = _to_be_skipped(state)
    return [_step(plan, state, other) for other in sorted(plan.before[number]) if other not in skipped]


def _doomed(plan: Plan, state: RunState, step: StepState) -> list[Reason]:
    """Return the dependencies because of which the step will be skipped; its runIf would have the last word instead."""
    if step.phase != "pending" or step.number in state.ready or plan.step(step.number).run_if is not None:
        return []
    return [Doomed(step=other.number) for other in _before(plan, state, step.number) if _stops(other)]


def _stops(other: StepState) -> bool:
    """Whether a step that has ended keeps those that depend on it from running (spec.md section 3)."""
    if other.phase == "skipped":
        return other.reason == "dependency_failed"
    return other.phase in {"failed", "cancelled"}


def _conditions(plan: Plan, state: RunState, step: StepState) -> list[Reason]:
    """Return the expressions that have a word in it yet: runIf and skipIf once, the others at each attempt."""
    planned = plan.step(step.number)
    open_ = step.phase == "pending" and step.number not in state.ready
    found: list[Reason] = []
    if open_ and planned.run_if is not None:
        found.append(Condition(what="runIf", expression=planned.run_if))
    if open_ and planned.skip_if is not None:
        found.append(Condition(what="skipIf", expression=planned.skip_if))
    if planned.pre_conditions:
        asked = "; ".join(each.expression for each in planned.pre_conditions)
        found.append(Condition(what="preConditions", expression=asked))
    if holds_template(planned.parameters):
        found.append(Condition(what="parameters"))
    return found


def _ahead(plan: Plan, ready: Iterable[int], number: int) -> list[int]:
    """Return the ready steps that get a place before this one."""
    if not plan.longest_first:
        return [other for other in ready if other < number]
    turn = {other: (-plan.remaining[other], other) for other in {*ready, number}}
    return sorted((other for other in ready if turn[other] < turn[number]), key=lambda other: turn[other])


def _slot(state: RunState, number: int, ahead: list[int], *, freed: int, but: set[int]) -> list[Reason]:
    """Return that there is no place. `but`: steps that go with the other reasons, `freed` places with them."""
    ahead = [other for other in ahead if other not in but]
    if state.in_flight - freed + len(ahead) < state.limit:
        return []
    every: tuple[StepState | SideState, ...] = (*state.steps, *state.dry_runs, *state.rollbacks)
    holders = {one.number for one in every if one.phase == "executing"} - but
    return [Slot(step=number, limit=state.limit, holders=tuple(sorted(holders)), before=tuple(ahead))]


def _can_be_undone(plan: Plan, step: StepState) -> bool:
    planned = plan.step(step.number)
    if planned.rollback_spec is not None:
        return True
    return inverse(planned.action, planned.parameters, step.pre_image) is not None


def _undoing(plan: Plan, state: RunState, number: int) -> tuple[Reason, ...]:
    """Return what keeps the rollback of a step waiting; nothing of a step that is not to be undone, or was."""
    side, step = state.rollbacks[plan.place[number]], _step(plan, state, number)
    if side.phase == "executing" or side.phase in TERMINAL_STEP_PHASES or step.phase != "completed":
        return of_step(state, side, "rollback")
    if state.closing == _CANCELLED:
        return (Closing(how=state.closing, why=state.failing),)
    if not _can_be_undone(plan, step):
        return ()
    found = list(of_step(state, side, "rollback"))
    later = [state.rollbacks[plan.place[other]] for other in plan.after[number]]
    waits_for = [other for other in later if other.phase not in TERMINAL_STEP_PHASES]
    found += [Dependency(step=each.number, phase=each.phase, purpose="rollback") for each in waits_for]
    freed = sum(1 for each in waits_for if each.phase == "executing")
    ahead = sorted((other for other in state.ready if other > number), reverse=True)
    found += _slot(state, number, ahead, freed=freed, but={each.number for each in waits_for})
    return (*found, *([Resume(since=state.paused_at)] if state.paused_at else []))
