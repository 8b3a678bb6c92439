"""Undoing what was done: completed steps in reverse order of dependency, each with its own retries. Pure.

Works on a `Draft` only. What cannot be undone is said; a rollback that fails is never undone by another one, and the
others are still tried.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scheduler import commanding
from scheduler.backoff import delay_ms
from scheduler.draft import Draft
from scheduler.ending import end, fail
from scheduler.expressions import ExpressionError
from scheduler.inverse import inverse
from scheduler.orders import holds_template, rendered
from schemas import durations
from schemas.run_state import SideState, StepState
from schemas.workflow import DEFAULT_STEP_TIMEOUT, Step

replace = msgspec.structs.replace

STOPPED: Final = "cancelled"
"""How a run is closing whose rollback a person has cancelled: none is begun any more."""


def begin(draft: Draft, event: str, *, reason: str, why: str) -> None:
    """Enter the phase: steps that nothing depends on come first. A pause that stands holds it, too."""
    for step in tuple(draft.steps):
        if step.phase in {"pending", "waiting_retry"}:
            draft.move_step(step.number, "cancelled", "cancelled", reason="run_failed")
    draft.fields |= {"rollback_reason": why, "closing_reason": reason, "stopped": {}}
    if draft.get("control").paused and not draft.get("paused_at"):
        draft.fields["paused_at"] = draft.now
    draft.timers = {}
    draft.move_run(event, reason=reason, message=why)
    draft.sides["rollback"] = [
        SideState(number=step.step_number, blockers=len(draft.plan.after[step.step_number]))
        for step in draft.plan.steps
    ]
    for number in draft.plan.place:
        if not draft.plan.after[number] and _passed_over(draft, number):
            _settle(draft, number)


def go_on(draft: Draft) -> None:
    """Start what may start, up to the limit, the latest steps first; end the run when all were tried."""
    stopped = draft.get("closing") == STOPPED
    while draft.ready and not stopped and not draft.get("paused_at") and draft.in_flight < draft.get("limit"):
        _start(draft, draft.ready.pop())
    if draft.in_flight:
        return
    if stopped:
        why = draft.get("failing")
        draft.fields["failure_reason"] = why
        end(draft, "cancelled", outcome="cancelled", reason="cancelled", message=why)
    elif all(side.phase not in {"pending", "waiting_retry"} for side in draft.sides["rollback"]):
        _finish(draft)


def _finish(draft: Draft) -> None:
    failed = [side for side in draft.sides["rollback"] if side.phase == "failed"]
    cancelled = draft.get("closing") == "cancelled_rolled_back"
    why = draft.get("failing")
    if failed:
        names = ", ".join(str(side.number) for side in failed[:10])
        reason, message = "rollback_failed", f"{why}. The rollback of step {names} failed: {failed[0].error}"
    else:
        undone = any(side.phase == "completed" for side in draft.sides["rollback"])
        reason, message = ("rolled_back" if undone else "nothing_to_roll_back"), why
        if undone:
            draft.tell_run("rolled_back", reason=draft.get("closing_reason"), message=draft.get("rollback_reason"))
    draft.fields["closing"] = ""
    if cancelled:
        draft.fields["failure_reason"] = message
        end(draft, "rolled_back_cancelled", outcome="cancelled", reason=reason, message=message)
    else:
        fail(draft, "rolled_back", reason=reason, message=message)


def _settle(draft: Draft, number: int) -> None:
    """One rollback has ended or there is none: look at the steps that this one depended on."""
    waiting = [number]
    while waiting:
        for dependency in draft.plan.before[waiting.pop()]:
            side = draft.side("rollback", dependency)
            draft.put_side("rollback", replace(side, blockers=side.blockers - 1))
            if side.blockers == 1 and _passed_over(draft, dependency):
                waiting.append(dependency)


def _passed_over(draft: Draft, number: int) -> bool:
    """Decide whether a step is to be undone, now that those depending on it were; whether there is nothing to do."""
    step = draft.step(number)
    done = step.phase == "completed"
    if done and undo_of(draft, step, probe=True) is not None:
        draft.make_ready(number)
        return False
    side = draft.side("rollback", number)
    reason = "no_rollback_spec" if done else "not_done"
    draft.put_side("rollback", replace(side, phase="skipped", reason=reason, ended_at=draft.now))
    return True


def undo_of(draft: Draft, step: StepState, *, probe: bool = False) -> commanding.Order | None:
    """Return what undoes a completed step: its rollbackSpec, else the inverse of its action; None without either.

    `probe`: only whether there is one. Raises ExpressionError, and ValueError for parameters that do not fit.
    """
    planned = draft.plan.step(step.number)
    written = planned.rollback_spec
    if written is None:
        found = inverse(planned.action, _as_done(draft, planned), step.pre_image)
        if found is None:
            return None
        timeout = round(durations.parse(DEFAULT_STEP_TIMEOUT) * 1000)
        return commanding.Order(action=found[0], parameters=found[1], timeout_ms=timeout, derived=True)
    timeout = round(durations.parse(written.timeout or DEFAULT_STEP_TIMEOUT) * 1000)
    if probe or not holds_template(written.parameters):
        return commanding.Order(action=written.action, parameters=written.parameters, timeout_ms=timeout)
    parameters = rendered(draft, written.action, written.parameters)
    return commanding.Order(action=written.action, parameters=parameters, timeout_ms=timeout, rendered=True)


def _as_done(draft: Draft, planned: Step) -> dict[str, Any]:
    """Return the parameters that the step was done with; none when they cannot be rendered any more."""
    if not holds_template(planned.parameters):
        return planned.parameters
    try:
        return rendered(draft, planned.action, planned.parameters)
    except (ExpressionError, ValueError):
        return {}


def _start(draft: Draft, number: int) -> None:
    side = draft.side("rollback", number)
    try:
        order = undo_of(draft, draft.step(number))
    except (ExpressionError, ValueError) as error:
        _failed(draft, side, "invalid_parameters", str(error))
        return
    if order is None:
        _failed(draft, side, "invalid_parameters", "nothing undoes this step")
        return
    attempt = side.attempt + 1
    hold = commanding.create(draft, number, attempt, "rollback", order)
    derived = (f"derived from {msgspec.json.encode(draft.step(number).pre_image).decode()}",) if order.derived else ()
    draft.put_side(
        "rollback",
        replace(
            side,
            phase="executing",
            attempt=attempt,
            started_at=draft.now,
            execution_uid="",
            execution_version=0,
            ending="",
            leaving=False,
            held=hold,
            findings=derived,
        ),
    )


def complete(draft: Draft, number: int) -> None:
    """A step was undone."""
    draft.disarm(commanding.timer("rollback", number))
    side = draft.side("rollback", number)
    draft.put_side("rollback", replace(side, phase="completed", reason="", error="", ended_at=draft.now, ending=""))
    draft.move_step(number, "rolled_back", "rolled_back", reason="rolled_back", ended_at=draft.step(number).ended_at)
    _settle(draft, number)


def attempt_failed(draft: Draft, number: int, reason: str, message: str, *, again: bool) -> None:
    """An attempt to undo a step has failed. `again`: trying again is safe and may help."""
    side = draft.side("rollback", number)
    planned = draft.plan.step(number)
    stopped = draft.get("closing") == STOPPED
    if not again or stopped or side.retries >= draft.plan.budgets[number]:
        draft.disarm(commanding.timer("rollback", number))
        _failed(draft, side, reason, message)
        return
    retries = side.retries + 1
    delay = delay_ms(planned.retry_policy, retries, draft.plan.definition.ref.uid, number, "rollback")
    draft.put_side(
        "rollback",
        replace(side, phase="waiting_retry", retries=retries, reason=reason, error=message, ending=""),
    )
    draft.arm(commanding.timer("rollback", number), draft.now + delay)


def end_undo(draft: Draft, number: int, why: str) -> None:
    """Command the end of a rollback in flight. `why`: timed_out or cancelled."""
    side = draft.side("rollback", number)
    draft.put_side("rollback", replace(side, ending=why))
    if commanding.end(draft, side, "rollback", last=draft.get("closing") == STOPPED):
        ended_by_command(draft, number)


def ended_by_command(draft: Draft, number: int) -> None:
    """The end that was commanded has come, or is not waited for any more."""
    draft.disarm(commanding.timer("rollback", number))
    side = draft.side("rollback", number)
    if side.ending == "timed_out":
        again = commanding.idempotent(undo_action(draft, number))
        attempt_failed(draft, number, "timed_out", "it had not ended in time and was ended", again=again)
    else:
        draft.put_side("rollback", replace(side, phase="cancelled", reason="cancelled", ended_at=draft.now, ending=""))


def undo_action(draft: Draft, number: int) -> str:
    """Return the action that undoes a step."""
    written = draft.plan.step(number).rollback_spec
    if written is not None:
        return written.action
    order = undo_of(draft, draft.step(number))
    return order.action if order else ""


def _failed(draft: Draft, side: SideState, reason: str, message: str) -> None:
    changes: dict[str, Any] = {"phase": "failed", "reason": reason, "error": message, "ending": ""}
    draft.put_side("rollback", replace(draft.side("rollback", side.number), ended_at=draft.now, **changes))
    draft.fields["rollback_failed"] = True
    _settle(draft, side.number)
