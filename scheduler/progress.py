"""From phase to phase: what follows once a phase has nothing left to do. Pure; works on a `Draft` only."""

from __future__ import annotations

from scheduler import executing, monitoring, rolling_back, validating
from scheduler.draft import Draft
from scheduler.ending import end, fail, outcome_of


def go_on(draft: Draft) -> None:
    """Start what may start, and pass through as many phases as have nothing to wait for."""
    before: str | None = None
    while draft.phase != before:
        before = draft.phase
        if before == "validating" and validating.go_on(draft):
            executing.begin(draft)
        elif before == "executing" and executing.go_on(draft):
            _leave_executing(draft)
        elif before == "monitoring" and draft.get("closing"):
            _roll_back(draft)
        elif before == "rolling_back":
            rolling_back.go_on(draft)


def _leave_executing(draft: Draft) -> None:
    how, why, reason = draft.get("closing"), draft.get("failing"), draft.get("closing_reason")
    if how in {"rolled_back", "cancelled_rolled_back"}:
        _roll_back(draft)
    elif how == "cancelled":
        draft.fields["failure_reason"] = why
        end(draft, "cancelled", outcome="cancelled", reason="cancelled", message=why)
    elif how == "failed":
        fail(draft, "run_failed", reason=reason, message=why)
    elif draft.plan.window_ms:
        monitoring.begin(draft)
    else:
        end(draft, "steps_ended", outcome=outcome_of(draft), reason=outcome_of(draft))


def _roll_back(draft: Draft) -> None:
    rolling_back.begin(draft, "roll_back", reason=draft.get("closing_reason"), why=draft.get("failing"))
