"""How far each step is, as a status shows it: its execution, what it waits for, and how undoing it goes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge.rollbacks import NO_ROLLBACK_SPEC
from executor_bridge.times import rfc3339_or_none
from executor_bridge.wording import cut, retry, words_of
from schemas.fields import SENTENCE_LIMIT
from schemas.names import execution_name
from schemas.workflow_status import ExecutionRef, StepStatus

if TYPE_CHECKING:
    from executor_bridge.definition import Definition
    from schemas.messages import Decision
    from schemas.run_state import SideState, StepState

CODE: Final = 128
"""Characters of a reason, as in schemas.workflow_status."""
_ALL_ERRORS: Final = 256 * 1024
"""Characters of the errors of all steps together: an object has 1.5 MiB for everything, the spec included."""
_UNDOING: Final = {"executing": "rolling_back", "waiting_retry": "rolling_back", "failed": "rollback_failed"}
"""Reason of a completed step by the phase of its rollback."""


def steps_of(decision: Decision, words: Definition) -> tuple[StepStatus, ...]:
    """Return the status of every step, in rising order of numbers.

    A completed step says by its reason how undoing it goes: rolling_back, rollback_failed or no_rollback_spec.
    """
    state = decision.state
    limit = min(SENTENCE_LIMIT, _ALL_ERRORS // max(sum(bool(step.error) for step in state.steps), 1))
    undoing = {side.number: side for side in state.rollbacks}
    return tuple(_step(step, undoing.get(step.number), decision, words, limit) for step in state.steps)


def _step(step: StepState, undoing: SideState | None, decision: Decision, words: Definition, limit: int) -> StepStatus:
    known = words_of(step.number, words)
    reason, error = step.reason, step.error
    if step.phase == "waiting_retry":
        error = retry(step, decision, words)
    elif step.phase == "completed" and undoing is not None:
        reason, error = _undone(undoing, decision, words) or (reason, error)
    reference = None
    if step.attempt:
        name = execution_name(decision.workflow.name, step.number, step.attempt)
        reference = ExecutionRef(name=name, uid=step.execution_uid)
    return StepStatus(
        step_number=step.number,
        name=known.name,
        action=known.action,
        status=step.phase,
        reason=reason[:CODE],
        start_time=rfc3339_or_none(step.started_at),
        end_time=rfc3339_or_none(step.ended_at),
        result=step.result,
        error_message=cut(error, limit),
        retries_attempted=step.retries,
        k8s_execution_ref=reference,
    )


def _undone(side: SideState, decision: Decision, words: Definition) -> tuple[str, str] | None:
    """Return reason and message of a completed step by its rollback; None when that says nothing."""
    if side.phase == "skipped":
        return (NO_ROLLBACK_SPEC, "") if side.reason == NO_ROLLBACK_SPEC else None
    reason = _UNDOING.get(side.phase)
    if reason is None:
        return None
    if side.phase == "waiting_retry":
        return reason, retry(side, decision, words, timer="undo", what="the rollback")
    return reason, side.error
