"""The steps of a run: which may start, what their ends mean, what follows from a failure. Pure; works on a `Draft`.

Source of the rules: spec.md section 3, "Rules of executing".
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scheduler import commanding
from scheduler.backoff import delay_ms
from scheduler.draft import Draft
from scheduler.expressions import ExpressionError, holds, steps_in
from scheduler.inputs import ERROR_LIMIT
from scheduler.orders import order_of
from scheduler.scope import scope_of
from schemas import durations
from schemas.fields import SENTENCE_LIMIT
from schemas.run_state import StepState
from schemas.workflow import Condition

replace = msgspec.structs.replace

_FRESH: Final[dict[str, Any]] = {
    "execution_uid": "",
    "execution_version": 0,
    "ended_at": 0,
    "ending": "",
    "leaving": False,
    "result": None,
    "affected": 0,
    "touched": (),
}
"""What an attempt knows nothing of yet. A rollback goes back to what was before the first one, so that is kept."""

SKIPPED: Final = "skipped_by_person"
"""Why a step is skipped that a person skipped: it counts as completed for its dependents."""
STEP_FAILED: Final = "critical_step_failed"
RUN_OVER: Final = "workflow_timed_out"
"""Why a run is closing (`RunState.closing_reason`)."""


def begin(draft: Draft) -> None:
    """Enter the phase: look at the steps that depend on nothing."""
    draft.move_run("started", "started")
    for step in tuple(draft.steps):
        reconsider(draft, step.number)


def reconsider(draft: Draft, number: int) -> None:
    """Look at a step again that nothing blocks and nothing was decided about."""
    step = draft.step(number)
    if step.phase == "pending" and step.blockers == 0 and number not in draft.ready and _consider(draft, number):
        settle(draft, number)


def go_on(draft: Draft) -> bool:
    """Start what may start, up to the limit; whether nothing is left to do in this phase."""
    while draft.ready and draft.in_flight < draft.get("limit"):
        if draft.get("closing") or draft.get("paused_at"):
            break
        _start(draft, _next(draft))
    return not draft.in_flight and (draft.settled == len(draft.steps) or bool(draft.get("closing")))


def _next(draft: Draft) -> int:
    if not draft.plan.longest_first:
        return draft.ready[0]
    return min(draft.ready, key=lambda number: (-draft.plan.remaining[number], number))


def settle(draft: Draft, ended: int) -> None:
    """A step has ended: look at what depended on it, note a critical failure."""
    waiting = [ended]
    while waiting:
        number = waiting.pop()
        _note_failure(draft, number)
        for dependent in draft.plan.after[number]:
            blocked = draft.step(dependent)
            draft.put(replace(blocked, blockers=blocked.blockers - 1))
            if blocked.blockers > 1 or blocked.phase != "pending" or draft.get("closing"):
                continue
            if draft.phase != "executing":
                continue  # looked at when the phase begins
            if _consider(draft, dependent):
                waiting.append(dependent)


def _note_failure(draft: Draft, number: int) -> None:
    step, planned = draft.step(number), draft.plan.step(number)
    if step.phase == "failed" and planned.critical_step:
        name = planned.name or planned.action
        sentence = f"critical step {number} ({name}) failed: {step.error or step.reason}"
        automatic = draft.plan.strategy.rollback_strategy == "automatic"
        close(draft, "rolled_back" if automatic else "failed", STEP_FAILED, sentence)


def close(draft: Draft, how: str, reason: str, sentence: str) -> None:
    """Start no new step; once nothing is in flight the run goes on as `how` says. The first reason stands."""
    if not draft.get("closing"):
        draft.fields |= {"closing": how, "closing_reason": reason, "failing": sentence[:SENTENCE_LIMIT]}


def _consider(draft: Draft, number: int) -> bool:
    """Decide about a pending step whose dependencies have ended; whether it has ended by that."""
    planned = draft.plan.step(number)
    try:
        if planned.run_if is not None:
            if not _is_true(draft, planned.run_if):
                return _skip(draft, number, "run_if_false", f"runIf is false: {planned.run_if}")
        else:
            broken = [d for d in sorted(draft.plan.before[number]) if not _lets_through(draft.step(d))]
            if broken:
                return _skip(draft, number, "dependency_failed", f"step {broken[0]} did not complete")
        if planned.skip_if is not None and _is_true(draft, planned.skip_if):
            return _skip(draft, number, "skip_if_true", f"skipIf is true: {planned.skip_if}")
    except ExpressionError as error:
        _fail_before_start(draft, number, "expression_failed", str(error))
        return True
    draft.make_ready(number)
    return False


def _lets_through(step: StepState) -> bool:
    return step.phase == "completed" or (step.phase == "skipped" and step.reason != "dependency_failed")


def _skip(draft: Draft, number: int, reason: str, message: str) -> bool:
    message = _short(message)
    draft.move_step(number, "skipped", "skipped", reason=reason, message=message, error=message)
    return True


def _fail_before_start(draft: Draft, number: int, reason: str, message: str) -> None:
    message = _short(message)
    draft.move_step(number, "failed", "failed", reason=reason, message=message, error=message)


def _short(message: str) -> str:
    return message[:ERROR_LIMIT]


def _start(draft: Draft, number: int) -> None:
    """Command the execution of a ready step, unless a precondition or its parameters are in the way."""
    planned = draft.plan.step(number)
    try:
        unmet = _first_unmet(draft, planned.pre_conditions)
        if unmet is not None:
            _unmet(draft, number, unmet, "precondition_failed", executed=False)
            return
        order = order_of(draft, planned)
    except ExpressionError as error:
        _fail_before_start(draft, number, "expression_failed", str(error))
        settle(draft, number)
        return
    except ValueError as error:
        _fail_before_start(draft, number, "invalid_parameters", str(error))
        settle(draft, number)
        return
    attempt = draft.step(number).attempt + 1
    hold = commanding.create(draft, number, attempt, "execute", order)
    draft.move_step(number, "commanded", "ready", attempt=attempt, started_at=draft.now, held=hold, error="", **_FRESH)


def _first_unmet(draft: Draft, conditions: tuple[Condition, ...], *, ended: int = 0) -> Condition | None:
    return next((each for each in conditions if not _is_true(draft, each.expression, ended=ended)), None)


def _is_true(draft: Draft, expression: str, *, ended: int = 0) -> bool:
    return holds(expression, scope_of(draft, steps_in(expression), ended=ended))


def _unmet(draft: Draft, number: int, unmet: Condition, reason: str, *, executed: bool) -> None:
    """A condition of the step does not hold: do what it says."""
    message = _short(unmet.message or f"the condition does not hold: {unmet.expression}")
    if unmet.on_failure == "skip":
        draft.move_step(number, "skipped", "skipped", reason=reason, message=message, error=message)
        settle(draft, number)
        return
    again = unmet.on_failure == "retry" and (not executed or commanding.idempotent(draft.plan.step(number).action))
    if unmet.on_failure == "rollback":  # planning refuses it where the strategy is none
        name = draft.plan.step(number).name or draft.plan.step(number).action
        close(draft, "rolled_back", "condition_failed", f"step {number} ({name}) asks for a rollback: {message}")
    fail(draft, number, reason, message, again=again)


def fail(draft: Draft, number: int, reason: str, message: str, *, again: bool, **known: Any) -> None:
    """An attempt has failed. `again`: trying again is safe and may help; it is done while the budget lasts."""
    step, planned = draft.step(number), draft.plan.step(number)
    if not again or step.retries >= draft.plan.budgets[number] or draft.get("closing"):
        draft.disarm(commanding.timer("execute", number))
        draft.move_step(number, "failed", "failed", reason=reason, message=message, error=message, **known)
        settle(draft, number)
        return
    retries = step.retries + 1
    delay = delay_ms(planned.retry_policy, retries, draft.plan.definition.ref.uid, number, "execute")
    draft.move_step(
        number, "retry_planned", "retrying", reason=reason, message=message, error=message, retries=retries, **known
    )
    draft.arm(commanding.timer("execute", number), draft.now + delay)


def complete(draft: Draft, number: int, **known: Any) -> None:
    """An execution has completed: its postconditions have the last word."""
    draft.disarm(commanding.timer("execute", number))
    step = draft.step(number)
    if step.ending == "skipped":
        draft.move_step(number, "skipped", "skipped", reason=SKIPPED, message=step.error, **known)
        settle(draft, number)
        return
    draft.put(replace(step, **known))
    try:
        unmet = _first_unmet(draft, draft.plan.step(number).post_conditions, ended=number)
    except ExpressionError as error:
        fail(draft, number, "expression_failed", _short(str(error)), again=False)
        return
    if unmet is not None:
        _unmet(draft, number, unmet, "postcondition_failed", executed=True)
        return
    draft.move_step(number, "completed", "completed")
    settle(draft, number)


def end_step(draft: Draft, number: int, why: str, message: str = "") -> None:
    """Command the end of a step in flight. `why`: timed_out, cancelled or skipped; a person's skip stays a skip."""
    step = draft.step(number)
    if step.ending != "skipped":
        draft.put(replace(step, ending=why, error=message))
    if commanding.end(draft, step, "execute", last=_nothing_follows(draft)):
        ended_by_command(draft, number)


def _nothing_follows(draft: Draft) -> bool:
    """Whether nothing is started any more after what is in flight, not even by a rollback on demand."""
    closing, reason = draft.get("closing"), draft.get("closing_reason")
    for_good = reason == RUN_OVER and draft.plan.strategy.rollback_strategy == "none"
    return closing == "cancelled" or (closing == "failed" and for_good)


def ended_by_command(draft: Draft, number: int) -> None:
    """The end that was commanded has come, or is not waited for any more."""
    draft.disarm(commanding.timer("execute", number))
    step = draft.step(number)
    if step.ending == "timed_out":
        limit = durations.render(draft.plan.timeouts[number] / 1000)
        when = "when the time of the run was over" if draft.get("closing_reason") == RUN_OVER else f"after {limit}"
        message = f"it had not ended {when} and was ended"
        fail(draft, number, "timed_out", message, again=commanding.idempotent(draft.plan.step(number).action))
    elif step.ending == "skipped":
        draft.move_step(number, "skipped", "skipped", reason=SKIPPED, message=step.error)
        settle(draft, number)
    else:
        draft.move_step(number, "cancelled", "cancelled", reason="cancelled")  # nothing follows from it: the run ends


def revive(draft: Draft, number: int, message: str) -> None:
    """A person wants a failed step tried again: what was skipped because of it waits for it once more."""
    draft.move_step(number, "retry_asked", "retrying", reason="retry_asked", message=message, ended_at=0)
    waiting = [number]
    while waiting:
        for dependent in draft.plan.after[waiting.pop()]:
            step = draft.step(dependent)
            draft.put(replace(step, blockers=step.blockers + 1))
            if step.phase == "pending" and dependent in draft.ready:
                draft.ready.remove(dependent)
            if step.reason == "dependency_failed":
                draft.move_step(dependent, "revived", "", reason="retry_asked", error="", ended_at=0)
                waiting.append(dependent)
    if draft.get("closing"):
        draft.fields |= {"closing": "", "closing_reason": "", "failing": ""}
        for step in tuple(draft.steps):
            _note_failure(draft, step.number)  # another critical step may have failed as well
        if not draft.get("closing"):
            for step in tuple(draft.steps):
                reconsider(draft, step.number)
