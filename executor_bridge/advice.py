"""What a person should do next about a run that has ended, as sentences with the commands to type. Pure.

The order is the order of urgency: what was left half done comes before what may be tried again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge.rollbacks import can_be_undone, undoing
from executor_bridge.validation import failed_checks, failed_dry_runs, what_stopped
from executor_bridge.wording import CAUSE, NAMED, command, cut, listed, step_name, step_names
from schemas.names import execution_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from executor_bridge.definition import Definition
    from schemas.execution import Purpose
    from schemas.messages import Decision, WorkflowRef
    from schemas.run_state import SideState, StepState

_CORRECT: Final = (
    "Correct the errors in status.validationResults.validationErrors and apply the workflow under a new name; "
    "the spec of this one cannot be changed."
)


def recommended_actions(decision: Decision, words: Definition) -> tuple[str, ...]:
    """Return what a person should do next about a run that has ended; nothing after a full success."""
    if decision.state.errors:
        return (_CORRECT,)
    return (
        *_rollbacks(decision, words),
        *_validation(decision, words),
        *_steps(decision, words),
        *_targets(decision),
        *_left(decision, words),
        *_again(decision),
    )


def _rollbacks(decision: Decision, words: Definition) -> Iterator[str]:
    """Escalate what was to be undone and was not."""
    found = undoing(decision.state)
    for side in found.failed[:NAMED]:
        look = _describe(decision.workflow, side, "rollback")
        why = cut(side.error or side.reason or "no reason was given", CAUSE)
        yield f"Undo {step_name(side.number, words)} by hand; its rollback failed: {why}; {look}"
    if found.stopped:
        yield f"Undo {step_names(found.stopped, words)} by hand: the rollback was ended before it was done."
    if found.unknown_how:
        names, was = step_names(found.unknown_how, words), _was(found.unknown_how)
        yield f"Check what was left as it is: {names} completed without a rollbackSpec and {was} not undone."


def _validation(decision: Decision, words: Definition) -> Iterator[str]:
    """Say what kept the run from executing."""
    state, workflow = decision.state, decision.workflow
    if state.phase != "failed" or "validating" not in state.phase_times or "executing" in state.phase_times:
        return
    for check in failed_checks(state)[:NAMED]:
        yield f"Mend what the {check.type} check found: {cut(check.message or 'it gave no reason', CAUSE)}"
    for side in failed_dry_runs(state)[:NAMED]:
        look = _describe(workflow, side, "dry_run")
        yield f"See why the dry run of {step_name(side.number, words)} failed: {look}"
    stop = what_stopped(state)
    if stop == "TimedOut" and words.approval_required and state.approval is None:
        yield "Approve the next one in time, with kubernaut approve."
    if stop == "ApprovalRejected" and state.approval is not None:
        why = f": {state.approval.reason}" if state.approval.reason else ", and gave no reason"
        yield f"Ask {state.approval.by or 'who rejected it'} what must be different{why}"


def _steps(decision: Decision, words: Definition) -> Iterator[str]:
    for step in [step for step in decision.state.steps if step.phase == "failed"][:NAMED]:
        yield f"See why {step_name(step.number, words)} failed: {_describe(decision.workflow, step, 'execute')}"


def _targets(decision: Decision) -> Iterator[str]:
    """Say what monitoring found, when that is not all well."""
    state = decision.state
    if state.monitor is None:
        return
    if state.monitor.alerts:
        yield f"See to what fired while the targets were watched: {cut(listed(state.monitor.alerts), CAUSE)}"
    if state.outcome == "unknown":
        found = cut(state.monitor.message, CAUSE) or "they were not seen to be healthy"
        yield f"Check the targets by hand: {found}"


def _left(decision: Decision, words: Definition) -> Iterator[str]:
    """Say what completed and was not undone, and whether a command can still undo it."""
    state = decision.state
    done = [step for step in state.steps if step.phase == "completed"]
    if not done or state.rollbacks or state.phase == "completed":
        return
    undoable = []
    if state.phase == "failed" and words.rollback_strategy == "manual" and not state.deleting:
        undoable = [step for step in done if can_be_undone(step, words)]
    left = [step for step in done if step not in undoable]
    if left:
        yield f"Check what was left as it is: {step_names(left, words)} completed and {_was(left)} not undone."
    if undoable:
        yield f"Undo {step_names(undoable, words)} if that is better: {command('rollback', decision.workflow)}"


def _again(decision: Decision) -> Iterator[str]:
    if decision.state.phase == "failed":
        yield f"Remove the cause, then run again what was not done: {command('rerun', decision.workflow)}"


def _was(things: Sequence[StepState | SideState]) -> str:
    return "was" if len(things) == 1 else "were"


def _describe(workflow: WorkflowRef, one: StepState | SideState, purpose: Purpose) -> str:
    name = execution_name(workflow.name, one.number, one.attempt or 1, purpose)
    return f"kubectl -n {workflow.namespace} describe kubernetesexecution {name}"
