"""Builders of specs as the rules of planning see them."""

from __future__ import annotations

from typing import Any

import msgspec

from scheduler.rules import broken
from schemas.workflow import WorkflowSpec

STEPS = "spec.workflowDefinition.steps"
STRATEGY = "spec.executionStrategy"
ADVICE = "spec.workflowDefinition.aiRecommendations"


def a_written_step(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A step that scales a deployment."""
    parameters = {"deployment": "checkout", "namespace": "shop", "replicas": 3}
    return {"stepNumber": number, "action": "scale_deployment", "parameters": parameters} | fields


def a_spec(
    *steps: dict[str, Any],
    strategy: dict[str, Any] | None = None,
    advice: dict[str, Any] | None = None,
    **variables: str,
) -> WorkflowSpec:
    """The spec of a workflow, decoded as the scheduler does."""
    definition: dict[str, Any] = {"name": "leak", "version": "1", "steps": list(steps), "variables": variables}
    if advice is not None:
        definition["aiRecommendations"] = advice
    written = {"workflowDefinition": definition, "executionStrategy": strategy or {}}
    return msgspec.json.decode(msgspec.json.encode(written), type=WorkflowSpec)


def wrong_with(step: dict[str, Any], strategy: dict[str, Any] | None = None, **variables: str) -> list[str]:
    """Every error of a workflow of this step."""
    return list(broken(a_spec(a_written_step() | step, strategy=strategy, **variables)))
