"""Objects for tests of the watcher and of the cluster port, as a user or the bridge would send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.names import EXECUTION_GROUP, EXECUTION_KIND, VERSION, WORKFLOW_GROUP, WORKFLOW_KIND

if TYPE_CHECKING:
    from runtime.ports import Object


def a_workflow(name: str = "w", namespace: str = "shop", *, message: str = "hello", **metadata: Any) -> Object:
    """A workflow of one step that tells `message`."""
    step = {"stepNumber": 1, "action": "notify_only", "parameters": {"message": message}}
    return {
        "apiVersion": f"{WORKFLOW_GROUP}/{VERSION}",
        "kind": WORKFLOW_KIND,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"workflowDefinition": {"name": "d", "version": "1", "steps": [step]}},
    }


def an_execution(
    name: str = "w-step-1", namespace: str = "shop", *, workflow_uid: str = "u-1", step: int = 1, **metadata: Any
) -> Object:
    """An execution of a step of a workflow."""
    return {
        "apiVersion": f"{EXECUTION_GROUP}/{VERSION}",
        "kind": EXECUTION_KIND,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "workflowExecutionRef": {"name": "w", "namespace": namespace, "uid": workflow_uid},
            "stepNumber": step,
            "action": "notify_only",
            "parameters": {"message": "hello"},
            "idempotencyKey": f"key-{name}",
        },
    }


def owned_by(owner: Object) -> dict[str, Any]:
    """Metadata that make an object go when its owner goes."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    return {"ownerReferences": [reference]}
