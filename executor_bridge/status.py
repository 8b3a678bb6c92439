"""The status of a WorkflowExecution as a function of the decision that it shows and the definition's words. Pure.

It is a view: nothing reads it back. Must stay possible without a definition, for a run whose definition makes no sense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from executor_bridge import advice
from executor_bridge.conditions import conditions_of
from executor_bridge.definition import Definition, StepWords
from executor_bridge.times import rfc3339_or_none
from schemas import durations
from schemas.names import execution_name
from schemas.workflow_status import (
    TERMINAL_PHASES,
    TERMINAL_STEP_PHASES,
    ExecutionMetrics,
    ExecutionPlan,
    ExecutionRef,
    Outcome,
    StepStatus,
    ValidationResults,
    WorkflowResult,
    WorkflowStatus,
)

if TYPE_CHECKING:
    from schemas.messages import Decision
    from schemas.run_state import RunState, StepState

SENTENCE: Final = 4096
CODE: Final = 128
"""Longest texts in characters, as in schemas.workflow_status: the API server refuses a status with a longer one."""
ERRORS: Final = 200
ERROR: Final = 1024
"""How many validation errors are shown, and how many characters of each: an object has 1.5 MiB for everything."""

_NO_WORDS: Final = Definition(steps={})
_OUTCOMES: Final[dict[str, Outcome]] = {"completed": "success", "failed": "failed", "cancelled": "cancelled"}


def status_of(decision: Decision, definition: Definition | None) -> WorkflowStatus:
    """Return the whole status after a decision. Times come from the state; the same arguments give the same bytes."""
    state, words = decision.state, definition or _NO_WORDS
    ended = state.phase in TERMINAL_PHASES
    began = {phase: rfc3339_or_none(time) for phase, time in state.phase_times.items()}
    settled = sum(step.phase in TERMINAL_STEP_PHASES for step in state.steps)
    total = len(state.steps) or len(words.steps)
    return WorkflowStatus(
        phase=state.phase,
        observed_generation=state.generation,
        sequence=decision.version,
        current_step=next((step.number for step in state.steps if step.phase == "executing"), 0),
        total_steps=total,
        progress=f"{settled}/{total}",
        execution_plan=_plan(state, words),
        validation_results=_validation(state),
        step_statuses=tuple(_step(step, decision.workflow.name, words) for step in state.steps),
        execution_metrics=_metrics(state) if ended else None,
        workflow_result=_result(decision, words) if ended else None,
        start_time=rfc3339_or_none(state.started_at),
        planning_time=began.get("planning"),
        validating_time=began.get("validating"),
        executing_time=began.get("executing"),
        monitoring_time=began.get("monitoring"),
        rolling_back_time=began.get("rolling_back"),
        completion_time=rfc3339_or_none(state.ended_at) if ended else None,
        failure_reason=state.failure_reason[:SENTENCE],
        waiting_for=advice.waiting_for(state, words)[:SENTENCE],
        conditions=conditions_of(decision),
    )


def _plan(state: RunState, words: Definition) -> ExecutionPlan | None:
    if state.plan is None:
        return None
    return ExecutionPlan(
        strategy=state.plan.strategy,
        waves=state.plan.waves,
        critical_path=state.plan.critical_path,
        estimated_duration=durations.render(state.plan.estimated_seconds),
        rollback_strategy=words.rollback_strategy,
        safety_checks=words.safety_checks,
    )


def _validation(state: RunState) -> ValidationResults | None:
    if not state.errors:
        return None
    shown = tuple(error[:ERROR] for error in state.errors[:ERRORS])
    if len(state.errors) > ERRORS:
        shown += (f"{len(state.errors) - ERRORS} more errors are in the decision on the log",)
    return ValidationResults(validation_errors=shown)


def _step(step: StepState, workflow: str, words: Definition) -> StepStatus:
    known = words.steps.get(step.number) or StepWords(step.number)
    reference = None
    if step.attempt:
        reference = ExecutionRef(name=execution_name(workflow, step.number, step.attempt), uid=step.execution_uid)
    return StepStatus(
        step_number=step.number,
        name=known.name,
        action=known.action,
        status=step.phase,
        reason=step.reason[:CODE],
        start_time=rfc3339_or_none(step.started_at),
        end_time=rfc3339_or_none(step.ended_at),
        result=step.result,
        error_message=step.error[:SENTENCE],
        retries_attempted=max(step.attempt - 1, 0),
        k8s_execution_ref=reference,
    )


def _metrics(state: RunState) -> ExecutionMetrics:
    ran = [step for step in state.steps if step.attempt]
    good = sum(step.phase in {"completed", "rolled_back"} for step in ran)
    return ExecutionMetrics(
        total_duration=durations.render(max(state.ended_at - state.started_at, 0) / 1000),
        step_success_rate=round(good / len(ran), 4) if ran else 1.0,
        rollbacks_performed=sum(step.phase == "rolled_back" for step in ran),
        resources_affected=sum(step.affected for step in state.steps),
    )


def _result(decision: Decision, words: Definition) -> WorkflowResult:
    state = decision.state
    known: tuple[Outcome, ...] = get_args(Outcome)
    outcome = next((o for o in known if o == state.outcome), _OUTCOMES[state.phase])
    return WorkflowResult(outcome=outcome, recommended_actions=advice.recommended_actions(decision, words))
