from __future__ import annotations

from typing import Any

import msgspec
import pytest

from auditor.reports import Definition, StepDefinition, definition, finished, latest, report
from auditor.rows import read
from schemas.cloudevents import Event
from schemas.messages import Decision, decode
from schemas.run_state import (
    ApprovalState,
    ControlState,
    MonitorState,
    PlanState,
    RunState,
    SideState,
    StepState,
)
from schemas.workflow_status import StepPhase
from tests.auditor.builders import (
    TIME_MS,
    UID,
    a_decision,
    a_finished_state,
    a_status_change,
    a_workflow_change,
    stored,
)

DEFINED = Definition("memory-leak", "3", (StepDefinition(1, "scale up", "scale_deployment"),))


def body(event: Event) -> Decision:
    """Return the decision in an event."""
    decoded = decode(event.type, event.data)
    assert isinstance(decoded, Decision)
    return decoded


def test_a_finished_workflow_becomes_one_row() -> None:
    """The row of a run tells what ran, how it ended and how many steps ended how."""
    plan = PlanState(strategy="parallel", waves=((1, 2),), critical_path=(1,), estimated_seconds=3.0)
    decision = body(a_decision(9, state=a_finished_state(plan=plan, failure_reason="step 2 failed", gone=True)))

    made = report(decision, 77, DEFINED).run

    expected = {
        "workflow_uid": UID,
        "workflow_namespace": "shop",
        "workflow_name": "fix-checkout",
        "correlation_id": "rr-7",
        "definition_name": "memory-leak",
        "definition_version": "3",
        "phase": "completed",
        "outcome": "partial_success",
        "failure_reason": "step 2 failed",
        "strategy": "parallel",
        "steps_total": 2,
        "steps_completed": 1,
        "steps_failed": 1,
        "steps_skipped": 0,
        "steps_cancelled": 0,
        "steps_rolled_back": 0,
        "resources_affected": 1,
        "started_ms": TIME_MS,
        "ended_ms": TIME_MS + 31_000,
        "deleted": True,
        "decision_version": 9,
        "stream_sequence": 77,
        "retries": 0,
        "rollback": None,
        "rollback_reason": None,
        "approval": None,
        "approval_by": None,
        "approval_ms": None,
        "approval_reason": None,
        "cancel_mode": None,
        "alerts": 0,
        "rerun_of": None,
    }
    assert expected == msgspec.structs.asdict(made)


def test_each_step_becomes_one_row() -> None:
    """The row of a step has its name and action where the definition tells them, and None where it does not."""
    first, second = report(body(a_decision(9)), 77, DEFINED).steps

    assert (1, "scale up", "scale_deployment", True, "completed", 2, 1, "e-1") == (
        first.step_number,
        first.name,
        first.action,
        first.critical,
        first.status,
        first.attempts,
        first.affected,
        first.execution_uid,
    )
    assert (2, None, None, None, "failed", "timed_out", "no answer", TIME_MS, TIME_MS + 1_000, 9) == (
        second.step_number,
        second.name,
        second.action,
        second.critical,
        second.status,
        second.reason,
        second.error,
        second.started_ms,
        second.ended_ms,
        second.decision_version,
    )


def test_who_approved_and_how_the_run_was_steered_is_told() -> None:
    """The row has who approved and why, the retries, the cancel, the alerts and the run that it repeats."""
    state = a_finished_state(
        steps=(StepState(1, "completed", 3, retries=2), StepState(2, "failed", 2, retries=1)),
        approval=ApprovalState(verdict="approved", by="ada", reason="seen it", at=TIME_MS + 5, plan="d"),
        control=ControlState(cancel="rollback"),
        monitor=MonitorState(alerts=("HighLatency", "Restarts")),
        rerun_of="an-earlier-uid",
    )

    run = report(body(a_decision(state=state)), 1, DEFINED).run

    assert ("approved", "ada", TIME_MS + 5, "seen it") == (
        run.approval,
        run.approval_by,
        run.approval_ms,
        run.approval_reason,
    )
    assert (3, "rollback", 2, "an-earlier-uid") == (run.retries, run.cancel_mode, run.alerts, run.rerun_of)


@pytest.mark.parametrize(
    ("phases", "failed", "expected"),
    [
        pytest.param((), False, None, id="no rollback"),
        pytest.param(("completed", "skipped"), False, "completed", id="all that could be undone was"),
        pytest.param(("completed", "pending"), False, "incomplete", id="it was stopped before all were tried"),
        pytest.param(("failed", "completed"), True, "failed", id="one could not be undone"),
        pytest.param(("failed", "pending"), True, "failed", id="a failure is told before that it was stopped"),
    ],
)
def test_the_rollback_of_a_run_is_told(phases: tuple[StepPhase, ...], expected: str | None, *, failed: bool) -> None:
    """The row tells whether there was a rollback, and how it ended."""
    sides = tuple(SideState(number, phase) for number, phase in enumerate(phases, start=1))
    state = a_finished_state(phase="failed", rollbacks=sides, rollback_failed=failed, rollback_reason="step 2 failed")

    run = report(body(a_decision(state=state)), 1, DEFINED).run

    assert (expected, "step 2 failed") == (run.rollback, run.rollback_reason)


def test_the_rollback_of_each_step_is_told() -> None:
    """The row of a step tells how its own rollback ended, and why it failed."""
    sides = (SideState(1, "failed", reason="timed_out", error="no answer"),)
    state = a_finished_state(steps=(StepState(1, "completed", retries=1), StepState(2, "failed")), rollbacks=sides)

    first, second = report(body(a_decision(state=state)), 1, DEFINED).steps

    assert (1, "failed", "timed_out", "no answer") == (
        first.retries,
        first.rollback,
        first.rollback_reason,
        first.rollback_error,
    )
    assert (0, None, None, None) == (second.retries, second.rollback, second.rollback_reason, second.rollback_error)


def test_a_step_that_never_started_has_no_times() -> None:
    """Zero means none in the state; a row says none with null."""
    state = a_finished_state(phase="cancelled", started_at=0, steps=(StepState(1, "skipped"),))

    made = report(body(a_decision(state=state)), 1, Definition())

    assert (None, None, None) == (made.run.started_ms, made.steps[0].started_ms, made.steps[0].ended_ms)


@pytest.mark.parametrize("phase", ["completed", "failed", "skipped", "cancelled", "rolled_back"])
def test_steps_are_counted_by_how_they_ended(phase: StepPhase) -> None:
    """Each way to end has a count of its own."""
    state = a_finished_state(steps=(StepState(1, phase), StepState(2, phase)))

    run = report(body(a_decision(state=state)), 1, Definition()).run

    counts = ("completed", "failed", "skipped", "cancelled", "rolled_back")
    assert {name: 2 if name == phase else 0 for name in counts} == {
        name: getattr(run, f"steps_{name}") for name in counts
    }


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(a_decision(state=RunState(phase="executing")), id="a run that goes on"),
        pytest.param(a_status_change(3), id="another type of message"),
        pytest.param(a_decision(subject="kubernaut.decision.another"), id="a body that names another workflow"),
        pytest.param(
            msgspec.structs.replace(a_decision(), data=b'{"state": {"phase": "completed"}}'), id="half a decision"
        ),
        pytest.param(msgspec.structs.replace(a_decision(), data=b"{"), id="a broken decision"),
    ],
)
def test_nothing_is_reported_of_anything_but_a_finished_run(event: Event) -> None:
    """Only a whole decision, on the subject of its workflow, that ends the run makes a report."""
    assert finished(read(stored(event))) is None


def test_a_finished_run_is_recognised() -> None:
    """The decision after which a run is over is found by its row."""
    event = a_decision(4)

    assert body(event) == finished(read(stored(event)))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"resourceVersion": "1", "object": {"metadata": {}}}', id="metadata only, because of its size"),
        pytest.param(b'{"resourceVersion": "1", "object": {"spec": 7}}', id="no spec"),
        pytest.param(b'{"resourceVersion": "1", "object": ' + b"[" * 9000 + b"]" * 9000 + b"}", id="very deep"),
    ],
)
def test_a_definition_that_cannot_be_read_is_empty(change: bytes) -> None:
    """A report is made without names rather than not at all."""
    assert Definition() == definition(change)


def test_the_definition_is_read_from_the_change() -> None:
    """Name, version and the steps' names and actions come from the object in the change."""
    read_back = definition(a_workflow_change().data)

    expected: dict[str, Any] = {
        "name": "memory-leak",
        "version": "3",
        "steps": (
            StepDefinition(1, "scale up", "scale_deployment"),
            StepDefinition(2, "tell", "notify_only", critical_step=False),
        ),
    }
    assert expected == {name: getattr(read_back, name) for name in expected}


def test_of_several_reports_of_one_workflow_the_latest_is_written() -> None:
    """One statement may write a row once: the highest version, whatever the order."""
    versions = [report(body(a_decision(version)), version, DEFINED) for version in (5, 7, 6)]

    assert [7] == [one.run.decision_version for one in latest(versions)]
