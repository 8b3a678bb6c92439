"""What happens when something is due. Pure; works on a `Draft` only.

The timers of the state are the truth; a wake-up is only a reason to look. One that comes early, twice or late finds
what is due by then, and nothing else.
"""

from __future__ import annotations

from scheduler import commanding, executing, monitoring, retention, rolling_back, validating
from scheduler.draft import Draft
from scheduler.ending import fail
from schemas import durations


def expire(draft: Draft) -> None:
    """Do everything that is due now, the earliest first."""
    while due := sorted((at, *_rank(name), name) for name, at in draft.timers.items() if at <= draft.now):
        for at, *_, name in due:
            if draft.timers.get(name) == at:
                draft.disarm(name)
                _fire(draft, name)


def _rank(name: str) -> tuple[bool, bool]:
    """Return what orders timers of the same moment: a poll first, those of steps last.

    A run that is verified by then is so, and what ends with the time of the run has not missed its own.
    """
    return ":" in name, name != "poll"


def _fire(draft: Draft, name: str) -> None:
    word, _, number = name.partition(":")
    match word:
        case "workflow":
            _workflow_over(draft)
        case "phase":
            _phase_over(draft)
        case "poll":
            monitoring.poll(draft)
        case "ttl":
            retention.retire(draft)
        case "step":
            _step_due(draft, int(number))
        case "dry":
            validating.dry_run_over(draft, int(number))
        case "undo":
            _undo_due(draft, int(number))


def _workflow_over(draft: Draft) -> None:
    """The time of the run is over, unless its last end came with this very message."""
    limit = durations.render(draft.plan.workflow_ms / 1000)
    why = f"the run took longer than its workflowTimeout of {limit}"
    if draft.phase == "validating":
        fail(draft, "refused", reason=executing.RUN_OVER, message=why)
    elif draft.settled < len(draft.steps):
        automatic = draft.plan.strategy.rollback_strategy == "automatic"
        executing.close(draft, "rolled_back" if automatic else "failed", executing.RUN_OVER, why)
        for step in tuple(draft.steps):
            if step.phase == "executing":
                executing.end_step(draft, step.number, "timed_out")


def _phase_over(draft: Draft) -> None:
    if draft.phase == "validating":
        validating.time_over(draft)
    else:
        monitoring.time_over(draft)


def _step_due(draft: Draft, number: int) -> None:
    """Its attempt has taken too long, or has not shown up, or its wait before a retry is over."""
    step = draft.step(number)
    if step.ending:
        commanding.abandon(draft, step, "execute")
        executing.ended_by_command(draft, number)
    elif step.phase == "executing":
        executing.end_step(draft, number, "timed_out")
    else:
        draft.make_ready(number)


def _undo_due(draft: Draft, number: int) -> None:
    """As `_step_due`, of its rollback."""
    side = draft.side("rollback", number)
    if side.ending:
        commanding.abandon(draft, side, "rollback")
        rolling_back.ended_by_command(draft, number)
    elif side.phase == "executing":
        rolling_back.end_undo(draft, number, "timed_out")
    else:
        draft.make_ready(number)
