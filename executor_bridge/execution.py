"""The KubernetesExecution that a CreateExecution asks for, and what an object found under its name is. Pure.

Every repeat of the same command must give the same body: names and keys come from the command, times from nowhere.
"""

from __future__ import annotations

from typing import Any, Literal

from schemas.messages import CreateExecution, WorkflowRef
from schemas.names import (
    ANNOTATION_TRACEPARENT,
    EXECUTION_API,
    EXECUTION_KIND,
    FINALIZER,
    LABEL_STEP,
    LABEL_WORKFLOW,
    WORKFLOW_API,
    WORKFLOW_KIND,
)

Found = Literal["ours", "leaving", "foreign"]
"""ours: made by this very command. leaving: on its way out, or its owner's end may still take it. foreign: it stays."""


def body_of(
    command: CreateExecution, workflow: WorkflowRef, parameters: dict[str, Any], traceparent: str
) -> dict[str, Any]:
    """Return the whole object. `parameters` are those of the command with nothing redacted in them."""
    metadata: dict[str, Any] = {
        "name": command.name,
        "namespace": workflow.namespace,
        "labels": {LABEL_WORKFLOW: workflow.uid, LABEL_STEP: str(command.step)},
        "annotations": {ANNOTATION_TRACEPARENT: traceparent},
        "ownerReferences": [
            {
                "apiVersion": WORKFLOW_API,
                "kind": WORKFLOW_KIND,
                "name": workflow.name,
                "uid": workflow.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    if command.hold:
        metadata["finalizers"] = [FINALIZER]
    return {
        "apiVersion": EXECUTION_API,
        "kind": EXECUTION_KIND,
        "metadata": metadata,
        "spec": {
            "workflowExecutionRef": {"name": workflow.name, "namespace": workflow.namespace, "uid": workflow.uid},
            "stepNumber": command.step,
            "attempt": command.attempt,
            "purpose": command.purpose,
            "action": command.action,
            "parameters": parameters,
            "targetCluster": command.target_cluster,
            "timeout": command.timeout,
            "maxRetries": 0,
            "approvalReceived": command.approved,
            "idempotencyKey": command.idempotency_key,
        },
    }


def judge(found: dict[str, Any], workflow: WorkflowRef, key: str) -> Found:
    """Say what an object that has the name of our execution is. `key` is the command's idempotency key.

    Never to be adopted unless both the owner's uid and the key are ours: a name proves nothing (reliability.md, B3).
    """
    metadata = found.get("metadata") or {}
    owner = owner_of(found)
    if owner == workflow.uid and (found.get("spec") or {}).get("idempotencyKey") == key:
        return "ours"
    if metadata.get("deletionTimestamp") or (owner and owner != workflow.uid):
        return "leaving"
    return "foreign"


def owner_of(found: dict[str, Any]) -> str:
    """Return the uid of the controller that owns an object, or nothing."""
    references = (found.get("metadata") or {}).get("ownerReferences") or ()
    return next((str(reference.get("uid", "")) for reference in references if reference.get("controller")), "")
