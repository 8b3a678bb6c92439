"""What the scheduler counts of its decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.metrics import REGISTRY
from scheduler import metrics
from schemas.messages import Decision
from tests.scheduler.builders import Run, a_step, a_workflow

UNDO = {"rollbackSpec": {"action": "notify_only", "parameters": {"message": "undone"}}}


def counted(run: Run, act: Callable[[], Decision | None], name: str, **labels: str) -> float:
    """How much a counter grows by the decision that an act leads to."""
    before = REGISTRY.get_sample_value(name, labels) or 0.0
    decision = act()
    assert decision is not None
    metrics.count(decision, run.plan, [])
    return (REGISTRY.get_sample_value(name, labels) or 0.0) - before


def rolling_back(**undo: Any) -> Run:
    """A run that undoes its first step because the second has failed."""
    steps = (a_step(1, **(UNDO | undo)), a_step(2, after=(1,)))
    run = Run(a_workflow(*steps, executionStrategy={"rollbackStrategy": "automatic"}))
    run.end(1)
    run.fail(2)
    return run


def test_a_retry_is_counted_by_its_action() -> None:
    """When it is planned."""
    run = Run(a_workflow(a_step(1, maxRetries=1)))

    grown = counted(run, lambda: run.fail(1), "workflowexecution_step_retries_total", action="scale_deployment")

    assert 1 == grown


@pytest.mark.parametrize(
    ("phase", "status"),
    [
        pytest.param("completed", "rolled_back", id="one that was undone"),
        pytest.param("failed", "failed", id="one that could not be undone, for which somebody is to be woken"),
    ],
)
def test_a_rollback_is_counted_by_how_it_ended(phase: str, status: str) -> None:
    """By the action of the step, with a label of its own for the failed ones."""
    run = rolling_back()

    grown = counted(
        run,
        lambda: run.end(1, phase, purpose="rollback"),
        "workflowexecution_step_rollbacks_total",
        status=status,
        action="scale_deployment",
    )

    assert 1 == grown


def test_a_run_that_is_rolled_back_on_demand_is_counted_once() -> None:
    """It had ended before."""
    run = Run(a_workflow(a_step(1, **UNDO), a_step(2, after=(1,))))
    run.end(1)
    first = counted(run, lambda: run.fail(2), "workflowexecution_total", status="failed")
    run.ask(rollback={"reason": "please"})

    again = counted(run, lambda: run.end(1, purpose="rollback"), "workflowexecution_total", status="failed")

    assert (1, 0) == (first, again)


def test_a_run_that_is_cancelled_in_the_queue_has_no_duration() -> None:
    """It has not run."""
    run = Run(a_workflow(), admitted=False)

    grown = counted(run, lambda: run.ask(cancel={"mode": "stop"}), "workflowexecution_duration_seconds_count")

    assert ("cancelled", 0) == (run.state.phase, grown)


def test_the_end_of_validating_is_counted_by_its_reason() -> None:
    """A check that failed is no invalid workflow."""
    run = Run(a_workflow(executionStrategy={"safetyChecks": [{"type": "rbac"}]}))

    grown = counted(
        run, lambda: run.report("check-1", passed=False), "workflowexecution_validation_total", result="check_failed"
    )

    assert 1 == grown


def test_a_refused_request_is_counted_by_its_operation() -> None:
    """Not by the step, of which there may be many."""
    run = Run(a_workflow())
    skip = [{"stepNumber": 9, "operation": "skip", "reason": "why not"}]

    grown = counted(run, lambda: run.ask(overrides=skip), "workflowexecution_refused_requests_total", operation="skip")

    assert 1 == grown
