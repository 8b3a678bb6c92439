"""What people ask of a run: pause, resume, cancel, skip, retry, rollback. Pure; works on a `Draft` only.

Every request is either accepted or refused with the reason; never silently dropped. docs/control.md shows what means
something in which phase. What is asked for stands on the object, so a request is looked at again with every version of
it: one that was accepted is not taken twice, one that was refused is said once for each reason.
"""

from __future__ import annotations

from typing import Final

import msgspec

from scheduler import commanding, executing, rolling_back
from scheduler.definition import WORDS, Definition, control_of
from scheduler.draft import STOPPABLE, Draft
from scheduler.ending import OVER, end
from schemas.messages import DeleteWorkflow, HoldWorkflow
from schemas.workflow import Cancel

replace = msgspec.structs.replace

PAUSABLE: Final = frozenset({"queued", "validating", "executing", "rolling_back"})


def take(draft: Draft, seen: Definition) -> None:
    """Look at everything that an object asks for; one that cannot be read asks for nothing, not even for less."""
    if seen.spec is None:
        return
    asked = control_of(seen)
    _pause(draft, paused=asked.paused)
    if asked.cancel is not None and not draft.get("control").cancel:
        _cancel(draft, asked.cancel)
    _overrides(draft, [(each.step_number, each.operation, each.reason[:WORDS]) for each in asked.overrides])
    if asked.rollback is not None and not draft.get("control").rollback:
        _rollback(draft, asked.rollback.reason[:WORDS])
        if draft.phase == "rolling_back":
            _pause(draft, paused=asked.paused)  # there is something again that a pause can hold back


def take_later(draft: Draft) -> None:
    """Take in the overrides that came while the run waited for its place; where it ended there they are refused."""
    later = draft.get("control").later
    if later:
        _note(draft, later=())
        for number, operation, reason in later:
            _override(draft, number, operation, reason)


def _note(draft: Draft, **changes: object) -> None:
    draft.fields["control"] = replace(draft.get("control"), **changes)


def _pause(draft: Draft, *, paused: bool) -> None:
    if paused == draft.get("control").paused:
        draft.grant("pause")  # one that was refused is not asked for any more
        return
    if paused and draft.phase not in PAUSABLE:
        draft.refuse("pause", "nothing starts any more that a pause could hold back")
        return
    _note(draft, paused=paused)
    draft.grant("pause")
    if paused:
        still = {name: at - draft.now for name, at in draft.timers.items() if name in STOPPABLE}
        draft.disarm(*still)
        draft.fields |= {"paused_at": draft.now, "stopped": still}
        draft.tell_run("paused", reason="paused", message="no new step starts; steps in flight finish")
    elif draft.get("paused_at"):
        left = draft.get("stopped")
        draft.fields |= {"paused_at": 0, "stopped": {}}
        for name, milliseconds in left.items():
            draft.arm(name, draft.now + milliseconds)
        draft.tell_run("resumed", reason="resumed")


def _cancel(draft: Draft, asked: Cancel) -> None:
    why = f"cancelled by a person ({asked.mode})" + (f": {asked.reason[:WORDS]}" if asked.reason else "")
    if draft.ended:
        draft.refuse("cancel", OVER)
    elif draft.phase == "rolling_back" and asked.mode == "rollback":
        draft.refuse("cancel", "it is being rolled back already")
    else:
        _note(draft, cancel=asked.mode)
        draft.grant("cancel")
        draft.tell_run("", reason="cancelled", message=why)
        _CANCEL[draft.phase](draft, asked.mode, why)


def _cancel_now(draft: Draft, _mode: str, why: str) -> None:
    """Nothing was done yet that would have to end or be undone."""
    draft.fields["failure_reason"] = why
    end(draft, "cancelled", outcome="cancelled", reason="cancelled", message=why)
    take_later(draft)


def _cancel_executing(draft: Draft, mode: str, why: str) -> None:
    how = "cancelled_rolled_back" if mode == "rollback" else "cancelled"
    draft.fields |= {"closing": how, "closing_reason": "cancelled", "failing": why}
    if mode != "stop":
        for step in tuple(draft.steps):
            if step.phase == "executing":
                executing.end_step(draft, step.number, "cancelled")


def _cancel_monitoring(draft: Draft, mode: str, why: str) -> None:
    if mode == "rollback":
        draft.fields |= {"closing": "cancelled_rolled_back", "closing_reason": "cancelled", "failing": why}
    else:
        _cancel_now(draft, mode, why)


def _cancel_rolling_back(draft: Draft, mode: str, why: str) -> None:
    draft.fields |= {"closing": "cancelled", "closing_reason": "cancelled", "failing": why}
    if mode == "terminate":
        for side in tuple(draft.sides["rollback"]):
            if side.phase == "executing":
                rolling_back.end_undo(draft, side.number, "cancelled")


_CANCEL: Final = {
    "queued": _cancel_now,
    "validating": _cancel_now,
    "executing": _cancel_executing,
    "monitoring": _cancel_monitoring,
    "rolling_back": _cancel_rolling_back,
}


def _overrides(draft: Draft, asked: list[tuple[int, str, str]]) -> None:
    """Take in those that are new: the list only ever grows."""
    known = draft.get("control")
    fresh = asked[known.overrides :]
    if not fresh:
        return
    _note(draft, overrides=len(asked))
    for number, operation, reason in fresh:
        if draft.phase == "queued" and operation == "skip":
            _note(draft, later=(*draft.get("control").later, (number, operation, reason)))
        else:
            _override(draft, number, operation, reason)


def _override(draft: Draft, number: int, operation: str, reason: str) -> None:
    refused = _skip(draft, number, reason) if operation == "skip" else _retry(draft, number, reason)
    if refused:
        draft.refuse(f"{operation}-{number}", refused)
    else:
        draft.grant(f"{operation}-{number}")


def _skip(draft: Draft, number: int, reason: str) -> str:
    """Skip a step; the reason why not, where that means nothing."""
    if refused := _no_override(draft, number, "validating", "executing"):
        return refused
    step = draft.step(number)
    message = "skipped by a person" + (f": {reason}" if reason else "")
    if step.phase == "executing":
        executing.end_step(draft, number, "skipped", message)
    elif step.phase in {"pending", "waiting_retry"}:
        draft.disarm(commanding.timer("execute", number))
        draft.move_step(number, "skipped", "skipped", reason=executing.SKIPPED, message=message, error=message)
        executing.settle(draft, number)
    else:
        return f"step {number} is {step.phase} already"
    return ""


def _retry(draft: Draft, number: int, reason: str) -> str:
    """Try a failed step once more, or one that waits at once; the reason why not, where that means nothing."""
    if refused := _no_override(draft, number, "executing"):
        return refused
    step = draft.step(number)
    if step.phase not in {"failed", "waiting_retry"}:
        return f"step {number} is {step.phase}; only a failed step can be tried again"
    if draft.get("closing_reason") not in {"", executing.STEP_FAILED}:
        return "the run is about to end"
    message = "a person asked for it" + (f": {reason}" if reason else "")
    if step.phase == "failed":
        executing.revive(draft, number, message)
    else:
        draft.move_step(number, "retry_planned", "retrying", reason="retry_asked", message=message)
    draft.arm(commanding.timer("execute", number), draft.now)
    return ""


def _no_override(draft: Draft, number: int, *phases: str) -> str:
    if draft.ended:
        return OVER
    if draft.phase not in phases:
        return f"in phase {draft.phase} it means nothing"
    return "" if number in draft.plan.place else f"there is no step {number}"


def _rollback(draft: Draft, reason: str) -> None:
    why = "a person asked for the rollback" + (f": {reason}" if reason else "")
    if refused := _no_rollback(draft):
        draft.refuse("rollback", refused)
    else:
        _note(draft, rollback=True)
        draft.grant("rollback")
        draft.fields |= {"closing": "rolled_back", "held": True, "audit_answered": draft.get("audit_looks")}
        draft.fields["failing"] = draft.get("failure_reason")
        draft.commands = [each for each in draft.commands if not isinstance(each, DeleteWorkflow)]
        draft.commands.append(HoldWorkflow())
        rolling_back.begin(draft, "rollback_asked", reason="rollback_asked", why=why)


def _no_rollback(draft: Draft) -> str:
    """Why the run cannot be rolled back on demand; the first that holds."""
    early = "the run has not failed; if it fails it is rolled back, to do so now cancel it with mode rollback"
    phase, steps = draft.phase, draft.steps
    reasons = (
        (draft.plan.strategy.rollback_strategy == "none", "executionStrategy.rollbackStrategy is none"),
        (phase == "rolling_back", "it is being rolled back already"),
        (not draft.ended, early),
        (phase != "failed", f"only a failed run can be rolled back, this one is {phase}"),
        (bool(draft.sides["rollback"]), "the run was rolled back already"),
        (all(step.phase != "completed" for step in steps), "no step was completed, so there is nothing to undo"),
    )
    return next((reason for holds, reason in reasons if holds), "")
