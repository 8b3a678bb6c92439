"""The status of a workflow as a function of a decision and a definition."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from executor_bridge import definition
from executor_bridge.status import status_of
from executor_bridge.times import rfc3339
from executor_bridge.validation import LINE, SHOWN
from schemas.fields import SENTENCE_LIMIT
from schemas.run_state import RunState
from schemas.workflow_status import StepStatus, WorkflowStatus
from tests.executor_bridge.builders import START, a_decision, a_state, a_step, a_workflow

WORDS = definition.read(msgspec.json.encode(a_workflow()))


def a_status(state: RunState, words: definition.Definition | None = WORDS) -> dict[str, Any]:
    """The status as the API server gets it."""
    encoded = msgspec.json.encode(status_of(a_decision(4, state), words))
    return msgspec.json.decode(encoded, type=dict[str, Any])


def conditions(state: RunState) -> dict[str, tuple[str, str, str]]:
    """Status, reason and time of each condition."""
    return {c["type"]: (c["status"], c["reason"], c["lastTransitionTime"][11:]) for c in a_status(state)["conditions"]}


RUNNING = a_state(
    a_step(1, "completed", execution_uid="u-1", ended_at=START + 900, result={"replicas": 3}, affected=2),
    a_step(2, "executing", execution_uid="u-2"),
    a_step(3),
)
FAILED = a_state(
    a_step(1, "completed", execution_uid="u-1", ended_at=START + 900, affected=2),
    a_step(2, "failed", execution_uid="u-2", ended_at=START + 2000, reason="oom", error="out of memory"),
    a_step(3, "skipped", reason="dependency_failed"),
    phase="failed",
    outcome="failed",
    failure_reason="step 2 failed: out of memory",
    ended_at=START + 2500,
)
COMPLETED = a_state(
    *(a_step(n, "completed", execution_uid=f"u-{n}", ended_at=START + 900) for n in (1, 2, 3)),
    phase="completed",
    outcome="success",
    ended_at=START + 61_500,
)
INVALID = RunState(
    phase="failed",
    started_at=START,
    ended_at=START + 3,
    generation=1,
    outcome="failed",
    failure_reason="planning refused: spec.x: no",
    errors=("spec.x: no", "spec.y: no"),
    phase_times={"planning": START},
)


def test_a_running_workflow_shows_where_it_is() -> None:
    """A running workflow shows its phase, its progress, the step in flight and what it waits for."""
    status = a_status(RUNNING)

    assert {name: status.get(name) for name in ("phase", "sequence", "progress", "currentStep", "totalSteps")} == {
        "phase": "executing",
        "sequence": 4,
        "progress": "1/3",
        "currentStep": 2,
        "totalSteps": 3,
    }
    assert status["waitingFor"] == "The end of step 2 (name-2)."
    assert (status["startTime"], status["planningTime"], status["executingTime"]) == (
        "2026-01-01T00:00:00.000Z",
        "2026-01-01T00:00:00.000Z",
        "2026-01-01T00:00:00.010Z",
    )
    assert status["executionPlan"]["estimatedDuration"] == "45s"
    assert not {"completionTime", "executionMetrics", "workflowResult"} & status.keys()


def test_a_step_shows_its_name_its_execution_and_its_result() -> None:
    """A step shows what the definition calls it, when it ran, its execution and what came of it."""
    assert a_status(RUNNING)["stepStatuses"][0] == {
        "stepNumber": 1,
        "name": "name-1",
        "action": "scale_deployment",
        "status": "completed",
        "startTime": "2026-01-01T00:00:00.001Z",
        "endTime": "2026-01-01T00:00:00.900Z",
        "result": {"replicas": 3},
        "k8sExecutionRef": {"name": "restart-web-step-1", "uid": "u-1"},
    }


def test_a_step_that_never_started_has_no_execution() -> None:
    """A pending step shows its words and nothing that has not happened."""
    assert a_status(RUNNING)["stepStatuses"][2] == {
        "stepNumber": 3,
        "name": "name-3",
        "action": "scale_deployment",
        "status": "pending",
    }


def test_a_retried_step_counts_its_retries_and_points_to_the_last_execution() -> None:
    """The third attempt of a step after two retries: the reference is the third execution."""
    step = a_status(a_state(a_step(1, "executing", attempt=3, retries=2)))["stepStatuses"][0]

    assert (step["retriesAttempted"], step["k8sExecutionRef"]) == (2, {"name": "restart-web-step-1-retry-2"})


def test_a_failed_workflow_says_why_and_what_to_do() -> None:
    """A failed workflow shows its figures, its reason, and sentences that a person can act on."""
    status = a_status(FAILED)

    assert status["executionMetrics"] == {"totalDuration": "2s500ms", "stepSuccessRate": 0.5, "resourcesAffected": 2}
    assert status["completionTime"] == "2026-01-01T00:00:02.500Z"
    assert status["workflowResult"] == {
        "outcome": "failed",
        "recommendedActions": [
            "See why step 2 (name-2) failed: kubectl -n shop describe kubernetesexecution restart-web-step-2",
            "Check what was left as it is: step 1 (name-1) completed and was not undone.",
            "Remove the cause, then run again what was not done: kubernaut rerun restart-web -n shop",
        ],
    }


def test_a_workflow_without_a_definition_still_has_a_status() -> None:
    """A run that failed in planning shows its errors although nothing of its definition could be read."""
    status = a_status(INVALID, None)

    assert (status["phase"], status["progress"]) == ("failed", "0/0")
    assert status["validationResults"] == {"validationErrors": ["spec.x: no", "spec.y: no"]}
    assert status["workflowResult"]["recommendedActions"][0].startswith("Correct the errors in status.validation")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(
            RUNNING,
            {
                "Succeeded": ("Unknown", "Executing", "00:00:00.000Z"),
                "Validated": ("True", "Valid", "00:00:00.010Z"),
                "Reconciling": ("True", "Executing", "00:00:00.000Z"),
            },
            id="a running workflow has not succeeded yet",
        ),
        pytest.param(
            COMPLETED,
            {
                "Succeeded": ("True", "Success", "00:01:01.500Z"),
                "Validated": ("True", "Valid", "00:00:00.010Z"),
                "Reconciling": ("False", "Ended", "00:01:01.500Z"),
            },
            id="a completed workflow has succeeded",
        ),
        pytest.param(
            msgspec.structs.replace(COMPLETED, outcome="unknown"),
            {
                "Succeeded": ("False", "Unknown", "00:01:01.500Z"),
                "Validated": ("True", "Valid", "00:00:00.010Z"),
                "Reconciling": ("False", "Ended", "00:01:01.500Z"),
            },
            id="a workflow whose effect could not be verified is no success",
        ),
        pytest.param(
            FAILED,
            {
                "Succeeded": ("False", "Failed", "00:00:02.500Z"),
                "Validated": ("True", "Valid", "00:00:00.010Z"),
                "Reconciling": ("False", "Ended", "00:00:02.500Z"),
                "Stalled": ("True", "Failed", "00:00:02.500Z"),
            },
            id="a failed workflow has not succeeded and will not go on",
        ),
        pytest.param(
            INVALID,
            {
                "Succeeded": ("False", "Invalid", "00:00:00.003Z"),
                "Validated": ("False", "Invalid", "00:00:00.003Z"),
                "Reconciling": ("False", "Ended", "00:00:00.003Z"),
                "Stalled": ("True", "Failed", "00:00:00.003Z"),
            },
            id="an invalid workflow is not validated",
        ),
        pytest.param(
            RunState(phase="planning", started_at=START, phase_times={"planning": START}),
            {
                "Succeeded": ("Unknown", "Planning", "00:00:00.000Z"),
                "Validated": ("Unknown", "Planning", "00:00:00.000Z"),
                "Reconciling": ("True", "Planning", "00:00:00.000Z"),
            },
            id="nothing is known of a workflow that is being planned",
        ),
        pytest.param(
            msgspec.structs.replace(RUNNING, refusals={"paused": "not yet", "rollback": "not yet"}),
            {
                "Succeeded": ("Unknown", "Executing", "00:00:00.000Z"),
                "Validated": ("True", "Valid", "00:00:00.010Z"),
                "Paused": ("False", "Refused", "00:00:00.000Z"),
                "RolledBack": ("False", "Refused", "00:00:00.000Z"),
                "Reconciling": ("True", "Executing", "00:00:00.000Z"),
            },
            id="refused requests have conditions of their own",
        ),
    ],
)
def test_conditions(state: RunState, expected: dict[str, tuple[str, str, str]]) -> None:
    """Each condition has the status, the reason and the time that the state gives it."""
    assert conditions(state) == expected


def test_other_refusals_are_told_while_reconciling() -> None:
    """A refused request without a condition of its own is told in Reconciling, for each kind."""
    state = msgspec.structs.replace(RUNNING, refusals={"spec": "it cannot change", "cancel": "not yet"})
    told = next(c for c in a_status(state)["conditions"] if c["type"] == "Reconciling")

    assert told["message"] == "cancel was refused: not yet; spec was refused: it cannot change"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(RunState(phase="planning"), None, id="planning waits for nothing"),
        pytest.param(
            a_state(a_step(1, "executing"), a_step(2, "executing")),
            "The KubernetesExecution of step 1 (name-1) and step 2 (name-2) to be created.",
            id="nothing of what is in flight was seen yet",
        ),
        pytest.param(
            a_state(*(a_step(n, "executing", execution_uid="u") for n in range(1, 8))),
            "The end of step 1 (name-1), step 2 (name-2), step 3 (name-3), step 4, step 5 and 2 more.",
            id="many steps are counted",
        ),
        pytest.param(
            a_state(a_step(1, "executing", execution_uid="u"), failing="step 2 failed"),
            "The end of step 1 (name-1). Then the run fails: step 2 failed",
            id="the run is failing",
        ),
        pytest.param(COMPLETED, None, id="an ended run waits for nothing"),
    ],
)
def test_what_a_workflow_waits_for(state: RunState, expected: str | None) -> None:
    """The sentence names what keeps the run from going on."""
    assert a_status(state).get("waitingFor") == expected


def test_every_text_fits_the_contract() -> None:
    """However long the texts of the state are, the status keeps the limits that the API server enforces."""
    long = "x" * 10_000
    state = a_state(
        *(a_step(n, "failed", reason=long, error=long) for n in (1, 2, 3)),
        phase="failed",
        failure_reason=long,
        errors=(long,) * 600,
        refusals={"paused": long, "spec": long},
        ended_at=START,
    )
    encoded = msgspec.json.encode(status_of(a_decision(1, state), WORDS))
    read = msgspec.json.decode(encoded, type=WorkflowStatus)

    assert read.validation_results is not None
    assert len(read.validation_results.validation_errors) == SHOWN + 1
    assert len(read.validation_results.validation_errors[0]) == LINE
    assert len(read.failure_reason) == SENTENCE_LIMIT
    assert isinstance(read.step_statuses[0], StepStatus)


def test_the_same_decision_gives_the_same_bytes() -> None:
    """Two processes write the same status for the same decision."""
    one, other = (msgspec.json.encode(status_of(a_decision(4, RUNNING), WORDS)) for _ in range(2))

    assert one == other


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{}", id="no spec"),
        pytest.param(b'{"spec": {"workflowDefinition": {"steps": [{"stepNumber": "one"}]}}}', id="a number in words"),
        pytest.param(b"\xff", id="no JSON"),
    ],
)
def test_a_definition_that_makes_no_sense_is_none(body: bytes) -> None:
    """What cannot be read gives no words, and no error."""
    assert definition.read(body) is None


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (1_767_225_600_000, "2026-01-01T00:00:00.000Z"),
        (1_767_225_600_999, "2026-01-01T00:00:00.999Z"),
        (1, "1970-01-01T00:00:00.001Z"),
    ],
)
def test_times_are_written_as_kubernetes_does(milliseconds: int, expected: str) -> None:
    """Milliseconds since 1970 become RFC 3339 in UTC."""
    assert rfc3339(milliseconds) == expected
