"""What a real API server lets through is what our contracts can decode, value by value."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from schemas.execution import KubernetesExecution
from schemas.workflow import WorkflowExecution
from tests.schemas.api import EXECUTIONS, WORKFLOWS, Api
from tests.schemas.builders import a_workflow, an_execution

pytestmark = pytest.mark.real

VALUES = (
    *("null", "true", "0", "1", "2", "11", "1.0", "1e1", "1.5", "-1", "10000000000000000000000", "1e300"),
    *('""', '"a"', '"1"', '"A b"', '"5m"', '"1h30m"', '"\\u0663s"', '"manual"', '"2026-01-01T00:00:00Z"', '"\\u0000"'),
    *("[]", "[1]", "[1.0]", "[null]", '["a"]', "[[1]]", "[{}]"),
    *("{}", '{"a": null}', '{"a": "b"}', '{"1": [1]}', '{"1": null}', '{"name": "a"}', '{"a": {"b": [null, 1.5]}}'),
)
SPEC = (
    *("remediationRequestRef", "remediationRequestRef.name", "remediationRequestRef.namespace"),
    *("workflowDefinition", "workflowDefinition.name", "workflowDefinition.variables", "workflowDefinition.steps"),
    *("workflowDefinition.dependencies", "workflowDefinition.aiRecommendations"),
    *(
        f"workflowDefinition.aiRecommendations.{name}"
        for name in ("overallConfidence", "generatedAt", "stepOptimizations", "riskFactors", "estimatedDuration")
    ),
    *("executionStrategy", "adaptiveOrchestration", "control"),
    *(
        f"executionStrategy.{name}"
        for name in (
            *("approvalRequired", "rollbackStrategy", "maxRetries", "parallelismLimit", "workflowTimeout"),
            *("monitoring", "monitoring.window", "safetyChecks"),
        )
    ),
    *("control.paused", "control.cancel", "control.cancel.mode", "control.overrides", "control.rollback"),
)
STEP = (
    *("stepNumber", "name", "action", "parameters", "targetCluster", "dependsOn", "criticalStep", "maxRetries"),
    *("retryPolicy", "retryPolicy.multiplier", "retryPolicy.initialDelay", "timeout", "runIf", "preConditions"),
    *("rollbackSpec", "rollbackSpec.parameters"),
)
EXECUTION_STATUS = (
    *("phase", "validationResults", "executionResults", "executionResults.success", "executionResults.executionTime"),
    *("executionResults.resourcesAffected", "executionResults.warnings", "executionResults.scaleResult"),
    *("rollbackInformation", "jobName", "failure", "failure.reason", "failure.retryable", "conditions", "unknown"),
)
_HOLE = "the value goes here"


def written(body: dict[str, Any], value: str) -> bytes:
    """The object as JSON with the value in its hole: json.dumps could not write every number as it stands."""
    return json.dumps(body).replace(json.dumps(_HOLE), value).encode()


def decodes(raw: bytes, struct: type[msgspec.Struct]) -> str:
    """Why a struct cannot be decoded; empty when it can."""
    try:
        msgspec.json.decode(raw, type=struct)
    except msgspec.DecodeError as error:
        return str(error)
    return ""


def make_hole(root: dict[str, Any], path: str) -> None:
    """Mark the place of an object where a value shall be."""
    *parents, last = path.split(".")
    for name in parents:
        root = root.setdefault(name, {})
    root[last] = _HOLE


@pytest.mark.parametrize("path", [*SPEC, *(f"steps[0].{name}" for name in STEP)])
def test_a_workflow_that_the_server_takes_can_be_decoded_and_the_other_way_round(api: Api, path: str) -> None:
    """Types, limits and patterns mean the same to the server and to us: no object gets in that we cannot read."""
    differences = []
    for value in VALUES:
        body = a_workflow("typed")
        in_step = path.startswith("steps[0].")
        root = body["spec"]["workflowDefinition"]["steps"][0] if in_step else body["spec"]
        make_hole(root, path.removeprefix("steps[0]."))
        raw = written(body, value)
        answer = api.call("POST", f"{WORKFLOWS}?dryRun=All", raw)
        taken = answer.code == 201
        error = decodes(answer.raw if taken else raw, WorkflowExecution)
        # Rules between fields, such as a dependency that does not exist, are not about types.
        between = any(words in answer.message for words in ("no step has", "not the stepNumber", "nothing to do"))
        if taken == bool(error) and not between:
            differences.append((value, answer.code, error or answer.message))

    assert differences == []


@pytest.mark.parametrize("path", EXECUTION_STATUS)
def test_a_status_that_the_server_takes_from_an_executor_can_be_decoded(api: Api, path: str) -> None:
    """The executor is another product: whatever of it the server stores, we can read."""
    body = an_execution("typed")
    made = api.call("POST", EXECUTIONS, body)
    assert made.code in {201, 409}, made.message
    body["metadata"]["resourceVersion"] = api.call("GET", f"{EXECUTIONS}/typed").object["metadata"]["resourceVersion"]
    differences = []
    for value in VALUES:
        body["status"] = {}
        make_hole(body["status"], path)
        answer = api.call("PUT", f"{EXECUTIONS}/typed/status?dryRun=All", written(body, value))
        error = decodes(answer.raw, KubernetesExecution) if answer.code == 200 else ""
        if error:
            differences.append((value, error))

    assert differences == []
