"""Which thing of the cluster an action is about, as its parameters name it. Pure data.

Must stay in step with `schemas.actions`: every action that names one thing of the Kubernetes API has an entry here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

NO_NAMESPACE: Final = frozenset({"Node", "Namespace"})
"""Kinds that are in no namespace."""

_BY_ACTION: Final[dict[str, tuple[str, str]]] = {
    "scale_deployment": ("Deployment", "deployment"),
    "restart_pod": ("Pod", "pod"),
    "increase_resources": ("Deployment", "deployment"),
    "rollback_deployment": ("Deployment", "deployment"),
    "expand_pvc": ("PersistentVolumeClaim", "pvc"),
    "drain_node": ("Node", "node"),
    "cordon_node": ("Node", "node"),
    "uncordon_node": ("Node", "node"),
    "taint_node": ("Node", "node"),
    "untaint_node": ("Node", "node"),
    "quarantine_pod": ("Pod", "pod"),
    "update_hpa": ("HorizontalPodAutoscaler", "hpa"),
    "restart_daemonset": ("DaemonSet", "daemonset"),
    "scale_statefulset": ("StatefulSet", "statefulset"),
    "rotate_secrets": ("Secret", "secret"),
    "update_network_policy": ("NetworkPolicy", "networkpolicy"),
    "reset_service_mesh": ("Namespace", "namespace"),
    "enable_debug_mode": ("Deployment", "deployment"),
    "create_heap_dump": ("Pod", "pod"),
    "optimize_resources": ("Namespace", "namespace"),
    "cleanup_storage": ("Namespace", "namespace"),
    "compact_storage": ("Namespace", "namespace"),
    "collect_diagnostics": ("Namespace", "namespace"),
    "audit_logs": ("Namespace", "namespace"),
    "backup_data": ("Namespace", "namespace"),
    "restart_network": ("Namespace", "namespace"),
    "failover_database": ("Namespace", "namespace"),
    "repair_database": ("Namespace", "namespace"),
    "migrate_workload": ("Namespace", "namespace"),
}
"""Kind of the target and the parameter that names it. Where a parameter may name things of several kinds, or a thing of
no kind of the API (a volume, a database), the namespace stands for it."""

READS_ONLY: Final = frozenset({"audit_logs", "backup_data", "collect_diagnostics"})
"""Actions that change nothing of what they are about: how it does afterwards says nothing of them."""


class Target(msgspec.Struct, frozen=True):
    """One thing of the Kubernetes API."""

    kind: str
    namespace: str
    """Empty for kinds that are in none."""
    name: str

    def __str__(self) -> str:
        """Return it as `Kind/namespace/name`; read back by `parse`."""
        return f"{self.kind}/{self.namespace}/{self.name}"


def parse(text: str) -> Target:
    """Return the target that `str` gave. Raises ValueError for anything else."""
    kind, namespace, name = text.split("/", 2)
    return Target(kind, namespace, name)


def target_of(action: str, parameters: dict[str, Any]) -> Target | None:
    """Return what an action is about; None for one that is about nothing in the cluster, or names nothing."""
    kind, parameter = _BY_ACTION.get(action, ("", ""))
    name, namespace = parameters.get(parameter), parameters.get("namespace", "")
    if not kind or not isinstance(name, str) or not name or not isinstance(namespace, str):
        return None
    return Target(kind, "" if kind in NO_NAMESPACE else namespace, name)
