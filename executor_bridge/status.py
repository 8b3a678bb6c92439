"""The status of a WorkflowExecution as a function of the decision that it shows and the definition's words. Pure.

It is a view: nothing reads it back. Must stay possible without a definition, for a run whose definition makes no sense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge.advice import recommended_actions
from executor_bridge.conditions import conditions_of
from executor_bridge.results import effect_of, metrics_of, outcome_of
from executor_bridge.run_reasons import in_flight
from executor_bridge.steps import steps_of
from executor_bridge.times import rfc3339, rfc3339_or_none
from executor_bridge.validation import validation_of
from executor_bridge.waiting import waiting_for
from executor_bridge.wording import NO_WORDS
from schemas import durations
from schemas.fields import SENTENCE_LIMIT
from schemas.workflow_status import (
    TERMINAL_PHASES,
    TERMINAL_STEP_PHASES,
    AdaptiveAdjustment,
    ExecutionPlan,
    WorkflowResult,
    WorkflowStatus,
)

if TYPE_CHECKING:
    from executor_bridge.definition import Definition
    from schemas.messages import Decision
    from schemas.run_state import Adjustment, RunState

ADJUSTMENTS: Final = 256
"""The longest list, as in schemas.workflow_status: the API server refuses a status with a longer one."""


def status_of(decision: Decision, definition: Definition | None) -> WorkflowStatus:
    """Return the whole status after a decision. Times come from the state; the same arguments give the same bytes."""
    state, words = decision.state, definition or NO_WORDS
    ended = state.phase in TERMINAL_PHASES
    began = {phase: rfc3339_or_none(time) for phase, time in state.phase_times.items()}
    settled = sum(step.phase in TERMINAL_STEP_PHASES for step in state.steps)
    total = len(state.steps) or len(words.steps)
    return WorkflowStatus(
        phase=state.phase,
        observed_generation=state.generation,
        sequence=decision.version,
        current_step=next(iter(in_flight(state)), 0),
        total_steps=total,
        progress=f"{settled}/{total}",
        execution_plan=_plan(state, words),
        validation_results=validation_of(state),
        step_statuses=steps_of(decision, words),
        execution_metrics=metrics_of(state) if ended else None,
        adaptive_adjustments=tuple(_adjustment(one) for one in state.adjustments[-ADJUSTMENTS:]),
        workflow_result=_result(decision, words) if ended else None,
        start_time=rfc3339_or_none(state.started_at),
        planning_time=began.get("planning"),
        validating_time=began.get("validating"),
        executing_time=began.get("executing"),
        monitoring_time=began.get("monitoring"),
        rolling_back_time=began.get("rolling_back"),
        completion_time=rfc3339_or_none(state.ended_at) if ended else None,
        failure_reason=state.failure_reason[:SENTENCE_LIMIT],
        rollback_reason=state.rollback_reason[:SENTENCE_LIMIT],
        waiting_for=waiting_for(decision, words)[:SENTENCE_LIMIT],
        conditions=conditions_of(decision, words),
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
        digest=state.plan.digest,
    )


def _adjustment(one: Adjustment) -> AdaptiveAdjustment:
    return AdaptiveAdjustment(
        timestamp=rfc3339(one.at), adjustment=one.adjustment[:SENTENCE_LIMIT], reason=one.reason[:SENTENCE_LIMIT]
    )


def _result(decision: Decision, words: Definition) -> WorkflowResult:
    effect = effect_of(decision.state)
    return WorkflowResult(
        outcome=outcome_of(decision.state),
        effectiveness_score=effect.score if effect else None,
        resource_health=effect.health if effect else "",
        new_alerts_triggered=effect.new_alerts if effect else None,
        recommended_actions=tuple(text[:SENTENCE_LIMIT] for text in recommended_actions(decision, words)),
    )
