"""The rules of a run: what a fact means, what may start, when it has ended. Pure; works on a `Draft` only.

Source of the rules: spec.md section 3. Repeats and old news change nothing: an execution is taken in by its version, a
workflow object by its resourceVersion, a refusal only while its step waits for the execution.
"""

from __future__ import annotations

from typing import Any

import msgspec

from scheduler.definition import Definition, control_of
from scheduler.draft import Draft
from scheduler.inputs import ERROR_LIMIT, Execution
from scheduler.unsupported import asked_of
from schemas.messages import CommandRefused, HoldWorkflow, Refusal, ReleaseWorkflow
from schemas.names import idempotency_key
from schemas.run_state import StepState

replace = msgspec.structs.replace


def begin(draft: Draft) -> None:
    """Take a new run through planning and validating into executing, or refuse it with every error."""
    plan, definition = draft.plan, draft.plan.definition
    draft.move_run("admitted")
    draft.fields |= {
        "started_at": draft.now,
        "generation": definition.generation,
        "object_version": definition.version,
        "definition_sequence": definition.sequence,
        "spec_hash": definition.spec_hash,
    }
    if definition.deleted or definition.deleting:
        end_early(draft, definition)
        return
    if definition.decided:
        draft.fields["failure_reason"] = (
            f"the log of this run is gone (its status shows decision {definition.decided}); nothing more is done,"
            " because what was done already cannot be known. Look at its executions, then create the workflow again"
        )
        fail(draft, "refused", reason="log_lost")
        return
    if plan.errors:
        more = f" (and {len(plan.errors) - 1} more)" if len(plan.errors) > 1 else ""
        draft.fields |= {"errors": plan.errors, "failure_reason": f"planning refused: {plan.errors[0]}{more}"[:4096]}
        fail(draft, "refused", reason="invalid_workflow")
        return
    draft.fields |= {"plan": plan.state, "limit": plan.limit, "held": True}
    draft.steps = [StepState(number=s.step_number, blockers=len(plan.before[s.step_number])) for s in plan.steps]
    for step in draft.steps:
        if step.blockers == 0:
            draft.make_ready(step.number)
    draft.move_run("planned", "planned")
    draft.tell_run("validated", reason="nothing_to_check")
    draft.move_run("started", "started")
    draft.commands.append(HoldWorkflow())


def take_workflow(draft: Draft, seen: Definition) -> None:
    """Take in a newer version of the workflow object: its deletion, or what people ask for."""
    if seen.version <= draft.get("object_version") or draft.get("gone"):
        return
    if seen.deleted or seen.deleting:
        end_early(draft, seen)
        return
    asked = {op: f"{text}: not supported by this version" for op, text in asked_of(control_of(seen)).items()}
    if not seen.errors and seen.spec_hash != draft.get("spec_hash"):
        asked["spec"] = f"{seen.spec_hash[:8]}: the run goes on with the spec that it was planned with"
    known = draft.get("refusals")
    for operation, message in asked.items():
        if known.get(operation) != message:
            draft.refusals.append(Refusal(operation=operation, message=f"{operation} is refused: {message}"))
    if asked != known:
        draft.fields |= {"refusals": asked, "object_version": seen.version, "generation": seen.generation}


def end_early(draft: Draft, seen: Definition) -> None:
    """The object is being deleted or gone: end the run, end its executions, let the object go."""
    if not draft.ended:
        draft.fields |= {"failure_reason": "the workflow was deleted before it had ended", "outcome": "cancelled"}
        for step in tuple(draft.steps):
            if step.phase == "executing":
                draft.move_step(step.number, "cancelled", "cancelled", reason="workflow_deleted")
                if step.execution_uid:
                    draft.delete(step.number)
            elif step.phase == "pending":
                draft.move_step(step.number, "cancelled", "cancelled", reason="workflow_deleted")
        draft.move_run("cancelled", "cancelled", reason="workflow_deleted")
    if seen.deleted and not draft.get("gone"):
        draft.fields |= {"gone": True, "deleting": True, "held": False}
        draft.tell_run("deleted", reason="workflow_deleted")
    elif seen.deleting and (draft.get("held") or (seen.held and not draft.get("deleting"))):
        draft.fields |= {"deleting": True, "held": False}
        draft.commands.append(ReleaseWorkflow())
    if draft.changed:
        draft.fields["object_version"] = max(seen.version, draft.get("object_version"))


def take_execution(draft: Draft, seen: Execution) -> bool:
    """Take in a version of an execution; False when it is none of this state's (foreign, or of a later attempt)."""
    if seen.step not in draft.plan.place or not draft.steps:
        return False
    step = draft.step(seen.step)
    if seen.key != idempotency_key(draft.plan.definition.ref.uid, seen.step, seen.attempt):
        return False
    if seen.attempt > step.attempt or (step.execution_uid and step.execution_uid != seen.uid):
        return False
    if seen.attempt < step.attempt or seen.version <= step.execution_version:
        return True
    if step.phase == "executing":
        _advance(draft, step, seen)
    elif step.phase == "cancelled" and not step.execution_uid and not seen.ending and not seen.deleting:
        draft.put(replace(step, execution_uid=seen.uid, execution_version=seen.version))
        draft.delete(seen.step)
    return True


def _advance(draft: Draft, step: StepState, seen: Execution) -> None:
    known: dict[str, Any] = {"execution_uid": seen.uid, "execution_version": seen.version}
    if not step.execution_uid and seen.ending != "deleted":
        draft.move_step(step.number, "observed", "started", **known)
    if not seen.ending:
        if seen.deleting and step.held:
            draft.put(replace(draft.step(step.number), execution_version=seen.version))
            draft.release(step.number)
        return
    known["execution_version"] = seen.version
    if seen.ending == "completed":
        draft.move_step(
            step.number, "completed", "completed", **known, result=seen.result, affected=seen.affected, error=""
        )
    else:
        draft.move_step(
            step.number,
            "failed",
            "failed",
            reason=seen.reason,
            message=seen.error,
            **known,
            error=seen.error,
            affected=seen.affected,
        )
    draft.release(step.number, gone=seen.gone)
    settle(draft, step.number)


def take_refusal(draft: Draft, seen: CommandRefused) -> None:
    """Take in that the cluster refused a command: a step whose execution cannot be created has failed."""
    if seen.command != "create_execution" or seen.step not in draft.plan.place or not draft.steps:
        return
    step = draft.step(seen.step)
    if step.phase != "executing" or step.attempt != seen.attempt or step.execution_uid:
        return
    message = seen.message[:ERROR_LIMIT]
    draft.move_step(seen.step, "failed", "failed", reason=seen.reason, message=message, error=message, held=False)
    settle(draft, seen.step)


def settle(draft: Draft, ended: int) -> None:
    """A step has ended: unblock what depended on it, skip what cannot run any more, note a critical failure."""
    waiting = [ended]
    while waiting:
        number = waiting.pop()
        step = draft.step(number)
        if step.phase == "failed" and draft.plan.step(number).critical_step and not draft.get("failing"):
            name = draft.plan.step(number).name or draft.plan.step(number).action
            draft.fields["failing"] = f"critical step {number} ({name}) failed: {step.error or step.reason}"
        for dependent in draft.plan.after[number]:
            blocked = draft.step(dependent)
            draft.put(replace(blocked, blockers=blocked.blockers - 1))
            if blocked.blockers > 1 or blocked.phase != "pending":
                continue
            broken = [d for d in sorted(draft.plan.before[dependent]) if not _lets_through(draft.step(d))]
            if broken and not draft.get("failing"):
                message = f"step {broken[0]} did not complete"
                draft.move_step(
                    dependent, "skipped", "skipped", reason="dependency_failed", message=message, error=message
                )
                waiting.append(dependent)
            elif not broken:
                draft.make_ready(dependent)


def _lets_through(step: StepState) -> bool:
    return step.phase == "completed" or (step.phase == "skipped" and step.reason != "dependency_failed")


def go_on(draft: Draft) -> None:
    """Start what may start, up to the limit; end the run when nothing is left to do."""
    if draft.phase != "executing":
        return
    if not draft.get("failing"):
        for number in _in_order(draft)[: draft.get("limit") - draft.in_flight]:
            draft.start(number)
    if draft.in_flight:
        return
    if draft.get("failing"):
        for step in tuple(draft.steps):
            if step.phase == "pending":
                draft.move_step(step.number, "cancelled", "cancelled", reason="run_failed")
        draft.fields["failure_reason"] = draft.get("failing")
        fail(draft, "critical_step_failed", reason="critical_step_failed")
    elif draft.settled == len(draft.steps):
        partial = any(s.phase == "failed" for s in draft.steps)
        draft.fields["outcome"] = "partial_success" if partial else "success"
        draft.move_run("steps_ended", "completed", reason=draft.fields["outcome"])
        let_go(draft)


def fail(draft: Draft, event: str, *, reason: str) -> None:
    """End the run as failed; the failure reason is in the draft already."""
    draft.fields["outcome"] = "failed"
    draft.move_run(event, "failed", reason=reason, message=draft.get("failure_reason"))
    let_go(draft)


def let_go(draft: Draft) -> None:
    """The end is recorded by this decision: our finalizer may come off the object."""
    if draft.get("held"):
        draft.fields["held"] = False
        draft.commands.append(ReleaseWorkflow())


def _in_order(draft: Draft) -> list[int]:
    if not draft.plan.longest_first:
        return list(draft.ready)
    return sorted(draft.ready, key=lambda number: (-draft.plan.remaining[number], number))
