"""What a simulated execution reports: results as a real executor might give them, marked as simulated. Pure.

Figures that no parameter gives are drawn from the uid, so that the same execution always reports the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kubernaut.simulator.dry_runs import changes
from kubernaut.simulator.execution import Execution
from kubernaut.simulator.touched import affected
from schemas import durations
from schemas.names import digest

Parameters = dict[str, Any]
Draw = Callable[[str, int, int], int]
"""A number from low to high, both included, for a name."""

_WARNINGS: Final[dict[str, str]] = {
    "drain_node": "pods with emptyDir volumes lose their scratch data",
    "create_heap_dump": "the process stands still while its heap is written",
    "rotate_secrets": "running pods keep the old value until they are restarted",
    "rollback_deployment": "ConfigMaps and Secrets are not rolled back with the pods",
    "expand_pvc": "the file system grows when the pod mounts the volume the next time",
}
"""What a person should know, before as after."""


def succeeded(execution: Execution, seconds: float) -> dict[str, Any]:
    """Return the executionResults of an action that went well and is said to have taken `seconds`."""
    action, parameters = execution.spec.action, execution.spec.parameters
    results = {"success": True, "simulated": True, "executionTime": durations.render(seconds)}
    warnings = [_WARNINGS[action]] if action in _WARNINGS else []
    if execution.spec.purpose == "dry_run":
        told = {"resourceChanges": changes(action, parameters), "potentialIssues": warnings}
        return results | {"dryRun": True, "resourcesAffected": []} | told
    results["resourcesAffected"] = affected(action, parameters)
    if warnings:
        results["warnings"] = warnings
    if details := _DETAILS.get(action):
        results |= details(parameters, _draw_for(execution.metadata.uid))
    return results


def failed(execution: Execution, seconds: float) -> dict[str, Any]:
    """Return the executionResults of an action that was tried for `seconds` and failed."""
    results = {"success": False, "simulated": True, "executionTime": durations.render(seconds)}
    if execution.spec.purpose == "dry_run":
        return results | {"dryRun": True, "resourcesAffected": []}
    return results | {"resourcesAffected": affected(execution.spec.action, execution.spec.parameters)}


def pre_image(execution: Execution) -> dict[str, Any] | None:
    """Return what the target is said to have been like before; None where the contract has no form for it.

    Only of what was done in earnest: a dry run changes nothing, and what a rollback undoes is not wanted back.
    """
    made = _PRE_IMAGES.get(execution.spec.action)
    if made is None or execution.spec.purpose != "execute":
        return None
    return made(execution.spec.parameters, _draw_for(execution.metadata.uid))


def _draw_for(uid: str) -> Draw:
    def draw(name: str, low: int, high: int) -> int:
        return low + int(digest("draw", uid, name, characters=8), 16) % (high - low + 1)

    return draw


def _scale(parameters: Parameters, draw: Draw) -> dict[str, Any]:
    wanted = parameters.get("replicas")
    before = _replicas_before(parameters, draw)["replicas"]
    return {"scaleResult": {"previousReplicas": before, "replicas": wanted, "readyReplicas": wanted}}


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


def _replicas_before(_: Parameters, draw: Draw) -> dict[str, Any]:
    return {"replicas": draw("previous", 1, 8)}


def _schedulable_before(_: Parameters, __: Draw) -> dict[str, Any]:
    return {"unschedulable": False}


def _unschedulable_before(_: Parameters, __: Draw) -> dict[str, Any]:
    return {"unschedulable": True}


def _no_taint_before(_: Parameters, __: Draw) -> dict[str, Any]:
    return {"taint": None}


def _taint_before(parameters: Parameters, draw: Draw) -> dict[str, Any]:
    effect = parameters.get("effect") or ("NoSchedule", "PreferNoSchedule", "NoExecute")[draw("effect", 0, 2)]
    taint = {"key": parameters.get("key"), "effect": effect, "value": f"before-{draw('taint', 1, 9)}"}
    return {"taint": taint}


def _bounds_before(_: Parameters, draw: Draw) -> dict[str, Any]:
    return {"minReplicas": draw("minimum", 1, 3), "maxReplicas": draw("maximum", 4, 10)}


_PRE_IMAGES: Final[dict[str, Callable[[Parameters, Draw], dict[str, Any]]]] = {
    "scale_deployment": _replicas_before,
    "scale_statefulset": _replicas_before,
    "cordon_node": _schedulable_before,
    "uncordon_node": _unschedulable_before,
    "taint_node": _no_taint_before,
    "untaint_node": _taint_before,
    "update_hpa": _bounds_before,
}
"""In the form from which the scheduler derives the inverse; a node is said to have been what the action changes."""
