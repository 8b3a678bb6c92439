"""How a run ends, whatever its way there. Pure; works on a `Draft` only."""

from __future__ import annotations

from typing import Final

from scheduler import commanding
from scheduler.draft import Draft
from schemas.fields import SENTENCE_LIMIT

OVER: Final = "the run has ended; `kubernaut rerun` runs it again from a step"
"""What a person is told who asks something of a run that has ended."""
_TOLD: Final = {"success": "completed", "partial_success": "completed", "unknown": "completed"}
"""The public event of each outcome; of the others it has their own name."""


def fail(draft: Draft, event: str, *, reason: str, message: str) -> None:
    """End the run as failed, or as cancelled before it had begun."""
    draft.fields["failure_reason"] = message[:SENTENCE_LIMIT]
    end(draft, event, outcome="failed", reason=reason, message=message)


def end(draft: Draft, event: str, *, outcome: str, reason: str, message: str = "") -> None:
    """End the run: nothing is in flight any more that it would wait for."""
    commanding.abandon_all(draft, reason="cancelled" if outcome == "cancelled" else "run_failed")
    draft.fields["outcome"] = outcome
    draft.move_run(event, _TOLD.get(outcome, outcome), reason=reason, message=message)
    stand_still(draft)
    draft.let_go()
    keep(draft)


def keep(draft: Draft) -> None:
    """Keep the object of the run, which has ended, for its time; what a RemediationRequest owns, for ever."""
    if draft.get("owned"):
        draft.disarm("ttl")
    else:
        draft.arm("ttl", draft.get("ended_at") + draft.plan.ttl_ms)


def stand_still(draft: Draft) -> None:
    """Nothing is due and nothing may start any more."""
    draft.timers = {}
    draft.ready = []
    if draft.get("paused_at"):
        draft.fields |= {"stopped": {}, "paused_at": 0}


def outcome_of(draft: Draft) -> str:
    """Return success, or partial_success when a step that is not critical has failed."""
    return "partial_success" if any(step.phase == "failed" for step in draft.steps) else "success"
