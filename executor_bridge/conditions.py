"""The conditions of a run, as tools that know nothing of us read them (kubectl wait, kstatus). Pure.

Every lastTransitionTime comes from the state, so that the same decision gives the same conditions in any process.
Stalled is True for a failed run only. A run that waits for a person (an approval, a resume) is not stalled: kstatus
would take it for failed, and tools that wait would give up on what only needs a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge.condition import Verdict, condition
from executor_bridge.person_conditions import approved, paused
from executor_bridge.rollback_condition import rolled_back
from executor_bridge.validation import what_stopped
from executor_bridge.wording import NO_WORDS, camel
from schemas.workflow_status import TERMINAL_PHASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from executor_bridge.definition import Definition
    from schemas.messages import Decision
    from schemas.run_state import RunState
    from schemas.workflow_status import StatusCondition

_AFTER_VALIDATING: Final = ("validated", "executing", "monitoring", "rolling_back")
"""Moments of a run at or after which it is known to be valid; an approval may still be missing."""
_OWN: Final = {"Paused": ("paused", "pause", "resume"), "RolledBack": ("rollback",), "Approved": ("approval",)}
"""Operations whose refusal a condition of their own tells, where the run has that condition; else Reconciling does."""
_SUCCESS: Final = {
    "success": "Every step that had to run has completed.",
    "partial_success": "The run has completed; a step that is not critical failed.",
}


def conditions_of(decision: Decision, words: Definition = NO_WORDS) -> tuple[StatusCondition, ...]:
    """Return the conditions in a fixed order; those that nothing is known of are left out."""
    state = decision.state
    ended = state.ended_at or decision.now
    own = [one for one in (approved(decision, words), paused(decision, words), rolled_back(decision, words)) if one]
    told = {operation for one in own for operation in _OWN[one.type]}
    return (
        _succeeded(decision, ended),
        _validated(state, state.started_at or decision.now, ended),
        *own,
        *_progress(decision, ended, _refused(state, told)),
    )


def _running_since(decision: Decision) -> int:
    """Return since when the run is going on; one that had failed goes on again when its rollback is asked for."""
    state = decision.state
    again = state.phase_times.get("rolling_back", 0) if state.control.rollback else 0
    return again or state.started_at or decision.now


def _succeeded(decision: Decision, ended: int) -> StatusCondition:
    """Unknown while the run is going on, so that `kubectl wait --for=condition=Succeeded` waits."""
    state = decision.state
    if state.phase not in TERMINAL_PHASES:
        verdict: Verdict = ("Unknown", camel(state.phase), "The run has not ended.")
        return condition(state, "Succeeded", verdict, _running_since(decision))
    if state.phase == "completed" and state.outcome != "unknown":
        reason = camel(state.outcome or "success")
        return condition(state, "Succeeded", ("True", reason, _SUCCESS.get(state.outcome, "")), ended)
    reason = "Invalid" if state.errors else camel(state.outcome or state.phase)
    return condition(state, "Succeeded", ("False", reason, state.failure_reason or _unverified(state)), ended)


def _unverified(state: RunState) -> str:
    if state.outcome != "unknown":
        return ""
    found = state.monitor.message if state.monitor else ""
    said = "The steps have completed, but what they changed was not seen to be healthy"
    return f"{said}: {found}" if found else f"{said}."


def _validated(state: RunState, began: int, ended: int) -> StatusCondition:
    if state.errors:
        more = f" (and {len(state.errors) - 1} more)" if len(state.errors) > 1 else ""
        return condition(state, "Validated", ("False", "Invalid", state.errors[0] + more), ended)
    passed = next((state.phase_times[p] for p in _AFTER_VALIDATING if p in state.phase_times), 0)
    if passed:
        return condition(state, "Validated", ("True", "Valid", "The definition makes sense."), passed)
    if state.phase == "failed" and "validating" in state.phase_times:
        return condition(state, "Validated", ("False", what_stopped(state), state.failure_reason), ended)
    return condition(state, "Validated", ("Unknown", camel(state.phase), "Not decided yet."), began)


def _refused(state: RunState, told: set[str]) -> Iterator[str]:
    for operation in sorted(state.refusals.keys() - told):
        yield f"{operation} was refused: {state.refusals[operation]}"


def _progress(decision: Decision, ended: int, refused: Iterator[str]) -> list[StatusCondition]:
    state = decision.state
    if state.phase not in TERMINAL_PHASES:
        told = "; ".join([*refused, *filter(None, [state.failing])])
        return [condition(state, "Reconciling", ("True", camel(state.phase), told), _running_since(decision))]
    done = [condition(state, "Reconciling", ("False", "Ended", "; ".join(refused)), ended)]
    if state.phase == "failed":
        # kstatus takes an object whose Stalled is True for failed; without it a failed run would count as current.
        done.append(condition(state, "Stalled", ("True", "Failed", state.failure_reason), ended))
    return done
