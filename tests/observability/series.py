"""Series as a Prometheus would have them: one value a minute, well until `TROUBLE`. Data and pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

TROUBLE: Final = 60
"""The minute in which something goes wrong."""
Values = Callable[[int], float | None]
"""The value in a minute; None where there is no series yet, or no more."""
Recorded = Mapping[str, Values]


def steady(value: float) -> Values:
    """The same for ever."""
    return lambda _minute: value


def rising(a_minute: float) -> Values:
    """A counter of what goes on."""
    return lambda minute: a_minute * minute


def stopping(a_minute: float) -> Values:
    """A counter of what goes on no more."""
    return lambda minute: a_minute * min(minute, TROUBLE)


def beginning(a_minute: float) -> Values:
    """A counter of what did not happen before."""
    return lambda minute: a_minute * max(0, minute - TROUBLE)


def turning(before: float, after: float) -> Values:
    """A gauge that changes, or a counter of what happens once."""
    return lambda minute: before if minute < TROUBLE else after


def passing(before: float, meanwhile: float, minutes: int) -> Values:
    """A gauge that changes and is soon as it was."""
    return lambda minute: meanwhile if TROUBLE <= minute < TROUBLE + minutes else before


def born(value: float) -> Values:
    """A series that is there with its first event only."""
    return lambda minute: None if minute < TROUBLE else value


def resting(values: Values) -> Values:
    """Whatever it was, it stays as it is."""
    return lambda minute: values(min(minute, TROUBLE))


def gone(values: Values) -> Values:
    """A series that ends."""
    return lambda minute: values(minute) if minute < TROUBLE else None


def described(recorded: Recorded, minutes: int) -> list[str]:
    """Write series as promtool's test files do."""

    def written(value: float | None) -> str:
        return "_" if value is None else f"{value:g}"

    return [f"{name} {' '.join(written(of(m)) for m in range(minutes + 1))}" for name, of in recorded.items()]


def _ten_a_minute(seconds_of_all: str, *, name: str) -> dict[str, Values]:
    """A histogram whose observations are all at most so long."""
    return {f'{name}_bucket{{le="{seconds_of_all}"}}': rising(10), f'{name}_bucket{{le="+Inf"}}': rising(10)}


HEALTHY: Final[Recorded] = {
    "workflowexecution_active_total": steady(7),
    "workflowexecution_queued_total": steady(0),
    "kubernaut_queue_places_taken": steady(7),
    'workflowexecution_total{status="completed"}': rising(10),
    'workflowexecution_total{status="failed"}': rising(0.1),
    'workflowexecution_step_execution_total{status="completed",action="restart_pod"}': rising(50),
    'workflowexecution_step_execution_total{status="failed",action="restart_pod"}': rising(0.2),
    'workflowexecution_step_rollbacks_total{status="rolled_back",action="restart_pod"}': rising(0.1),
    **_ten_a_minute("60.0", name="workflowexecution_duration_seconds"),
    'workflowexecution_duration_seconds_bucket{le="120.0"}': rising(10),
    'workflowexecution_duration_seconds_bucket{le="300.0"}': rising(10),
    "workflowexecution_dependency_resolution_duration_seconds_count": rising(10),
    'workflowexecution_dependency_resolution_duration_seconds_bucket{le="5.0"}': rising(10),
    "kubernaut_handoff_seconds_count": rising(50),
    'kubernaut_handoff_seconds_bucket{le="5.0"}': rising(50),
    **_ten_a_minute("0.25", name="kubernaut_timer_lateness_seconds"),
    'kubernaut_timer_lateness_seconds_bucket{le="30.0"}': rising(10),
    'kubernaut_timer_lateness_seconds_bucket{le="60.0"}': rising(10),
    'kubernaut_watch_changes_published_total{resource="workflowexecutions",what="whole"}': rising(10),
    'kubernaut_watch_changes_published_total{resource="workflowexecutions",what="status"}': rising(40),
    'kubernaut_watch_changes_published_total{resource="kubernetesexecutions",what="whole"}': rising(100),
    'kubernaut_watch_pending_changes{resource="workflowexecutions"}': lambda minute: minute % 3,
    "kubernaut_decisions_total": rising(110),
    "kubernaut_inputs_without_effect_total": rising(1),
    "kubernaut_bridge_status_writes_total": rising(60),
    'kubernaut_bridge_commands_total{command="create_execution",result="done"}': rising(50),
    "kubernaut_bridge_status_refused_total": steady(0),
    "kubernaut_audit_rows_total": rising(300),
    "kubernaut_audit_sealed_sequence": rising(300),
    "kubernaut_audit_lag_seconds": steady(0.1),
    "kubernaut_audit_rows_gone": steady(0),
    "kubernaut_audit_unsound": steady(0),
    "kubernaut_audit_missing_messages": steady(0),
    "kubernaut_audit_repeats_total": steady(0),
    "kubernaut_audit_quarantined_total": steady(0),
    'kubernaut_consumer_lag_messages{consumer="scheduler",instance="a"}': steady(3),
    'kubernaut_consumer_lag_messages{consumer="scheduler",instance="b"}': steady(0),
    'kubernaut_consumer_age_seconds{consumer="scheduler",instance="a"}': steady(0.2),
    'kubernaut_consumer_age_seconds{consumer="scheduler",instance="b"}': steady(0.2),
    'kubernaut_dependency_ready{dependency="nats",job="scheduler",instance="a"}': steady(1),
    'kubernaut_dependency_ready{dependency="nats",job="scheduler",instance="b"}': steady(1),
    'kubernaut_event_loop_lag_seconds{job="scheduler",instance="a"}': steady(0.002),
    'process_start_time_seconds{job="scheduler",instance="a"}': steady(1000),
    'process_start_time_seconds{job="another",instance="c"}': rising(60),
    'kubernaut_publish_retries_total{stream="KUBERNAUT"}': lambda minute: 4.0 * (minute >= TROUBLE // 2),
    'kubernaut_api_refusals_total{verb="get",code="404"}': rising(600),
}
"""A system at work, with the small things that happen when all is well: one run in a hundred fails, a publish is tried
again, another program restarts every minute. Alerts must be silent on it."""
