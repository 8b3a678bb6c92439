"""What a simulated dry run says would change, in sentences for people. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from kubernaut.simulator.touched import subject_of

_WOULD: Final[dict[str, str]] = {
    "scale_deployment": "would be scaled to {replicas} replicas",
    "scale_statefulset": "would be scaled to {replicas} replicas",
    "restart_pod": "would be deleted and made anew by its owner",
    "increase_resources": "would get other resources, and its pods would be replaced",
    "rollback_deployment": "would go back to an earlier revision",
    "expand_pvc": "would grow to {size}",
    "drain_node": "would be emptied of its pods",
    "cordon_node": "would take no new pods",
    "uncordon_node": "would take new pods again",
    "taint_node": "would get the taint {key}:{effect}",
    "untaint_node": "would lose the taint {key}",
    "quarantine_pod": "would be cut off from traffic",
    "update_hpa": "would have {minReplicas} to {maxReplicas} replicas",
    "restart_daemonset": "would have its pods replaced one after the other",
    "rotate_secrets": "would hold new values",
    "migrate_workload": "would move to node {targetNode}",
}


def changes(action: str, parameters: dict[str, Any]) -> list[str]:
    """Return one sentence for each thing that the action would change; none for an action that changes nothing."""
    target = subject_of(action, parameters)
    if target is None:
        return []
    place = f" in namespace {target.namespace}" if target.namespace else ""
    would = _WOULD.get(action, f"would be changed by {action}")
    known = defaultdict(lambda: "?", parameters)
    return [f"{target.kind} {target.name}{place} {would.format_map(known)}"]
