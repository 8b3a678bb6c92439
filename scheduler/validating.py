"""Before anything is executed: safety checks, a dry run of every step, an approval. Pure; works on a `Draft` only.

Source of the rules: spec.md section 3. All of it, the wait for a person included, has five minutes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scheduler import commanding
from scheduler.definition import Approval, Definition
from scheduler.draft import Draft
from scheduler.ending import OVER, fail
from scheduler.inputs import Execution
from scheduler.orders import holds_template
from schemas.messages import CheckReported, CheckTarget, RunCheck
from schemas.run_state import ApprovalState, CheckState, SideState
from schemas.workflow import Step

replace = msgspec.structs.replace

LIMIT_MS: Final = 5 * 60 * 1000
_NO_PLAN: Final = "it was written before there was a plan; look at the plan and approve again"
_SHORT: Final = 253
"""Characters of a parameter that a check is told: longer ones are no names of things."""


def begin(draft: Draft) -> None:
    """Ask for every check; an approval that names this very plan may be there already."""
    draft.arm("phase", draft.now + LIMIT_MS)
    targets = _targets(draft.plan.steps)
    checks = []
    for place, asked in enumerate(draft.plan.strategy.safety_checks, 1):
        checks.append(CheckState(id=f"check-{place}", type=asked.type, required=asked.required))
        draft.commands.append(RunCheck(check=f"check-{place}", type=asked.type, targets=targets))
    if checks:
        draft.fields["checks"] = tuple(checks)
    known: ApprovalState | None = draft.get("approval")
    if known is not None and known.plan == _digest(draft):
        _tell_approval(draft, known)
    elif known is not None:
        draft.fields["approval"] = None
        draft.refuse("approval", _other_plan(draft, known.plan))


def go_on(draft: Draft) -> bool:
    """Whether all that was asked for is there; starts dry runs up to the limit."""
    checks: tuple[CheckState, ...] = draft.get("checks")
    if any(check.required and check.passed is None for check in checks):
        return False
    failed = next((check for check in checks if check.required and not check.passed), None)
    if failed is not None:
        message = f"the {failed.type} check failed: {failed.message}"
        fail(draft, "refused", reason="check_failed", message=message)
        return False
    if draft.plan.strategy.dry_run_first and not _dry_runs_done(draft):
        return False
    if "validated" not in draft.get("phase_times"):
        draft.note_time("validated")
        draft.tell_run("validated", reason="passed" if checks or draft.sides["dry_run"] else "nothing_to_check")
    if _wants_approval(draft):
        return False
    draft.disarm("phase")
    return True


def time_over(draft: Draft) -> None:
    """Not everything was there in time. What came with this very message was: `go_on` says what follows from it."""
    if missing := _missing(draft):
        message = f"validating took longer than 5 minutes: {missing}"
        fail(draft, "refused", reason="validation_timed_out", message=message)
    elif _wants_approval(draft) and not _has_failed(draft):
        message = "nobody approved the run within 5 minutes; apply it again under a new name"
        fail(draft, "refused", reason="approval_timed_out", message=message)


def take_check(draft: Draft, seen: CheckReported) -> None:
    """Take in the result of a safety check, once."""
    checks: tuple[CheckState, ...] = draft.get("checks")
    if not any(check.id == seen.check and check.passed is None for check in checks):
        return
    draft.fields["checks"] = tuple(
        replace(check, passed=seen.passed, message=seen.message[:1024], ended_at=draft.now)
        if check.id == seen.check
        else check
        for check in checks
    )


def take_approval(draft: Draft, seen: Definition) -> None:
    """Take in what a person said of the plan: the first word that is about this plan counts, any other is refused."""
    said = seen.approval
    if said is None or said.mark == draft.get("early_approval"):
        return
    known: ApprovalState | None = draft.get("approval")
    by = said.by or "somebody who is not named"
    if known is not None and (said.verdict, by) == (known.verdict, known.by):
        return
    if refused := _no_approval(draft, said):
        draft.refuse("approval", refused)
        if refused == _NO_PLAN:
            draft.fields["early_approval"] = said.mark
        return
    verdict: Any = said.verdict
    draft.grant("approval")
    known = ApprovalState(verdict=verdict, by=by, reason=said.reason, at=draft.now, plan=_digest(draft))
    draft.fields["approval"] = known
    if draft.phase == "validating":
        _tell_approval(draft, known)


def _no_approval(draft: Draft, said: Approval) -> str:
    """Why nothing comes of it, the first that holds. While the run is queued only one that names the plan counts."""
    known: ApprovalState | None = draft.get("approval")
    planned, early = draft.plan.state is not None, draft.phase != "validating"
    given = f"the run was {known.verdict} by {known.by} already; while it goes on, a cancel stops it" if known else ""
    reasons = (
        (said.verdict not in {"approved", "rejected"}, f"{said.verdict!r} is neither approved nor rejected"),
        (not planned, OVER if draft.ended else _NO_PLAN),
        (not draft.plan.strategy.approval_required, "this run asks for none"),
        (bool(said.plan) and said.plan != _digest(draft), _other_plan(draft, said.plan)),
        (bool(given), given),
        (draft.ended, OVER),
        (early and not said.plan, _NO_PLAN),
    )
    return next((reason for holds, reason in reasons if holds), "")


def _tell_approval(draft: Draft, known: ApprovalState) -> None:
    why = f": {known.reason}" if known.reason else ""
    message = f"{known.verdict} by {known.by}{why}"
    draft.tell_run(known.verdict, reason=f"approval_{known.verdict}", message=message)
    if known.verdict == "rejected":
        fail(draft, "refused", reason="approval_rejected", message=message)


def _wants_approval(draft: Draft) -> bool:
    return draft.plan.strategy.approval_required and draft.get("approval") is None


def _digest(draft: Draft) -> str:
    return draft.plan.state.digest if draft.plan.state else ""


def _other_plan(draft: Draft, named: str) -> str:
    return f"it names plan {named[:16]}, and this run's plan is {_digest(draft)[:16]}"


def take_dry_run(draft: Draft, seen: Execution) -> None:
    """Take in an end of a step's dry run."""
    side = draft.side("dry_run", seen.step)
    draft.disarm(commanding.timer("dry_run", seen.step))
    good = seen.ending == "completed"
    _end_dry_run(draft, side, "completed" if good else "failed", seen.reason, seen.error, findings=seen.findings)


def dry_run_over(draft: Draft, number: int) -> None:
    """The time of a dry run is over: command its end; of one that has not shown up since, give it up."""
    side = draft.side("dry_run", number)
    if side.ending:
        commanding.abandon(draft, side, "dry_run")
        dry_run_ended(draft, number)
        return
    draft.put_side("dry_run", replace(side, ending="timed_out"))
    if commanding.end(draft, side, "dry_run", last=False):
        dry_run_ended(draft, number)


def dry_run_ended(draft: Draft, number: int) -> None:
    """The end that was commanded has come, or is not waited for any more."""
    draft.disarm(commanding.timer("dry_run", number))
    side = draft.side("dry_run", number)
    _end_dry_run(draft, side, "failed", "timed_out", "the dry run did not end in time and was ended")


def refuse_dry_run(draft: Draft, number: int, reason: str, message: str) -> None:
    """The cluster refused to create it."""
    draft.disarm(commanding.timer("dry_run", number))
    _end_dry_run(draft, draft.side("dry_run", number), "failed", reason, message)


def _end_dry_run(draft: Draft, side: SideState, phase: Any, reason: str, error: str, **known: Any) -> None:
    ended = replace(side, phase=phase, reason=reason, error=error, ended_at=draft.now, ending="", **known)
    draft.put_side("dry_run", ended)


def _dry_runs_done(draft: Draft) -> bool:
    """Start what may start; whether every step's dry run has passed. One that failed ends the run."""
    if not draft.sides["dry_run"]:
        draft.sides["dry_run"] = [SideState(number=step.step_number) for step in draft.plan.steps]
        draft.ready = [step.step_number for step in draft.plan.steps]
    failed = _failed_dry_runs(draft)
    while draft.ready and not failed and not draft.get("paused_at") and draft.in_flight < draft.get("limit"):
        _start(draft, draft.ready.pop(0))
    if draft.in_flight or (draft.ready and not failed):
        return False
    if failed:
        names = ", ".join(str(side.number) for side in failed)
        message = f"the dry run of step {names} failed: {failed[0].error or failed[0].reason}"
        fail(draft, "refused", reason="dry_run_failed", message=message)
        return False
    return True


def _start(draft: Draft, number: int) -> None:
    """Command a dry run; of parameters that only earlier steps can fill in nothing can be known before."""
    planned = draft.plan.step(number)
    side = draft.side("dry_run", number)
    if _is_skipped(draft, number):
        draft.put_side("dry_run", replace(side, phase="skipped", reason="skipped_by_person"))
        return
    if holds_template(planned.parameters):
        note = "!its parameters hold expressions, which are known only when it runs"
        draft.put_side("dry_run", replace(side, phase="skipped", reason="not_known_yet", findings=(note,)))
        return
    order = commanding.Order(
        action=planned.action, parameters=planned.parameters, timeout_ms=draft.plan.timeouts[number]
    )
    commanding.create(draft, number, 1, "dry_run", order)
    draft.put_side("dry_run", replace(side, phase="executing", attempt=1, started_at=draft.now))


def _targets(steps: tuple[Step, ...]) -> tuple[CheckTarget, ...]:
    """Return what the steps are about, each thing once, with the parameters that can be names or amounts."""
    found: dict[bytes, CheckTarget] = {}
    for step in steps:
        short = {name: value for name, value in step.parameters.items() if _is_short(value)}
        key = msgspec.json.encode((step.action, short, step.target_cluster), order="deterministic")
        target = CheckTarget(
            step=step.step_number, action=step.action, parameters=short, target_cluster=step.target_cluster
        )
        found.setdefault(key, target)
    return tuple(found.values())


def _is_short(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _SHORT)


def _missing(draft: Draft) -> str:
    """What there is no result of yet; empty when all is there but, maybe, an approval."""
    open_checks = [check.type for check in draft.get("checks") if check.required and check.passed is None]
    if open_checks:
        return f"no result of the {', '.join(open_checks)} check; see whether the executor bridge is well"
    sides = draft.sides["dry_run"]
    running = [str(side.number) for side in sides if side.phase in {"pending", "executing"}]
    if draft.plan.strategy.dry_run_first and not sides:
        running = [str(step.step_number) for step in draft.plan.steps]
    return f"the dry run of step {', '.join(running[:10])} had not ended" if running else ""


def _has_failed(draft: Draft) -> bool:
    return any(check.required and not check.passed for check in draft.get("checks")) or bool(_failed_dry_runs(draft))


def _failed_dry_runs(draft: Draft) -> list[SideState]:
    """Those of steps that a person skipped do not count."""
    return [side for side in draft.sides["dry_run"] if side.phase == "failed" and not _is_skipped(draft, side.number)]


def _is_skipped(draft: Draft, number: int) -> bool:
    return draft.step(number).phase == "skipped"
