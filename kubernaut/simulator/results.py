"""What a simulated execution reports: results as a real executor might give them, marked as simulated. Pure.

Figures that no parameter gives are drawn from the uid, so that the same execution always reports the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kubernaut.simulator.execution import Execution
from schemas import durations
from schemas.names import digest

Parameters = dict[str, Any]
Draw = Callable[[str, int, int], int]
"""A number from low to high, both included, for a name."""

_SUBJECTS: Final[dict[str, tuple[str, str]]] = {
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
    "cleanup_storage": ("Volume", "path"),
    "compact_storage": ("Volume", "volume"),
    "update_hpa": ("HorizontalPodAutoscaler", "hpa"),
    "restart_daemonset": ("DaemonSet", "daemonset"),
    "scale_statefulset": ("StatefulSet", "statefulset"),
    "rotate_secrets": ("Secret", "secret"),
    "update_network_policy": ("NetworkPolicy", "networkpolicy"),
    "restart_network": ("NetworkComponent", "component"),
    "reset_service_mesh": ("Namespace", "namespace"),
    "failover_database": ("Database", "database"),
    "repair_database": ("Database", "database"),
    "enable_debug_mode": ("Deployment", "deployment"),
    "create_heap_dump": ("Pod", "pod"),
    "optimize_resources": ("Namespace", "namespace"),
    "migrate_workload": ("Workload", "workload"),
}
"""Kind and naming parameter of what an action changes; actions that only read are not here."""

_WARNINGS: Final[dict[str, str]] = {
    "drain_node": "pods with emptyDir volumes were evicted; their scratch data is gone",
    "create_heap_dump": "the process stood still while its heap was written",
    "rotate_secrets": "running pods keep the old value until they are restarted",
    "rollback_deployment": "ConfigMaps and Secrets were not rolled back with the pods",
    "expand_pvc": "the file system grows when the pod mounts the volume the next time",
}


def succeeded(execution: Execution, seconds: float) -> dict[str, Any]:
    """Return the executionResults of an action that went well and is said to have taken `seconds`."""
    action, parameters = execution.spec.action, execution.spec.parameters
    results: dict[str, Any] = {
        "success": True,
        "simulated": True,
        "executionTime": durations.render(seconds),
        "resourcesAffected": affected(action, parameters),
    }
    if warning := _WARNINGS.get(action):
        results["warnings"] = [warning]
    if execution.spec.purpose == "dry_run":
        return results | {"dryRun": True, "resourcesAffected": []}
    if details := _DETAILS.get(action):
        results |= details(parameters, _draw_for(execution.metadata.uid))
    return results


def failed(execution: Execution, seconds: float) -> dict[str, Any]:
    """Return the executionResults of an action that was tried for `seconds` and failed."""
    return {
        "success": False,
        "simulated": True,
        "executionTime": durations.render(seconds),
        "resourcesAffected": affected(execution.spec.action, execution.spec.parameters),
    }


def affected(action: str, parameters: Parameters) -> list[dict[str, str]]:
    """Return what the action changes: kind, name and, where there is one, namespace."""
    if action not in _SUBJECTS:
        return []
    kind, parameter = _SUBJECTS[action]
    subject = {"kind": kind, "name": str(parameters.get(parameter, ""))}
    namespace = parameters.get("namespace")
    if namespace and parameter != "namespace":
        subject["namespace"] = str(namespace)
    return [subject]


def _draw_for(uid: str) -> Draw:
    def draw(name: str, low: int, high: int) -> int:
        return low + int(digest("draw", uid, name, characters=8), 16) % (high - low + 1)

    return draw


def _scale(parameters: Parameters, draw: Draw) -> dict[str, Any]:
    wanted = parameters.get("replicas")
    return {"scaleResult": {"previousReplicas": draw("previous", 1, 8), "replicas": wanted, "readyReplicas": wanted}}


def _hpa(parameters: Parameters, draw: Draw) -> dict[str, Any]:
    bounds = {name: parameters.get(name) for name in ("minReplicas", "maxReplicas")}
    return {"hpaResult": bounds | {"currentReplicas": draw("current", 2, 6)}}


def _resources(parameters: Parameters, draw: Draw) -> dict[str, Any]:
    changed = {name: parameters[name] for name in ("memory", "cpu") if name in parameters}
    return {"resourceResult": changed | {"podsRestarted": draw("pods", 1, 6)}}


def _revision(parameters: Parameters, draw: Draw) -> dict[str, Any]:
    before = draw("revision", 5, 40)
    return {"rollbackResult": {"previousRevision": before, "revision": parameters.get("revision", before - 1)}}


def _drain(_: Parameters, draw: Draw) -> dict[str, Any]:
    return {"drainResult": {"podsEvicted": draw("evicted", 8, 40), "daemonSetPodsLeft": draw("left", 3, 7)}}


def _heap_dump(parameters: Parameters, draw: Draw) -> dict[str, Any]:
    megabytes = draw("size", 300, 1900)
    return {"heapDumpResult": {"path": f"/dumps/{parameters.get('pod', 'pod')}.hprof", "sizeMegabytes": megabytes}}


def _diagnostics(_: Parameters, draw: Draw) -> dict[str, Any]:
    return {"diagnosticsResult": {"filesCollected": draw("files", 4, 24), "restartsSeen": draw("restarts", 0, 3)}}


def _storage(_: Parameters, draw: Draw) -> dict[str, Any]:
    return {"storageResult": {"freedMegabytes": draw("freed", 100, 20_000)}}


def _restart(_: Parameters, draw: Draw) -> dict[str, Any]:
    return {"restartResult": {"readyAfterSeconds": draw("ready", 3, 14)}}


_DETAILS: Final[dict[str, Callable[[Parameters, Draw], dict[str, Any]]]] = {
    "scale_deployment": _scale,
    "scale_statefulset": _scale,
    "update_hpa": _hpa,
    "increase_resources": _resources,
    "rollback_deployment": _revision,
    "drain_node": _drain,
    "create_heap_dump": _heap_dump,
    "collect_diagnostics": _diagnostics,
    "cleanup_storage": _storage,
    "compact_storage": _storage,
    "restart_pod": _restart,
    "restart_daemonset": _restart,
}
