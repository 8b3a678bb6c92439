"""How a run ended, in figures: metrics, health of what was touched, effectiveness. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

import msgspec

from executor_bridge.rollbacks import undoing
from schemas import durations
from schemas.workflow_status import ExecutionMetrics, Outcome

if TYPE_CHECKING:
    from schemas.run_state import MonitorState, RunState

_STEPS: Final = 0.5
_HEALTH: Final = 0.3
_QUIET: Final = 0.2
"""Weights of the effectiveness score (spec.md section 3)."""
_OUTCOMES: Final[dict[str, Outcome]] = {"completed": "success", "failed": "failed", "cancelled": "cancelled"}


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What monitoring showed."""

    score: float
    health: str
    """healthy, unhealthy or unknown."""
    new_alerts: bool


def score(success_rate: float, *, healthy: int, judged: int, alerts: int) -> float:
    """Return the effectiveness of a run, 0 to 1, to 4 places.

    `success_rate`: completed steps by steps that ran. `healthy` of `judged` targets; none judged counts as all healthy.
    """
    share = healthy / judged if judged else 1.0
    return round(_STEPS * success_rate + _HEALTH * share + _QUIET * (not alerts), 4)


def outcome_of(state: RunState) -> Outcome:
    """Return how an ended run ended; what the phase says where the state has no outcome that is known here."""
    known: tuple[Outcome, ...] = get_args(Outcome)
    return next((o for o in known if o == state.outcome), _OUTCOMES[state.phase])


def metrics_of(state: RunState) -> ExecutionMetrics:
    """Return the figures of an ended run."""
    return ExecutionMetrics(
        total_duration=durations.render(max(state.ended_at - state.started_at, 0) / 1000),
        step_success_rate=round(success_rate(state), 4),
        rollbacks_performed=len(undoing(state).undone),
        resources_affected=_affected(state),
    )


def success_rate(state: RunState) -> float:
    """Return completed steps by steps that ran; 1 when none had to run.

    A step that was undone had completed; one that a person skipped while it ran does not count.
    """
    ran = [step for step in state.steps if step.attempt and step.phase != "skipped"]
    good = sum(step.phase in {"completed", "rolled_back"} for step in ran)
    return good / len(ran) if ran else 1.0


def effect_of(state: RunState) -> Effect | None:
    """Return what monitoring showed; None when the run was not monitored, or ended before anything was seen."""
    seen = state.monitor
    if seen is None or not _was_looked_at(seen, state):
        return None
    return Effect(
        score=score(success_rate(state), healthy=seen.healthy, judged=seen.judged, alerts=len(seen.alerts)),
        health=_health(seen),
        new_alerts=bool(seen.alerts),
    )


def _affected(state: RunState) -> int:
    """Count distinct resources; of a step whose resources are not known by name, as many as the executor counted."""
    named = {resource for step in state.steps for resource in step.touched}
    return len(named) + sum(step.affected for step in state.steps if not step.touched)


def _was_looked_at(seen: MonitorState, state: RunState) -> bool:
    window_passed = state.phase == "completed" and state.outcome != "unknown"
    return window_passed or bool(seen.judged or seen.healthy_since or seen.message or seen.alerts)


def _health(seen: MonitorState) -> str:
    if not seen.judged:
        return "unknown"
    return "healthy" if seen.healthy == seen.judged else "unhealthy"
