"""Builders of objects as a user writes them."""

from __future__ import annotations

from typing import Any


def a_step(number: int, **fields: Any) -> dict[str, Any]:
    """A step that only tells people."""
    return {"stepNumber": number, "action": "notify_only", "parameters": {"message": "hello"}, **fields}


def a_workflow(name: str, steps: list[dict[str, Any]] | None = None, **definition: Any) -> dict[str, Any]:
    """A workflow with nothing that need not be there."""
    return {
        "apiVersion": "workflowexecution.kubernaut.io/v1",
        "kind": "WorkflowExecution",
        "metadata": {"name": name},
        "spec": {"workflowDefinition": {"name": "d", "version": "1", "steps": steps or [a_step(1)], **definition}},
    }


def a_full_workflow(name: str) -> dict[str, Any]:
    """A workflow with every field of its spec."""
    steps = [
        a_step(
            1,
            name="first",
            description="words",
            action="custom",
            parameters={
                "text": "a",
                "number": 1,
                "fraction": 0.5,
                "yes": True,
                "nothing": None,
                "list": [1, {"deep": "b"}],
                "object": {"deeper": {"deepest": 1}},
            },
            targetCluster="east",
            criticalStep=False,
            maxRetries=1,
            retryPolicy={"initialDelay": "1s", "multiplier": 2, "maxDelay": "1m"},
            timeout="1m",
            runIf="true",
            skipIf="false",
            preConditions=[{"expression": "true", "message": "m", "onFailure": "skip"}],
            postConditions=[{"expression": "true", "message": "m", "onFailure": "retry"}],
            rollbackSpec={"action": "notify_only", "parameters": {"message": {"deep": "x"}}, "timeout": "1m"},
        ),
        a_step(2, dependsOn=[1]),
        a_step(3),
    ]
    workflow = a_workflow(name, steps, variables={"a": "b"}, dependencies={"3": [1, 2]})
    workflow["spec"]["workflowDefinition"]["aiRecommendations"] = {
        "overallConfidence": 1,
        "recommendationSource": "analysis",
        "generatedAt": "2026-01-01T00:00:00Z",
        "stepOptimizations": [{"step": 1, "deep": {"a": "b"}}],
        "parallelExecutionSuggestions": [{"steps": [1, 2]}],
        "safetyImprovements": [{"add": "approval"}],
        "similarWorkflowSuccessRate": 0.9,
        "estimatedDuration": "5m",
        "riskFactors": ["none"],
    }
    workflow["spec"] |= {
        "remediationRequestRef": {"name": "rr", "namespace": "ops"},
        "executionStrategy": {
            "approvalRequired": False,
            "dryRunFirst": False,
            "rollbackStrategy": "none",
            "maxRetries": 1,
            "parallelismLimit": 3,
            "priority": "low",
            "workflowTimeout": "10m",
            "ttlAfterFinished": "1h",
            "monitoring": {"window": "1s", "timeout": "1m"},
            "safetyChecks": [{"type": "rbac", "description": "d", "required": False}],
        },
        "adaptiveOrchestration": {
            "optimizationEnabled": True,
            "learningFromHistory": False,
            "dynamicStepAdjustment": False,
        },
        "control": {"paused": True},
    }
    return workflow


def an_execution(name: str) -> dict[str, Any]:
    """An execution with every field of its spec."""
    return {
        "apiVersion": "kubernetesexecution.kubernaut.io/v1",
        "kind": "KubernetesExecution",
        "metadata": {"name": name},
        "spec": {
            "workflowExecutionRef": {"name": "w", "namespace": "shop", "uid": "u"},
            "stepNumber": 1,
            "attempt": 1,
            "purpose": "execute",
            "action": "custom",
            "parameters": {"text": "a", "number": 1, "object": {"deeper": [1, {"deepest": 1}]}},
            "targetCluster": "east",
            "timeout": "1m",
            "maxRetries": 1,
            "approvalReceived": True,
            "idempotencyKey": "k",
        },
    }
