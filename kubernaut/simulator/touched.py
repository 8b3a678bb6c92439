"""What a simulated action is said to have changed. Pure.

The contract (`schemas.targets`) says what most actions are about. An executor names more than that: also what is of no
kind of the Kubernetes API.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.targets import READS_ONLY, Target, target_of

_OWN_KINDS: Final[dict[str, tuple[str, str]]] = {
    "cleanup_storage": ("Volume", "path"),
    "compact_storage": ("Volume", "volume"),
    "restart_network": ("NetworkComponent", "component"),
    "failover_database": ("Database", "database"),
    "repair_database": ("Database", "database"),
    "migrate_workload": ("Workload", "workload"),
}
"""What an executor would name where the contract only knows the namespace: a kind that is none of the API's, and the
parameter that names it."""


def affected(action: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the action changes: kind, name and, where there is one, namespace; marked, as nothing was changed."""
    target = subject_of(action, parameters)
    if target is None:
        return []
    named = {"kind": target.kind, "name": target.name, "namespace": target.namespace}
    return [{name: value for name, value in named.items() if value} | {"simulated": True}]


def subject_of(action: str, parameters: dict[str, Any]) -> Target | None:
    """Return what the action changes; None for one that only reads, or that names nothing."""
    if action in READS_ONLY:
        return None
    if action not in _OWN_KINDS:
        return target_of(action, parameters)
    kind, parameter = _OWN_KINDS[action]
    return Target(kind, str(parameters.get("namespace", "")), str(parameters.get(parameter, "")))
