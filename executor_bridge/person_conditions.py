"""The conditions that a person's word changes: Approved and Paused. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor_bridge.condition import Verdict, condition, with_refusals
from executor_bridge.run_reasons import in_flight
from executor_bridge.validation import needs_approval, what_stopped
from executor_bridge.wording import camel, command, names
from schemas.workflow_status import TERMINAL_PHASES

if TYPE_CHECKING:
    from executor_bridge.definition import Definition
    from schemas.messages import Decision
    from schemas.run_state import ApprovalState, RunState
    from schemas.workflow_status import StatusCondition

_PAUSING = ("paused", "pause", "resume")


def approved(decision: Decision, words: Definition) -> StatusCondition | None:
    """Unknown while the run waits for an approval, True or False by the word that was given.

    None when no approval was asked for. Without a word it becomes False when a request was refused, and when the run
    ended.
    """
    state = decision.state
    if not needs_approval(state, words):
        return None
    if state.approval is not None:
        verdict = with_refusals(state, _given(state.approval), "approval")
        return condition(state, "Approved", verdict, state.approval.at)
    if state.phase in TERMINAL_PHASES:
        verdict = with_refusals(state, _never(state), "approval")
        return condition(state, "Approved", verdict, state.ended_at or decision.now)
    since = state.phase_times.get("validating") or state.started_at or decision.now
    ask = f"It waits for an approval: {command('approve', decision.workflow)}"
    if "approval" in state.refusals:
        return condition(state, "Approved", ("False", "Refused", f"{state.refusals['approval']}. {ask}"), since)
    if state.early_approval:
        ask = f"The approval that was written before the plan was made does not count. {ask}"
    return condition(state, "Approved", ("Unknown", "Waiting", ask), since)


def paused(decision: Decision, words: Definition) -> StatusCondition | None:
    """True while the run is paused; False when pausing or resuming was refused; None otherwise."""
    state = decision.state
    if state.paused_at and state.phase not in TERMINAL_PHASES:
        verdict = with_refusals(state, ("True", "Paused", _stands_still(decision, words)), *_PAUSING)
        return condition(state, "Paused", verdict, state.paused_at)
    refused = next((state.refusals[operation] for operation in _PAUSING if operation in state.refusals), None)
    if refused is None:
        return None
    return condition(state, "Paused", ("False", "Refused", refused), state.started_at or decision.now)


def _given(word: ApprovalState) -> Verdict:
    by, why = word.by or "somebody", f": {word.reason}" if word.reason else ""
    if word.verdict == "approved":
        return "True", "Approved", f"Approved by {by}{why}."
    return "False", "Rejected", f"Rejected by {by}{why}."


def _never(state: RunState) -> Verdict:
    """The run ended without a word of anybody."""
    if state.errors:
        return "False", "Invalid", "The workflow was refused before an approval could be given."
    if state.phase == "failed" and "validating" in state.phase_times:
        reason = what_stopped(state)
        said = "Nobody approved it in time." if reason == "TimedOut" else "The run failed before it was approved."
        return "False", reason, said
    return "False", camel(state.phase), "The run ended before it was approved."


def _stands_still(decision: Decision, words: Definition) -> str:
    running = in_flight(decision.state)
    ends = f" In flight: {names(running, words)}." if running else ""
    return f"No new step starts.{ends} To go on: {command('resume', decision.workflow)}"
