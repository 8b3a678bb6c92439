"""What goes wrong in the table of `test_alerts.py`: by alert, the series that differ from `HEALTHY`. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.observability.series import (
    HEALTHY,
    Recorded,
    beginning,
    born,
    gone,
    passing,
    resting,
    rising,
    steady,
    stopping,
    turning,
)

_DECISIONS: Final = "kubernaut_decisions_total"
_STATUSES: Final = "kubernaut_bridge_status_writes_total"
_ROWS: Final = "kubernaut_audit_rows_total"
_COMPLETED: Final = 'workflowexecution_total{status="completed"}'
_FAILED: Final = 'workflowexecution_total{status="failed"}'
_RUN_BUCKET: Final = "workflowexecution_duration_seconds_bucket"
_TIMER_BUCKET: Final = "kubernaut_timer_lateness_seconds_bucket"
_BRIDGE_STANDS: Final[Recorded] = {
    _STATUSES: stopping(60),
    'kubernaut_bridge_commands_total{command="create_execution",result="done"}': stopping(50),
    'kubernaut_bridge_commands_total{command="create_execution",result="given_back"}': beginning(50),
}

TROUBLES: Final[Mapping[str, tuple[Recorded, Mapping[str, str]]]] = {
    "KubernautServiceMissing": (
        {"kubernaut_audit_sealed_sequence": gone(rising(300)), _ROWS: gone(rising(300))},
        {"service": "auditor"},
    ),
    "KubernautNotReady": (
        {'kubernaut_dependency_ready{dependency="nats",job="scheduler",instance="b"}': turning(1, 0)},
        {"dependency": "nats"},
    ),
    "KubernautRestarts": (
        {'process_start_time_seconds{job="scheduler",instance="a"}': beginning(60)},
        {"job": "scheduler", "instance": "a"},
    ),
    "KubernautStarved": (
        {'kubernaut_event_loop_lag_seconds{job="scheduler",instance="a"}': turning(0.002, 3)},
        {"job": "scheduler", "instance": "a"},
    ),
    "KubernautSchedulerStands": (
        {_DECISIONS: stopping(110), "kubernaut_inputs_without_effect_total": stopping(1)},
        {},
    ),
    "KubernautBridgeStands": (_BRIDGE_STANDS, {}),
    "KubernautBacklog": (
        {
            'kubernaut_consumer_lag_messages{consumer="scheduler",instance="a"}': turning(3, 5000),
            'kubernaut_consumer_lag_messages{consumer="scheduler",instance="b"}': turning(0, 5001),
        },
        {"consumer": "scheduler"},
    ),
    "KubernautBehind": (
        {
            'kubernaut_consumer_lag_messages{consumer="scheduler",instance="b"}': turning(0, 2),
            'kubernaut_consumer_age_seconds{consumer="scheduler",instance="a"}': turning(0.2, 400),
            'kubernaut_consumer_age_seconds{consumer="scheduler",instance="b"}': turning(0.2, 500),
        },
        {"consumer": "scheduler"},
    ),
    "KubernautHandoffSlow": ({'kubernaut_handoff_seconds_bucket{le="5.0"}': stopping(50)}, {}),
    "KubernautTimersLate": (
        {f'{_TIMER_BUCKET}{{le="0.25"}}': stopping(10), f'{_TIMER_BUCKET}{{le="30.0"}}': stopping(10)},
        {},
    ),
    "KubernautRunsWaitForPlaces": (
        {
            "workflowexecution_active_total": turning(7, 120),
            "workflowexecution_queued_total": turning(0, 20),
            "kubernaut_queue_places_taken": turning(7, 100),
        },
        {},
    ),
    "KubernautLogLost": ({'kubernaut_storage_regressed_total{stream="KUBERNAUT"}': born(1)}, {"stream": "KUBERNAUT"}),
    "KubernautLogTakesNothing": (
        {'kubernaut_publish_retries_total{stream="KUBERNAUT"}': beginning(30)},
        {"stream": "KUBERNAUT"},
    ),
    "KubernautChangesUntold": (
        {
            'kubernaut_watch_pending_changes{resource="workflowexecutions"}': turning(0, 4),
            'kubernaut_watch_changes_published_total{resource="workflowexecutions",what="whole"}': stopping(10),
            'kubernaut_watch_changes_published_total{resource="workflowexecutions",what="status"}': stopping(40),
        },
        {"resource": "workflowexecutions"},
    ),
    "KubernautWatchMissed": (
        {'kubernaut_watch_missed_total{resource="workflowexecutions"}': born(1)},
        {"resource": "workflowexecutions"},
    ),
    "KubernautWatchStale": (
        {'kubernaut_watch_stale_total{resource="workflowexecutions"}': born(1)},
        {"resource": "workflowexecutions"},
    ),
    "KubernautDeadLetters": ({'kubernaut_dead_letters_total{consumer="bridge"}': born(1)}, {"consumer": "bridge"}),
    "KubernautAuditBehind": ({"kubernaut_audit_lag_seconds": turning(0.1, 400)}, {}),
    "KubernautAuditUnsound": ({"kubernaut_audit_unsound": turning(0, 1)}, {}),
    "KubernautAuditRowsGone": ({"kubernaut_audit_rows_gone": turning(0, 12)}, {}),
    "KubernautAuditUnsealed": ({"kubernaut_audit_sealed_sequence": stopping(300)}, {}),
    "KubernautAuditForeign": ({"kubernaut_audit_repeats_total": turning(0, 1)}, {}),
    "KubernautRollbackFailed": (
        {'workflowexecution_step_rollbacks_total{status="failed",action="drain_node"}': born(1)},
        {"action": "drain_node"},
    ),
    "KubernautCommandsRefused": (
        {'kubernaut_bridge_refusals_total{command="create_execution",reason="forbidden"}': born(1)},
        {"command": "create_execution", "reason": "forbidden"},
    ),
    "KubernautStatusRefused": ({"kubernaut_bridge_status_refused_total": turning(0, 1)}, {}),
    "KubernautApiTroubled": (
        {'kubernaut_api_refusals_total{verb="create",code="429"}': beginning(120)},
        {"code": "429"},
    ),
    "KubernautRunsFail": ({_COMPLETED: stopping(10), _FAILED: beginning(10)}, {}),
    "KubernautRunsFailSlowly": ({_FAILED: beginning(2)}, {}),
    "KubernautStepsFail": (
        {'workflowexecution_step_execution_total{status="failed",action="restart_pod"}': beginning(20)},
        {},
    ),
    "KubernautRunsSlow": (
        {f'{_RUN_BUCKET}{{le="60.0"}}': stopping(10), f'{_RUN_BUCKET}{{le="120.0"}}': stopping(10)},
        {},
    ),
    "KubernautPlanningSlow": (
        {'workflowexecution_dependency_resolution_duration_seconds_bucket{le="5.0"}': stopping(10)},
        {},
    ),
}

COMPANIONS: Final[Mapping[str, frozenset[str]]] = {
    "KubernautServiceMissing": frozenset({"KubernautAuditBehind"}),
    "KubernautRunsFail": frozenset({"KubernautRunsFailSlowly"}),
}
"""Alerts that fire along with another, because what is wrong is wrong for both."""

HARMLESS: Final[Mapping[str, Recorded]] = {
    "a service that is updated is away for three minutes": {
        "kubernaut_audit_lag_seconds": passing(0.1, 170, 3),
        'kubernaut_dependency_ready{dependency="nats",job="scheduler",instance="a"}': passing(1, 0, 3),
        'process_start_time_seconds{job="scheduler",instance="a"}': turning(1000, 4600),
    },
    "nothing is done because there is nothing to do": {
        name: resting(values)
        for name, values in HEALTHY.items()
        if name.partition("{")[0].endswith(("_total", "_count", "_bucket", "_sequence"))
    },
    "one step of three failed in a quiet hour": {
        'workflowexecution_step_execution_total{status="completed",action="restart_pod"}': turning(0, 2),
        'workflowexecution_step_execution_total{status="failed",action="restart_pod"}': turning(0, 1),
    },
    "what came last was old, and nothing waits behind it": {
        'kubernaut_consumer_lag_messages{consumer="scheduler",instance="a"}': steady(0),
        'kubernaut_consumer_age_seconds{consumer="scheduler",instance="a"}': turning(0.2, 900),
        'kubernaut_consumer_age_seconds{consumer="scheduler",instance="b"}': turning(0.2, 900),
    },
    "a replica remembers runs that waited and have their places now": {
        "workflowexecution_queued_total": turning(0, 3),
    },
    "one run of three failed in a quiet hour": {
        _COMPLETED: turning(0, 2),
        _FAILED: turning(0, 1),
    },
    "a namespace goes away under a run": {
        'kubernaut_bridge_refusals_total{command="create_execution",reason="gone"}': born(3)
    },
    "a replica that has nothing to do shows an old number": {
        'kubernaut_consumer_lag_messages{consumer="scheduler",instance="a"}': turning(3, 5000),
        'kubernaut_consumer_age_seconds{consumer="scheduler",instance="a"}': turning(0.2, 900),
    },
    "a burst of a thousand runs waits a quarter of an hour": {
        "workflowexecution_active_total": passing(7, 1000, 15),
        "workflowexecution_queued_total": passing(0, 900, 15),
        "kubernaut_queue_places_taken": passing(7, 100, 15),
    },
    "a watcher with much to do always has something in its hands": {
        'kubernaut_watch_pending_changes{resource="workflowexecutions"}': turning(0, 50),
    },
    "an API server is asked for what is not there": {
        'kubernaut_api_refusals_total{verb="get",code="404"}': rising(6000),
        'kubernaut_api_refusals_total{verb="create",code="409"}': rising(600),
    },
    "another program of the cluster starts over and over": {
        'process_start_time_seconds{job="another",instance="c"}': rising(61),
        'process_start_time_seconds{job="another",instance="d"}': steady(5),
    },
}
"""What may happen on any day, and must wake nobody."""
