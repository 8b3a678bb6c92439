"""Before anything is executed: safety checks, a dry run of every step, an approval. Pure; works on a `Draft` only.

Source of the rules: spec.md section 3. All of it, the wait for a person included, has five minutes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scheduler import commanding
from scheduler.definition import Approval, Definition
from scheduler.draft import Draft
from scheduler.ending import fail
from scheduler.inputs import Execution
from scheduler.orders import holds_template
from schemas.messages import CheckReported, CheckTarget, RunCheck
from schemas.run_state import ApprovalState, CheckState, SideState
from schemas.workflow import Step

replace = msgspec.structs.replace

LIMIT_MS: Final = 5 * 60 * 1000
_SHORT: Final = 253
"""Characters of a parameter that a check is told: longer ones are no names of things."""


def begin(draft: Draft) -> None:
    """Ask for every check."""
    draft.arm("phase", draft.now + LIMIT_MS)
    targets = _targets(draft.plan.steps)
    checks = []
    for place, asked in enumerate(draft.plan.strategy.safety_checks, 1):
        checks.append(CheckState(id=f"check-{place}", type=asked.type, required=asked.required))
        draft.commands.append(RunCheck(check=f"check-{place}", type=asked.type, targets=targets))
    if checks:
        draft.fields["checks"] = tuple(checks)


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
    if draft.plan.strategy.approval_required and draft.get("approval") is None:
        return False
    draft.disarm("phase")
    return True


def time_over(draft: Draft) -> None:
    """Not everything was there in time."""
    waited_for_person = "validated" in draft.get("phase_times")
    if waited_for_person:
        reason, message = (
            "approval_timed_out",
            "nobody approved the run within 5 minutes; apply it again under a new name",
        )
    else:
        reason, message = "validation_timed_out", f"validating took longer than 5 minutes: {_open(draft)}"
    fail(draft, "refused", reason=reason, message=message)


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
    """Take in what a person said of the plan: the first word that is about this plan counts."""
    said = seen.approval
    if said is None or said.verdict not in {"approved", "rejected"} or said.mark == draft.get("early_approval"):
        return
    known: ApprovalState | None = draft.get("approval")
    if draft.phase in {"queued", "planning"}:
        draft.fields["early_approval"] = said.mark
        draft.refuse("approval", "there is no plan yet; look at the plan when it is there, and approve it then")
    elif draft.phase == "validating" and known is None:
        _judge(draft, said)
    elif known is not None and (said.verdict, said.by) != (known.verdict, known.by):
        draft.refuse("approval", f"the run was {known.verdict} by {known.by} already; cancel it to stop it")


def _judge(draft: Draft, said: Approval) -> None:
    plan = draft.plan.state.digest if draft.plan.state else ""
    if not draft.plan.strategy.approval_required:
        draft.refuse("approval", "this run asks for none")
        return
    if said.plan and said.plan != plan:
        draft.refuse("approval", f"it names plan {said.plan[:16]}, and this run's plan is {plan[:16]}")
        return
    by = said.by or "somebody who is not named"
    draft.grant("approval")
    draft.fields["approval"] = ApprovalState(
        verdict="approved" if said.verdict == "approved" else "rejected",
        by=by,
        reason=said.reason,
        at=draft.now,
        plan=plan,
    )
    why = f": {said.reason}" if said.reason else ""
    draft.tell_run(said.verdict, reason=f"approval_{said.verdict}", message=f"{said.verdict} by {by}{why}")
    if said.verdict == "rejected":
        fail(draft, "refused", reason="approval_rejected", message=f"rejected by {by}{why}")


def take_dry_run(draft: Draft, seen: Execution) -> None:
    """Take in an end of a step's dry run."""
    side = draft.side("dry_run", seen.step)
    draft.disarm(commanding.timer("dry_run", seen.step))
    good = seen.ending == "completed"
    _end_dry_run(draft, side, "completed" if good else "failed", seen.reason, seen.error, findings=seen.findings)


def dry_run_over(draft: Draft, number: int) -> None:
    """The time of a dry run is over: end it, and count it as failed."""
    side = draft.side("dry_run", number)
    if side.execution_uid:
        commanding.delete(draft, side, "dry_run")
    else:
        draft.put_side("dry_run", replace(side, abandoned=side.attempt))
    side = draft.side("dry_run", number)
    _end_dry_run(draft, side, "failed", "timed_out", "the dry run did not end in time and was ended")


def refuse_dry_run(draft: Draft, number: int, reason: str, message: str) -> None:
    """The cluster refused to create it."""
    draft.disarm(commanding.timer("dry_run", number))
    _end_dry_run(draft, draft.side("dry_run", number), "failed", reason, message)


def _end_dry_run(draft: Draft, side: SideState, phase: Any, reason: str, error: str, **known: Any) -> None:
    ended = replace(side, phase=phase, reason=reason, error=error[:1024], ended_at=draft.now, held=False, **known)
    draft.put_side("dry_run", ended)


def _dry_runs_done(draft: Draft) -> bool:
    """Start what may start; whether every step's dry run has passed. One that failed ends the run."""
    if not draft.sides["dry_run"]:
        draft.sides["dry_run"] = [SideState(number=step.step_number) for step in draft.plan.steps]
        draft.ready = [step.step_number for step in draft.plan.steps]
        draft.touched = True
    failed = [side for side in draft.sides["dry_run"] if side.phase == "failed"]
    while draft.ready and not failed and not draft.get("paused_at") and draft.in_flight < draft.get("limit"):
        _start(draft, draft.ready.pop(0))
    if draft.in_flight or (draft.ready and not failed):
        return False
    if failed:
        names = ", ".join(str(side.number) for side in failed[:10])
        message = f"the dry run of step {names} failed: {failed[0].error or failed[0].reason}"
        fail(draft, "refused", reason="dry_run_failed", message=message)
        return False
    return True


def _start(draft: Draft, number: int) -> None:
    """Command a dry run; of parameters that only earlier steps can fill in nothing can be known before."""
    planned = draft.plan.step(number)
    side = draft.side("dry_run", number)
    if draft.step(number).phase == "skipped":
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


def _open(draft: Draft) -> str:
    open_checks = [check.type for check in draft.get("checks") if check.required and check.passed is None]
    if open_checks:
        return f"no result of the {', '.join(open_checks)} check; see whether the executor bridge is well"
    running = [str(side.number) for side in draft.sides["dry_run"] if side.phase in {"pending", "executing"}]
    return f"the dry run of step {', '.join(running[:10])} had not ended" if running else "it was paused"
