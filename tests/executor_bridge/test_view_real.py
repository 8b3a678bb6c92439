"""The largest statuses that there can be, written to a real API server, which checks them against the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from executor_bridge.definition import Definition, StepWords
from executor_bridge.status import status_of
from schemas.run_state import (
    Adjustment,
    ApprovalState,
    CheckState,
    ControlState,
    MonitorState,
    PlanState,
    RunState,
    SideState,
    StepState,
)
from schemas.workflow_status import (
    DryRunResults,
    ExecutionMetrics,
    ExecutionPlan,
    StepStatus,
    ValidationResults,
    WorkflowResult,
    WorkflowStatus,
)
from tests.executor_bridge.builders import START, a_decision
from tests.schemas.api import WORKFLOWS, serving
from tests.schemas.builders import a_full_workflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.schemas.api import Api

pytestmark = pytest.mark.real
STEPS = 256
NUMBERS = tuple(range(1, STEPS + 1))
LONG = "ü" * 1024
"""As long as the scheduler keeps a text, in characters of two bytes."""
WORDS = Definition(
    steps={n: StepWords(n, name="n" * 256, action="scale_deployment", retries=10, has_rollback=True) for n in NUMBERS},
    safety_checks=("rbac",) * 16,
    approval_required=True,
)
PHASES = ("completed", "failed", "rolled_back", "waiting_retry")
DRY_RUNS = ("completed", "failed", "skipped", "cancelled")
ROLLBACKS = ("completed", "failed", "skipped", "waiting_retry")


def a_step(number: int) -> StepState:
    """A step with every field, in one of four phases."""
    return StepState(
        number=number,
        phase=PHASES[number % 4],  # type: ignore[arg-type]
        attempt=3,
        execution_uid="5f0c7d5e-0000-4000-8000-000000000001",
        started_at=START + number,
        ended_at=START + 1000 + number,
        reason="x" * 128,
        error=LONG,
        result={"words": "r" * 1000},
        affected=16,
        retries=2,
        touched=tuple(f"Deployment/shop/web-{number}-{place}" for place in range(16)),
    )


def a_side(number: int, phases: tuple[str, ...]) -> SideState:
    """A dry run or a rollback with every field, in one of these phases."""
    return SideState(
        number=number,
        phase=phases[number % 4],  # type: ignore[arg-type]
        attempt=2,
        retries=1,
        started_at=START,
        ended_at=START + 1000,
        reason="no_rollback_spec",
        error=LONG,
        findings=("f" * 256, "!" + "i" * 256) * 8,
    )


def the_largest(phase: str) -> RunState:
    """A run of 256 steps with everything that a state can hold."""
    return RunState(
        phase=phase,  # type: ignore[arg-type]
        generation=9,
        plan=PlanState(
            strategy="sequential-with-parallel",
            waves=(NUMBERS,),
            critical_path=NUMBERS,
            estimated_seconds=5400.0,
            digest="d" * 64,
        ),
        steps=tuple(a_step(number) for number in NUMBERS),
        phase_times={
            name: START + place
            for place, name in enumerate(
                ("queued", "planning", "validating", "executing", "monitoring", "rolling_back", "failed")
            )
        },
        started_at=START,
        ended_at=START + 5_400_000,
        failing=LONG,
        failure_reason=LONG,
        errors=(),
        outcome="failed",
        refusals=dict.fromkeys(("paused", "cancel", "rollback", "approval", "spec", "skip-1", "retry-2"), LONG),
        dry_runs=tuple(a_side(number, DRY_RUNS) for number in NUMBERS),
        rollbacks=tuple(a_side(number, ROLLBACKS) for number in NUMBERS),
        timers={f"step:{number}": START + 86_400_000 for number in NUMBERS} | {"phase": START + 10, "ttl": START + 20},
        checks=tuple(
            CheckState(id=f"check-{n}", type="rbac", required=True, passed=False, message=LONG) for n in range(16)
        ),
        approval=ApprovalState(verdict="rejected", by="b" * 256, reason="r" * 256, at=START, plan="d" * 64),
        control=ControlState(paused=True, cancel="rollback", rollback=True),
        paused_at=START + 9,
        rollback_reason=LONG,
        rollback_failed=True,
        monitor=MonitorState(looks=9, healthy=1, judged=2, message=LONG, alerts=("a" * 256,) * 16),
        adjustments=tuple(Adjustment(START, number, "a" * 256, "r" * 256, retries=3) for number in NUMBERS),
    )


@pytest.fixture(scope="module")
def api(kubeconfig: str) -> Iterator[Api]:
    """A real API server with both definitions, and a namespace for these tests."""
    with serving(kubeconfig) as client:
        client.install()
        client.make_namespace("view")
        yield client


def written(api: Api, name: str, state: RunState) -> Any:
    """What the server keeps of the status of a run, after it checked every field."""
    made = api.call("POST", f"{WORKFLOWS}?fieldValidation=Strict", a_full_workflow(name))
    assert made.code == 201, made.message
    status = msgspec.json.decode(msgspec.json.encode(status_of(a_decision(4, state), WORDS)))
    answer = api.call("PUT", f"{WORKFLOWS}/{name}/status?fieldValidation=Strict", made.object | {"status": status})
    assert answer.code == 200, answer.message
    assert answer.object["status"] == status
    return status


@pytest.mark.parametrize(
    "phase", ["queued", "validating", "executing", "monitoring", "rolling_back", "completed", "failed", "cancelled"]
)
def test_the_largest_status_is_taken(api: Api, phase: str) -> None:
    """In every phase, 256 steps with all that can be said of them fit into the object, and no field is unknown."""
    status = written(api, f"largest-{phase.replace('_', '-')}", the_largest(phase))

    assert len(status["stepStatuses"]) == STEPS


def test_every_field_of_the_contract_is_written(api: Api) -> None:
    """No field that the definition promises is left out, for a failed run that had everything."""
    status = written(api, "everything", the_largest("failed"))
    results, dry_run = status["validationResults"], status["validationResults"]["dryRunResults"]
    steps = status["stepStatuses"]

    assert left_out(WorkflowStatus, status) == {"currentStep"}  # nothing is in flight
    assert left_out(ExecutionPlan, status["executionPlan"]) == set()
    assert left_out(ValidationResults, results) == {"approvalReceived", "validationErrors"}  # rejected, and valid
    assert left_out(DryRunResults, dry_run) == set()
    assert left_out(StepStatus, *steps) == set()
    assert left_out(ExecutionMetrics, status["executionMetrics"]) == set()
    assert left_out(WorkflowResult, status["workflowResult"]) == set()


def left_out(contract: type[msgspec.Struct], *written: dict[str, Any]) -> set[str]:
    """Fields of a contract that none of these has."""
    return {field.encode_name for field in msgspec.structs.fields(contract)} - {name for one in written for name in one}


def test_every_error_of_a_definition_is_taken(api: Api) -> None:
    """As many errors as planning lists, each as long as it may be, fit into the object."""
    state = RunState(phase="failed", errors=(LONG,) * 300, failure_reason=LONG, outcome="failed", ended_at=START)

    assert len(written(api, "invalid", state)["validationResults"]["validationErrors"]) == 201


def test_a_run_of_which_nothing_is_known_is_taken(api: Api) -> None:
    """The least that a state can say is a status, too."""
    written(api, "least", RunState(phase="planning"))
