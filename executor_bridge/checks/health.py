"""Whether a thing of the cluster is there and available, from its object alone. Pure, total.

The rules are those of `kubectl rollout status` and `kubectl wait` without their waiting: not yet well is not well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from executor_bridge.checks.values import at, condition, whole, words


def problem_of(kind: str, found: Any) -> str:
    """Say what keeps a thing from being available; empty when nothing does. What has no state need only be there."""
    if at(found, "metadata", "deletionTimestamp"):
        return "it is being deleted"
    rule = _RULES.get(kind)
    return rule(found) if rule else ""


def _behind(found: Any) -> str:
    """A controller that has not seen the newest version says nothing of it."""
    if whole(found, "status", "observedGeneration") < whole(found, "metadata", "generation"):
        return "its controller has not seen its newest version yet"
    return ""


def _few(found: Any, field: str, wanted: int) -> str:
    there = whole(found, "status", field)
    return "" if there >= wanted else f"{there} of {wanted} pods are available"


def _deployment(found: Any) -> str:
    progress = condition(found, "Progressing")
    if progress.get("status") == "False":
        return f"its rollout does not go on: {words(progress, 'message') or words(progress, 'reason')}".rstrip(": ")
    return _behind(found) or _few(found, "availableReplicas", whole(found, "spec", "replicas", default=1))


def _statefulset(found: Any) -> str:
    return _behind(found) or _few(found, "availableReplicas", whole(found, "spec", "replicas", default=1))


def _daemonset(found: Any) -> str:
    return _behind(found) or _few(found, "numberAvailable", whole(found, "status", "desiredNumberScheduled"))


def _pod(found: Any) -> str:
    phase = words(found, "status", "phase")
    if condition(found, "Ready").get("status") == "True" or phase == "Running":
        return ""
    return f"its phase is {phase or 'unknown'}"


def _node(found: Any) -> str:
    ready = condition(found, "Ready")
    if ready.get("status") == "True":
        return ""  # a cordoned node is well: somebody wants it so
    return f"it is not ready: {words(ready, 'message') or words(ready, 'reason')}".rstrip(": ")


def _claim(found: Any) -> str:
    phase = words(found, "status", "phase")
    return "" if phase == "Bound" else f"it is not bound but {phase or 'unknown'}"


def _autoscaler(found: Any) -> str:
    able = condition(found, "AbleToScale")
    if able.get("status") == "False":
        return f"it cannot scale: {words(able, 'message') or words(able, 'reason')}".rstrip(": ")
    return ""


def _namespace(found: Any) -> str:
    phase = words(found, "status", "phase")
    return "" if phase == "Active" else f"it is not active but {phase or 'unknown'}"


_RULES: Final[dict[str, Callable[[Any], str]]] = {
    "Deployment": _deployment,
    "StatefulSet": _statefulset,
    "DaemonSet": _daemonset,
    "Pod": _pod,
    "Node": _node,
    "PersistentVolumeClaim": _claim,
    "HorizontalPodAutoscaler": _autoscaler,
    "Namespace": _namespace,
}


def seen(kind: str, found: Any) -> str:
    """Return in a few words what the verdict was made of, for whoever reads it later."""
    if kind in {"Deployment", "StatefulSet"}:
        wanted = whole(found, "spec", "replicas", default=1)
        return f"{whole(found, 'status', 'availableReplicas')} of {wanted} available, {_generations(found)}"
    if kind == "DaemonSet":
        wanted = whole(found, "status", "desiredNumberScheduled")
        return f"{whole(found, 'status', 'numberAvailable')} of {wanted} available, {_generations(found)}"
    ready, phase = words(condition(found, "Ready"), "status"), words(found, "status", "phase")
    told = [f"phase {phase}"] * bool(phase) + [f"ready {ready}"] * bool(ready)
    return ", ".join(told) or "it is there"


def _generations(found: Any) -> str:
    return (
        f"generation {whole(found, 'metadata', 'generation')}, observed {whole(found, 'status', 'observedGeneration')}"
    )
