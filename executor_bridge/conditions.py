"""The conditions of a run, as tools that know nothing of us read them (kubectl wait, kstatus). Pure.

Every lastTransitionTime comes from the state, so that the same decision gives the same conditions in any process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from executor_bridge.kube_events import camel
from executor_bridge.times import rfc3339
from schemas.workflow_status import TERMINAL_PHASES, StatusCondition

if TYPE_CHECKING:
    from schemas.messages import Decision
    from schemas.run_state import RunState

_SENTENCE: Final = 4096
_AFTER_VALIDATING: Final = ("executing", "monitoring", "rolling_back")
_OWN_CONDITION: Final = {"paused": "Paused", "rollback": "RolledBack"}
"""Operations whose refusal has a condition of its own; the others are told in Reconciling."""
_SUCCESS: Final = {
    "success": "Every step that had to run has completed.",
    "partial_success": "The run has completed; a step that is not critical failed.",
}

_Verdict = tuple[Literal["True", "False", "Unknown"], str, str]
"""Status, reason, message."""


def conditions_of(decision: Decision) -> tuple[StatusCondition, ...]:
    """Return the conditions in a fixed order; those that nothing is known of are left out."""
    state = decision.state
    began = state.started_at or decision.now
    ended = state.ended_at or decision.now
    return (
        _succeeded(state, began, ended),
        _validated(state, began, ended),
        *_refused(state, began),
        *_progress(state, began, ended),
    )


def _succeeded(state: RunState, began: int, ended: int) -> StatusCondition:
    """Unknown while the run is going on, so that `kubectl wait --for=condition=Succeeded` waits."""
    if state.phase not in TERMINAL_PHASES:
        return _condition(state, "Succeeded", ("Unknown", camel(state.phase), "The run has not ended."), began)
    if state.phase == "completed" and state.outcome != "unknown":
        reason = camel(state.outcome or "success")
        return _condition(state, "Succeeded", ("True", reason, _SUCCESS.get(state.outcome, "")), ended)
    reason = "Invalid" if state.errors else camel(state.outcome or state.phase)
    return _condition(state, "Succeeded", ("False", reason, state.failure_reason), ended)


def _validated(state: RunState, began: int, ended: int) -> StatusCondition:
    if state.errors:
        more = f" (and {len(state.errors) - 1} more)" if len(state.errors) > 1 else ""
        return _condition(state, "Validated", ("False", "Invalid", state.errors[0] + more), ended)
    passed = next((state.phase_times[p] for p in _AFTER_VALIDATING if p in state.phase_times), 0)
    if passed:
        return _condition(state, "Validated", ("True", "Valid", "The definition makes sense."), passed)
    return _condition(state, "Validated", ("Unknown", camel(state.phase), "Not decided yet."), began)


def _refused(state: RunState, began: int) -> list[StatusCondition]:
    return [
        _condition(state, name, ("False", "Refused", state.refusals[operation]), began)
        for operation, name in _OWN_CONDITION.items()
        if operation in state.refusals
    ]


def _progress(state: RunState, began: int, ended: int) -> list[StatusCondition]:
    others = sorted(state.refusals.keys() - _OWN_CONDITION.keys())
    refused = "; ".join(f"{operation} was refused: {state.refusals[operation]}" for operation in others)
    if state.phase not in TERMINAL_PHASES:
        return [_condition(state, "Reconciling", ("True", camel(state.phase), refused or state.failing), began)]
    done = [_condition(state, "Reconciling", ("False", "Ended", refused), ended)]
    if state.phase == "failed":
        # kstatus takes an object whose Stalled is True for failed; without it a failed run would count as current.
        done.append(_condition(state, "Stalled", ("True", "Failed", state.failure_reason), ended))
    return done


def _condition(state: RunState, name: str, verdict: _Verdict, since: int) -> StatusCondition:
    status, reason, message = verdict
    return StatusCondition(
        type=name,
        status=status,
        reason=reason,
        message=message[:_SENTENCE],
        last_transition_time=rfc3339(since),
        observed_generation=state.generation,
    )
