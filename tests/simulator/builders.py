"""Objects for the tests of the simulated executor."""

from __future__ import annotations

from typing import Any

import msgspec

from kubernaut.simulator.execution import ENDING, Execution

WORKFLOW_UID = "11111111-0000-4000-8000-000000000000"
TYPICAL = {"scale_deployment": 30.0, "restart_pod": 15.0, "drain_node": 300.0, "notify_only": 1.0}


def an_execution_object(step: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a KubernetesExecution as the bridge creates it; `changes` go into its spec."""
    spec = {
        "workflowExecutionRef": {"name": "leak", "namespace": "shop", "uid": WORKFLOW_UID},
        "stepNumber": step,
        "attempt": 1,
        "purpose": "execute",
        "action": "scale_deployment",
        "parameters": {"deployment": "checkout", "namespace": "shop", "replicas": 6},
        "idempotencyKey": f"key-{step}",
    }
    return {
        "apiVersion": "kubernetesexecution.kubernaut.io/v1",
        "kind": "KubernetesExecution",
        "metadata": {"name": f"leak-step-{step}", "namespace": "shop"},
        "spec": spec | changes,
    }


def an_execution(
    phase: str = "",
    *,
    at: str = "2026-01-01T00:00:00Z",
    deleting: bool = False,
    held: bool = False,
    uid: str = "e-1",
    **changes: Any,
) -> Execution:
    """Return an execution that entered `phase` at `at`, having passed through none other."""
    body = an_execution_object(**changes)
    body["metadata"] |= {"uid": uid, "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    if held:
        body["metadata"]["finalizers"] = ["other.io/theirs", ENDING]
    if deleting:
        body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:05Z"
    if phase:
        condition = {"type": phase.capitalize(), "status": "True", "lastTransitionTime": at}
        body["status"] = {"phase": phase, "conditions": [condition]}
    return msgspec.convert(body, Execution)


def a_workflow_object(annotations: dict[str, str]) -> dict[str, Any]:
    """Return the workflow of the executions, with annotations of the simulator by the last part of their names."""
    return {
        "apiVersion": "workflowexecution.kubernaut.io/v1",
        "kind": "WorkflowExecution",
        "metadata": {
            "name": "leak",
            "namespace": "shop",
            "uid": WORKFLOW_UID,
            "annotations": {f"simulator.kubernaut.io/{name}": value for name, value in annotations.items()},
        },
        "spec": {},
    }
