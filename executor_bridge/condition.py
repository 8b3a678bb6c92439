"""One condition of a run. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from executor_bridge.times import rfc3339
from schemas.fields import SENTENCE_LIMIT
from schemas.workflow_status import StatusCondition

if TYPE_CHECKING:
    from schemas.run_state import RunState

Verdict = tuple[Literal["True", "False", "Unknown"], str, str]
"""Status, reason, message."""


def condition(state: RunState, name: str, verdict: Verdict, since: int) -> StatusCondition:
    """Return the condition `name`, that is so since `since`, in ms."""
    status, reason, message = verdict
    return StatusCondition(
        type=name,
        status=status,
        reason=reason,
        message=message[:SENTENCE_LIMIT],
        last_transition_time=rfc3339(since),
        observed_generation=state.generation,
    )


def with_refusals(state: RunState, verdict: Verdict, *operations: str) -> Verdict:
    """Add what was refused of these operations to what a condition says anyway."""
    status, reason, message = verdict
    refused = [f"{name} was refused: {state.refusals[name]}" for name in operations if name in state.refusals]
    return status, reason, " ".join(filter(None, [message, *refused]))
