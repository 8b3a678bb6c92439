"""Workflows for the tests of the command line, as the API gives them."""

from __future__ import annotations

from typing import Any

NOW = 1_767_225_660_000
"""2026-01-01T00:01:00Z in ms: a minute after everything here began."""
UID = "11111111-0000-4000-8000-000000000000"


def a_step(number: int, *needs: int, **fields: Any) -> dict[str, Any]:
    """Return a step of a definition."""
    step = {"stepNumber": number, "name": f"step {number}", "action": "notify_only", "parameters": {"message": "hi"}}
    return step | ({"dependsOn": list(needs)} if needs else {}) | fields


def a_told_step(number: int, status: str, *, started: int = 0, ended: int = 0, **fields: Any) -> dict[str, Any]:
    """Return a step of a status; `started` and `ended` in seconds of the minute 00:00."""
    told: dict[str, Any] = {"stepNumber": number, "status": status}
    if started:
        told["startTime"] = f"2026-01-01T00:00:{started:02}Z"
    if ended:
        told["endTime"] = f"2026-01-01T00:00:{ended:02}Z"
    return told | fields


def a_workflow(name: str = "leak", *, steps: list[dict[str, Any]] | None = None, **status: Any) -> dict[str, Any]:
    """Return a workflow made at 00:00:00; without a status when none of its fields is given."""
    body: dict[str, Any] = {
        "apiVersion": "workflowexecution.kubernaut.io/v1",
        "kind": "WorkflowExecution",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": UID,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {
            "workflowDefinition": {
                "name": "fix-it",
                "version": "1.0",
                "steps": steps or [a_step(1), a_step(2, 1), a_step(3, 1), a_step(4, 2, 3)],
            }
        },
    }
    return body | ({"status": status} if status else {})


PLAN: dict[str, Any] = {
    "strategy": "sequential-with-parallel",
    "waves": [[1], [2, 3], [4]],
    "criticalPath": [1, 2, 4],
    "estimatedDuration": "3s",
    "rollbackStrategy": "manual",
}


def a_running_workflow() -> dict[str, Any]:
    """Return a run in the middle: step 1 done, 2 running, 3 failed without being critical, 4 waiting."""
    steps = [a_step(1), a_step(2, 1), a_step(3, 1, criticalStep=False), a_step(4, 2, 3)]
    return a_workflow(
        steps=steps,
        phase="executing",
        progress="2/4",
        startTime="2026-01-01T00:00:01Z",
        executionPlan=PLAN,
        waitingFor="The end of step 2.",
        stepStatuses=[
            a_told_step(1, "completed", started=1, ended=3),
            a_told_step(2, "executing", started=50, k8sExecutionRef={"name": "leak-step-2"}),
            a_told_step(3, "failed", started=3, ended=4, reason="action_failed", errorMessage="no such pod"),
            a_told_step(4, "pending"),
        ],
    )


def an_ended_workflow(name: str = "leak", outcome: str = "success", phase: str = "completed") -> dict[str, Any]:
    """Return a run of one step that has ended."""
    return a_workflow(
        name,
        steps=[a_step(1)],
        phase=phase,
        progress="1/1",
        startTime="2026-01-01T00:00:01Z",
        completionTime="2026-01-01T00:00:08Z",
        workflowResult={"outcome": outcome},
        stepStatuses=[a_told_step(1, "completed", started=1, ended=8)],
    )
