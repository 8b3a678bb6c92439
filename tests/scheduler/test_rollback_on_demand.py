"""A rollback that a person asks for: of a failed run, once, and never of any other."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.messages import AlertFired, CreateExecution, HoldWorkflow
from tests.scheduler.builders import Run, a_step, a_workflow

DOWN = {"action": "scale_deployment", "parameters": {"deployment": "checkout", "namespace": "shop", "replicas": 1}}
AUTOMATIC = {"rollbackStrategy": "automatic"}


def undone(number: int, *, after: tuple[int, ...] = (), **fields: Any) -> dict[str, Any]:
    """A step that says how it is undone."""
    return a_step(number, after=after, rollbackSpec=fields.pop("rollbackSpec", DOWN), **fields)


def broken(number: int, *after: int) -> dict[str, Any]:
    """The critical step that is to fail."""
    return a_step(number, after=after)


def rolling_back(*steps: dict[str, Any], last: int, **strategy: Any) -> Run:
    """A run whose steps have completed, all but the last, which has failed."""
    run = Run(a_workflow(*steps, executionStrategy=AUTOMATIC | strategy))
    for step in sorted(run.plan.place):
        if step != last:
            run.end(step)
    run.fail(last)
    return run


def undo(run: Run, step: int, phase: str = "completed", **change: Any) -> None:
    """A rollback ends."""
    run.end(step, phase, purpose="rollback", **change)


def failed(*steps: dict[str, Any], strategy: str = "manual") -> Run:
    """A run that has failed and was not rolled back."""
    run = Run(a_workflow(*steps, executionStrategy={"rollbackStrategy": strategy}))
    run.end(1)
    run.fail(2)
    return run


def test_a_failed_run_is_rolled_back_when_a_person_asks_for_it() -> None:
    """The object is held again until that has ended; the reason of the failure stays what it was."""
    run = failed(undone(1), broken(2, 1))
    ended = run.state

    run.ask(rollback={"reason": "worse than before"})
    asked, commands = run.state, run.last.commands
    undo(run, 1)

    why = "a person asked for the rollback: worse than before"
    assert ("failed", {"ttl"}, False) == (ended.phase, set(ended.timers), ended.held)
    assert ("rolling_back", why, True, True) == (asked.phase, asked.rollback_reason, asked.held, asked.control.rollback)
    assert ("rolled_back", "rollback_asked") == (asked.closing, asked.closing_reason)
    assert [HoldWorkflow, CreateExecution] == [type(command) for command in commands]
    assert ("failed", False, ended.failure_reason) == (run.state.phase, run.state.held, run.state.failure_reason)
    assert ("rolled_back", "rollback_asked", why) == next(
        (t.what, t.reason, t.message) for t in run.last.transitions if t.entity == "workflow"
    )
    assert {"ttl": run.last.now + 86_400_000} == run.state.timers


def test_a_rollback_without_a_reason_says_who_asked() -> None:
    """A person."""
    run = failed(undone(1), broken(2, 1))

    run.ask(rollback={})

    assert "a person asked for the rollback" == run.state.rollback_reason


@pytest.mark.parametrize("fails", [True, False])
def test_a_rollback_after_an_alert_keeps_the_alert_as_the_reason_of_the_failure(fails: bool) -> None:  # noqa: FBT001
    """Whether it succeeds or not."""
    run = Run(a_workflow(undone(1), executionStrategy={"monitoring": {"window": "30s"}}))
    run.end(1)
    run.take(AlertFired(workflow=run.last.workflow, alert="Crash"))
    run.ask(rollback={})

    undo(run, 1, "failed" if fails else "completed")

    why = "alert Crash fired while the run was watched"
    assert why + (". The rollback of step 1 failed: the executor gave no reason" if fails else "") == (
        run.state.failure_reason
    )


def test_a_rollback_that_is_asked_for_too_early_is_carried_out_once_the_run_has_failed() -> None:
    """The request stands on the object, which comes again when our finalizer is taken off."""
    run = Run(a_workflow(undone(1), broken(2, 1)))
    run.ask(rollback={"reason": "in case"})
    refused = run.state.refusals
    run.end(1)
    run.fail(2)
    failed_first = run.state.phase

    run.ask(generation=2)

    said = "the run has not failed; if it fails it is rolled back, to do so now cancel it with mode rollback"
    assert ({"rollback": said}, "failed") == (refused, failed_first)
    assert ("rolling_back", {}) == (run.state.phase, run.state.refusals)


def test_a_rollback_is_asked_for_once() -> None:
    """The request is seen again with every version."""
    run = failed(undone(1), broken(2, 1))
    run.ask(rollback={"reason": "worse"})
    undo(run, 1)

    assert run.ask(generation=2) is None


@pytest.mark.parametrize(
    ("run", "said"),
    [
        pytest.param(
            failed(undone(1), broken(2, 1), strategy="none"),
            "executionStrategy.rollbackStrategy is none",
            id="its strategy is none",
        ),
        pytest.param(
            Run(a_workflow(undone(1), executionStrategy={"rollbackStrategy": "none"})),
            "executionStrategy.rollbackStrategy is none",
            id="its strategy is none, and it has not failed",
        ),
        pytest.param(
            rolling_back(undone(1), broken(2, 1), last=2), "it is being rolled back already", id="it is under way"
        ),
    ],
)
def test_a_rollback_on_demand_that_is_refused(run: Run, said: str) -> None:
    """With the reason."""
    run.ask(rollback={})

    assert {"rollback": said} == run.state.refusals


@pytest.mark.parametrize("phase", ["completed", "cancelled"])
def test_only_a_failed_run_can_be_rolled_back(phase: str) -> None:
    """The others have done what they were to do, or were ended by a person who could have said so."""
    run = Run(a_workflow(undone(1)))
    if phase == "cancelled":
        run.ask(cancel={"mode": "stop"})
    run.end(1)

    run.ask(generation=3, cancel=run.workflow["spec"].get("control", {}).get("cancel"), rollback={})

    assert {"rollback": f"only a failed run can be rolled back, this one is {phase}"} == run.state.refusals


def test_what_was_rolled_back_is_not_rolled_back_again() -> None:
    """By its strategy, and then a person asks."""
    run = rolling_back(undone(1), broken(2, 1), last=2)
    undo(run, 1)

    run.ask(rollback={})

    assert {"rollback": "the run was rolled back already"} == run.state.refusals


def test_a_run_that_has_done_nothing_cannot_be_rolled_back() -> None:
    """There is nothing to undo."""
    run = Run(a_workflow(broken(1)))
    run.fail(1)

    run.ask(rollback={})

    assert {"rollback": "no step was completed, so there is nothing to undo"} == run.state.refusals
