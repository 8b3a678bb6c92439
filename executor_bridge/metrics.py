"""What operators see of the bridge. No label grows with the number of workflows."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

from runtime.metrics import REGISTRY

CREATION_SECONDS: Final = Histogram(
    "workflowexecution_kubernetesexecution_creation_duration_seconds",
    "From the command in hand to the KubernetesExecution on the API server",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=REGISTRY,
)
COMMANDS: Final = Counter(
    "kubernaut_bridge_commands_total",
    "Commands by how they ended: done, refused, given_back",
    ["command", "result"],
    registry=REGISTRY,
)
VOID: Final = Counter(
    "kubernaut_bridge_void_commands_total",
    "Commands that the workflow's last decision no longer asked for; they count as done too",
    ["command"],
    registry=REGISTRY,
)
REFUSALS: Final = Counter(
    "kubernaut_bridge_refusals_total",
    "Commands that the cluster will never accept, by reason",
    ["command", "reason"],
    registry=REGISTRY,
)
CHECKS: Final = Counter(
    "kubernaut_bridge_checks_total",
    "Checks told on the log, by what they found: passed, failed",
    ["type", "verdict"],
    registry=REGISTRY,
)
CHECK_SECONDS: Final = Histogram(
    "kubernaut_bridge_check_duration_seconds",
    "From the command in hand to the result on the log",
    ["type"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40),
    registry=REGISTRY,
)
CONFLICTS: Final = Counter(
    "kubernaut_bridge_conflicts_total",
    "Writes refused because the object had changed meanwhile",
    ["write"],
    registry=REGISTRY,
)
STATUS_WRITES: Final = Counter("kubernaut_bridge_status_writes_total", "Statuses written", registry=REGISTRY)
STATUS_SUPERSEDED: Final = Counter(
    "kubernaut_bridge_status_superseded_total",
    "Statuses not written because a newer decision was there to be shown",
    registry=REGISTRY,
)
STATUS_LOST: Final = Counter(
    "kubernaut_bridge_status_refused_total",
    "Statuses that the API server will never take",
    registry=REGISTRY,
)
EVENTS_LOST: Final = Counter(
    "kubernaut_bridge_kubernetes_events_lost_total",
    "Kubernetes Events that could not be written; they are for eyes only",
    registry=REGISTRY,
)
