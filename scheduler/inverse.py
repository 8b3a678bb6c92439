"""What undoes a step that has no rollbackSpec, derived from what its target was like before. Pure and total.

The pre-image is an executor's word: what does not fit is no reason to guess, so it gives None. Must never give an
action that `schemas.actions.check` refuses, nor one with a value that it leaves unchecked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from schemas.actions import check
from schemas.parameter_check import is_left_open

Undo = tuple[str, dict[str, Any]]


def inverse(action: str, parameters: dict[str, Any], pre_image: dict[str, Any] | None) -> Undo | None:
    """Return the action and its parameters that take a step back; None when there is none, or nothing is to be undone.

    `parameters` are those that the step was carried out with, every `{{ }}` replaced.
    """
    derive = _DERIVED.get(action)
    if derive is None or not isinstance(pre_image, dict):
        return None
    found = derive(parameters, pre_image)
    if found is None or check(*found) or any(is_left_open(value) for value in found[1].values()):
        return None
    return found


def _scale(action: str, name: str) -> Callable[[dict[str, Any], dict[str, Any]], Undo | None]:
    def derive(parameters: dict[str, Any], before: dict[str, Any]) -> Undo | None:
        return _with_values(action, parameters, before, keep=(name, "namespace"), values=("replicas",))

    return derive


def _hpa(parameters: dict[str, Any], before: dict[str, Any]) -> Undo | None:
    keep, values = ("hpa", "namespace"), ("minReplicas", "maxReplicas")
    return _with_values("update_hpa", parameters, before, keep=keep, values=values)


def _with_values(
    action: str, parameters: dict[str, Any], before: dict[str, Any], *, keep: tuple[str, ...], values: tuple[str, ...]
) -> Undo | None:
    """The same action on the same thing, with the values of before; None when they are the same."""
    old = {name: before.get(name) for name in values}
    if all(_same(old[name], parameters.get(name)) for name in values):
        return None
    return action, {name: parameters[name] for name in keep if name in parameters} | old


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _schedulable(action: str, *, was: bool) -> Callable[[dict[str, Any], dict[str, Any]], Undo | None]:
    """Take a node back to `was`; when it was anything else before, the step changed nothing."""

    def derive(parameters: dict[str, Any], before: dict[str, Any]) -> Undo | None:
        return (action, {"node": parameters.get("node")}) if before.get("unschedulable") is was else None

    return derive


def _untaint(parameters: dict[str, Any], before: dict[str, Any]) -> Undo | None:
    """The node was tainted: take the taint off, or put the one back that it replaced."""
    if "taint" not in before:
        return None
    if before["taint"] is None:
        return "untaint_node", {name: parameters.get(name) for name in ("node", "key", "effect")}
    old = _old_taint(parameters, before)
    value = old and old.get("value", "")
    return ("taint_node", old) if old and not _same(value, parameters.get("value", "")) else None


def _taint(parameters: dict[str, Any], before: dict[str, Any]) -> Undo | None:
    """The taint was taken off: put it back."""
    old = _old_taint(parameters, before)
    return ("taint_node", old) if old else None


def _old_taint(parameters: dict[str, Any], before: dict[str, Any]) -> dict[str, Any] | None:
    """Return what puts the taint of before back, if it is the one that the step was about."""
    taint = before.get("taint")
    if not isinstance(taint, dict) or not _same(taint.get("key"), parameters.get("key")):
        return None
    if "effect" in parameters and not _same(taint.get("effect"), parameters["effect"]):
        return None
    known = {name: taint[name] for name in ("key", "effect", "value") if taint.get(name) not in (None, "")}
    return {"node": parameters.get("node")} | known


_DERIVED: Final[dict[str, Callable[[dict[str, Any], dict[str, Any]], Undo | None]]] = {
    "scale_deployment": _scale("scale_deployment", "deployment"),
    "scale_statefulset": _scale("scale_statefulset", "statefulset"),
    "cordon_node": _schedulable("uncordon_node", was=False),
    "uncordon_node": _schedulable("cordon_node", was=True),
    "taint_node": _untaint,
    "untaint_node": _taint,
    "update_hpa": _hpa,
}
