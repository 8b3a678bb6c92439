"""The 29 actions and `custom`: their parameters, how long each typically takes, whether it may be repeated. Pure data.

Source: spec.md section 6. `check` tells every error of one action at once; must never raise, whatever JSON it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from schemas import parameters as p
from schemas import quantities
from schemas.parameter_check import did_you_mean, has_template, is_left_open, problems, shown

__all__ = ["ACTIONS", "INVERTIBLE", "Action", "check", "check_at", "has_template"]

Rule = Callable[[dict[str, Any]], tuple[str, ...]]


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One action of the product."""

    name: str
    summary: str
    """What it does, for people."""
    parameters: type[p.Parameters]
    typical_seconds: float
    """How long it typically takes; what estimates and the critical path are made of."""
    idempotent: bool
    """Whether doing it twice has the effect of doing it once, so that it may be retried after it was carried out."""
    rules: tuple[Rule, ...] = ()
    """What must hold between parameters, each total by itself."""


def at_least_memory_or_cpu(values: dict[str, Any]) -> tuple[str, ...]:
    """At least one of `memory` and `cpu` must be given."""
    if "memory" in values or "cpu" in values:
        return ()
    return ("memory: missing; give memory, cpu or both, such as 512Mi and 500m",)


def quantities_above_zero(values: dict[str, Any]) -> tuple[str, ...]:
    """Amounts must be more than 0."""
    return tuple(
        f"{name}: must be more than 0, is {shown(name, values[name])}"
        for name in ("memory", "cpu", "size")
        if _amount(values.get(name)) == 0
    )


def minimum_within_maximum(values: dict[str, Any]) -> tuple[str, ...]:
    """`minReplicas` must not be more than `maxReplicas`."""
    low, high = values.get("minReplicas"), values.get("maxReplicas")
    if not isinstance(low, int) or not isinstance(high, int) or low <= high:
        return ()
    most = shown("maxReplicas", high)
    return (f"minReplicas: must be at most maxReplicas ({most}), is {shown('minReplicas', low)}",)


def path_stays_below(values: dict[str, Any]) -> tuple[str, ...]:
    """The path must not go up with `..`."""
    path = values.get("path")
    if not isinstance(path, str) or ".." not in path.split("/"):
        return ()
    return (f"path: must not go up with .., is {shown('path', path)}",)


def _amount(value: Any) -> Decimal | None:
    if not isinstance(value, str) or is_left_open(value):
        return None
    try:
        return quantities.parse(value)
    except ValueError:
        return None


def _action(
    name: str, parameters: type[p.Parameters], seconds: float, summary: str, *rules: Rule, idempotent: bool = False
) -> Action:
    return Action(
        name=name, summary=summary, parameters=parameters, typical_seconds=seconds, idempotent=idempotent, rules=rules
    )


_ALL: Final = (
    _action("scale_deployment", p.ScaleDeployment, 30, "Sets how many replicas a deployment has.", idempotent=True),
    _action("restart_pod", p.OnPod, 15, "Deletes a pod, so that its controller starts another."),
    _action(
        "increase_resources",
        p.IncreaseResources,
        120,
        "Gives the containers of a deployment more memory or CPU.",
        at_least_memory_or_cpu,
        quantities_above_zero,
        idempotent=True,
    ),
    _action("rollback_deployment", p.RollbackDeployment, 120, "Takes a deployment back to an earlier revision."),
    _action(
        "expand_pvc", p.ExpandPvc, 300, "Makes a PersistentVolumeClaim larger.", quantities_above_zero, idempotent=True
    ),
    _action("drain_node", p.DrainNode, 300, "Moves all pods off a node.", idempotent=True),
    _action("cordon_node", p.OnNode, 5, "Keeps new pods off a node.", idempotent=True),
    _action("uncordon_node", p.OnNode, 5, "Lets new pods onto a node again.", idempotent=True),
    _action("taint_node", p.TaintNode, 10, "Puts a taint on a node.", idempotent=True),
    _action("untaint_node", p.UntaintNode, 5, "Takes a taint off a node.", idempotent=True),
    _action("quarantine_pod", p.OnPod, 20, "Cuts a pod off from traffic and keeps it for a look.", idempotent=True),
    _action(
        "cleanup_storage",
        p.CleanupStorage,
        300,
        "Deletes what is not needed in a directory.",
        path_stays_below,
        idempotent=True,
    ),
    _action("backup_data", p.BackupData, 600, "Backs up a resource."),
    _action("compact_storage", p.CompactStorage, 1800, "Compacts a volume.", idempotent=True),
    _action(
        "update_hpa",
        p.UpdateHpa,
        10,
        "Sets the limits of a HorizontalPodAutoscaler.",
        minimum_within_maximum,
        idempotent=True,
    ),
    _action("restart_daemonset", p.RestartDaemonset, 120, "Restarts the pods of a DaemonSet one after another."),
    _action("scale_statefulset", p.ScaleStatefulset, 300, "Sets how many replicas a StatefulSet has.", idempotent=True),
    _action("rotate_secrets", p.RotateSecrets, 30, "Gives a Secret new content."),
    _action("audit_logs", p.AuditLogs, 120, "Collects the audit logs of a time.", idempotent=True),
    _action("update_network_policy", p.UpdateNetworkPolicy, 15, "Sets the rules of a NetworkPolicy.", idempotent=True),
    _action("restart_network", p.RestartNetwork, 120, "Restarts a component of the network."),
    _action("reset_service_mesh", p.InNamespace, 300, "Resets the service mesh of a namespace."),
    _action("failover_database", p.OnDatabase, 300, "Makes a standby of a database the primary."),
    _action("repair_database", p.OnDatabase, 1800, "Repairs a database."),
    _action("enable_debug_mode", p.OnDeployment, 15, "Turns on debug output of a deployment.", idempotent=True),
    _action("create_heap_dump", p.OnPod, 120, "Writes the heap of a pod's process to a file."),
    _action(
        "collect_diagnostics", p.CollectDiagnostics, 300, "Collects what is needed to find a fault.", idempotent=True
    ),
    _action(
        "optimize_resources", p.OptimizeResources, 300, "Sets requests and limits to what is used.", idempotent=True
    ),
    _action("migrate_workload", p.MigrateWorkload, 600, "Moves a workload to another node."),
    _action("notify_only", p.NotifyOnly, 1, "Tells people and changes nothing.", idempotent=True),
    _action("custom", p.Custom, 300, "An action that the executor knows and this product does not."),
)
ACTIONS: Final[dict[str, Action]] = {action.name: action for action in _ALL}
INVERTIBLE: Final = frozenset(
    {
        "scale_deployment",
        "scale_statefulset",
        "cordon_node",
        "uncordon_node",
        "taint_node",
        "untaint_node",
        "update_hpa",
    }
)
"""Actions that can be undone without a rollbackSpec, when the executor reports what was there before."""


def check(action: Any, parameters: Any) -> tuple[str, ...]:
    """Return every error of an action and its parameters at once; empty when there is none.

    Each error begins with the path of the field relative to the parameters, such as `replicas: must be 0 or more,
    is -1`. What holds a template or was redacted in part is left to whoever sees the whole value. Never raises.
    """
    known = ACTIONS.get(action) if isinstance(action, str) else None
    if known is None:
        return (_unknown(action),)
    if not isinstance(parameters, dict):
        return (f"must be an object with the parameters of {known.name}, is {shown('', parameters)}",)
    found = problems(known.parameters, parameters)
    return found + tuple(error for rule in known.rules for error in rule(parameters))


def check_at(path: str, action: Any, parameters: Any) -> tuple[str, ...]:
    """Return what `check` finds, each with its full path: `path` is that of the step or of its rollbackSpec."""
    if not isinstance(action, str) or action not in ACTIONS:
        return tuple(f"{path}.action: {error}" for error in check(action, parameters))
    if not isinstance(parameters, dict):
        return tuple(f"{path}.parameters: {error}" for error in check(action, parameters))
    return tuple(f"{path}.parameters.{error}" for error in check(action, parameters))


def _unknown(action: Any) -> str:
    near = did_you_mean(action, list(ACTIONS)) if isinstance(action, str) else ""
    return f"unknown action {shown('', action)}{near}; the actions are {', '.join(ACTIONS)}"
