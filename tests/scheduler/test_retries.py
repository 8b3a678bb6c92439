"""Retries, timeouts and conditions of steps."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.backoff import delay_ms
from schemas.messages import CommandRefused, DeleteExecution, ReleaseExecution
from schemas.workflow import RetryPolicy
from tests.scheduler.builders import UID, Run, a_step, a_workflow

POD = {"action": "restart_pod", "parameters": {"pod": "checkout-1", "namespace": "shop"}}
"""An action that is not idempotent."""


def retried(number: int = 1) -> dict[str, Any]:
    """A step that is tried twice more."""
    return a_step(number, maxRetries=2)


SLOWLY = {"retryPolicy": {"initialDelay": "5m"}}
"""Waits that no other message of a test outlasts."""


@pytest.mark.parametrize(
    ("step", "failure", "again"),
    [
        pytest.param({}, {}, True, id="an idempotent action, whatever was done"),
        pytest.param({}, {"executed": True}, True, id="an idempotent action that was carried out"),
        pytest.param({}, {"retryable": False}, False, id="the executor says that it does not help"),
        pytest.param(POD, {}, False, id="another action when nobody says what was done"),
        pytest.param(POD, {"executed": True}, False, id="another action that was carried out"),
        pytest.param(POD, {"executed": False}, True, id="another action of which nothing was carried out"),
        pytest.param(POD, {"executed": False, "retryable": False}, False, id="nothing was done and it does not help"),
    ],
)
def test_a_failed_step_is_tried_again_only_where_that_is_safe_and_may_help(
    step: dict[str, Any],
    failure: dict[str, Any],
    again: bool,  # noqa: FBT001
) -> None:
    """spec.md section 3: not refused by the executor, and nothing done or the action idempotent."""
    run = Run(a_workflow(a_step(1, maxRetries=2, **step)))

    run.fail(1, **failure)

    assert ("waiting_retry" if again else "failed") == run.phases()[1]


def test_a_retry_is_a_new_execution_after_its_wait() -> None:
    """With the next attempt's name and key; the one before is not touched."""
    run = Run(a_workflow(retried()))
    first = run.create_of(1)
    run.fail(1)
    waiting = run.state.timers["step:1"]

    run.wait_for("step:1")

    second = run.create_of(1)
    assert run.last.now == waiting
    assert ("leak-step-1", "leak-step-1-retry-1") == (first.name, second.name)
    assert first.idempotency_key != second.idempotency_key
    assert (2, 1) == (run.state.steps[0].attempt, run.state.steps[0].retries)


def test_the_budget_of_retries_ends() -> None:
    """Two retries are three attempts, then the step has failed."""
    run = Run(a_workflow(retried()))
    for _ in range(2):
        run.fail(1)
        run.wait_for("step:1")

    run.fail(1)

    assert 3 == len(run.creates())
    assert ("failed", "failed") == (run.phases()[1], run.state.phase)
    assert {} == {name: at for name, at in run.state.timers.items() if name != "ttl"}


def test_the_default_number_of_retries_is_the_strategy_s() -> None:
    """A step's own number, 0 included, has the word."""
    run = Run(
        a_workflow(
            a_step(1, **SLOWLY), a_step(2, maxRetries=0, criticalStep=False), executionStrategy={"maxRetries": 1}
        )
    )

    run.fail(1)
    run.fail(2)

    assert {1: "waiting_retry", 2: "failed"} == run.phases()


def test_a_retry_comes_early_for_nobody() -> None:
    """A wake-up before its time finds nothing due."""
    run = Run(a_workflow(a_step(1, maxRetries=1, retryPolicy={"initialDelay": "5m"})))
    run.fail(1)
    due = run.state.timers["step:1"]

    run.wait((due - run.time) / 1000 - 0.001)

    assert "waiting_retry" == run.phases()[1]


def test_steps_that_fail_alike_wait_each_for_itself() -> None:
    """So that what broke them does not meet all of them again at the same moment."""
    run = Run(a_workflow(retried(1) | SLOWLY, retried(2) | SLOWLY))
    waits = []
    for step in (1, 2):
        run.fail(step)
        waits.append(run.state.timers[f"step:{step}"] - run.last.now)

    policy = RetryPolicy(initial_delay="5m")
    assert [delay_ms(policy, 1, UID, step, "execute") for step in (1, 2)] == waits
    assert waits[0] != waits[1]


def test_a_retry_waits_for_a_free_place() -> None:
    """The limit holds for retries as for everything else."""
    run = Run(a_workflow(retried(1), a_step(2), executionStrategy={"parallelismLimit": 1}))
    run.fail(1)
    assert "executing" == run.phases()[2]

    run.wait_for("step:1")
    held_back = len(run.creates())
    run.end(2)

    assert 2 == held_back
    assert [1, 2, 1] == [create.step for create in run.creates()]


def test_no_retry_is_begun_once_the_run_is_failing() -> None:
    """A critical step has failed; what is in flight may end, nothing new starts."""
    run = Run(a_workflow(a_step(1), retried(2)))
    run.fail(1)

    run.fail(2)

    assert {1: "failed", 2: "failed"} == run.phases()
    assert "failed" == run.state.phase


def test_messages_about_an_earlier_attempt_change_nothing() -> None:
    """They come late, or again."""
    run = Run(a_workflow(retried()))
    old = run.execution(1, "failed")
    run.take(old)
    run.wait_for("step:1")

    assert run.take(run.execution(1, "failed", uid="other")) is not None
    assert run.take(old) is None


def test_a_step_past_its_timeout_is_ended_and_counts_as_timed_out() -> None:
    """Its execution is deleted; the end counts once that is seen."""
    run = Run(a_workflow(a_step(1, timeout="30s"), executionStrategy={"rollbackStrategy": "none"}))
    run.see(1)

    run.wait_for("step:1")
    in_between = (run.phases()[1], run.state.in_flight)
    run.see(1, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})

    assert [DeleteExecution(name="leak-step-1", uid="execution-1-1", step=1)] == run.deletes()
    assert ("executing", 1) == in_between
    assert ("failed", "timed_out") == (run.phases()[1], run.state.steps[0].reason)
    assert "after 30s" in run.state.failure_reason


def test_an_end_that_came_before_it_could_be_commanded_is_the_truth() -> None:
    """What has been done is done, however late it is told."""
    run = Run(a_workflow(a_step(1, timeout="30s")))
    run.see(1)
    run.wait_for("step:1")

    run.end(1)

    assert ("completed", "completed") == (run.phases()[1], run.state.phase)


def test_a_step_whose_execution_was_never_seen_times_out_when_it_has_not_shown_up_for_long() -> None:
    """Nothing can be deleted; should it show up after all, it is."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2)))
    late = run.execution(1)

    run.wait_for("step:1")
    waiting = run.phases()[1]
    run.wait_for("step:1")
    timed_out = run.phases()[1]
    run.take(late)

    assert ("executing", "failed") == (waiting, timed_out)
    assert [DeleteExecution(name="leak-step-1", uid="execution-1-1", step=1)] == run.deletes()


def test_an_abandoned_execution_that_has_ended_is_let_go() -> None:
    """It carries our finalizer, because its action must not be done twice."""
    run = Run(a_workflow(a_step(1, timeout="30s", **POD), a_step(2)))
    late = run.execution(1, "completed")
    run.lose(1)

    run.take(late)

    assert ReleaseExecution(name="leak-step-1", uid="execution-1-1", step=1) in run.last.commands


def test_an_execution_is_given_no_more_time_than_the_run_has_left() -> None:
    """Deadlines are handed down."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,)), executionStrategy={"workflowTimeout": "60s"}))
    run.wait(20)

    run.end(1)

    left = (run.state.timers["workflow"] - run.last.now) / 1000
    assert f"{left:g}s" == run.create_of(2).timeout


def test_a_run_past_its_timeout_ends_what_is_in_flight_and_fails() -> None:
    """Pending steps are cancelled."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,)), executionStrategy={"workflowTimeout": "60s"}))
    run.see(1)

    run.wait_for("workflow")
    run.see(1, deleted=True)

    assert {1: "failed", 2: "cancelled"} == run.phases()
    assert ("failed", "workflow_timed_out") == (run.state.phase, run.last.transitions[-1].reason)
    assert "60s" not in run.state.failure_reason
    assert "1m" in run.state.failure_reason


def test_a_deletion_that_is_refused_does_not_hold_the_run_up() -> None:
    """Nobody could end the execution, and the run must end."""
    run = Run(a_workflow(a_step(1, timeout="30s")))
    run.see(1)
    run.wait_for("step:1")

    run.take(
        CommandRefused(
            workflow=run.last.workflow, command_id="x", command="delete_execution", step=1, reason="forbidden"
        )
    )

    assert ("failed", "failed") == (run.phases()[1], run.state.phase)


def test_a_deleted_execution_is_a_failure_that_is_tried_again_where_that_is_safe() -> None:
    """Somebody deleted it; never a hang."""
    run = Run(a_workflow(retried(1) | SLOWLY, a_step(2, maxRetries=2, criticalStep=False, **POD)))

    run.see(1, deleted=True)
    run.see(2, deleted=True)

    assert {1: "waiting_retry", 2: "failed"} == run.phases()
    assert "deleted" == run.state.steps[1].reason


@pytest.mark.parametrize(
    ("fields", "phase", "reason"),
    [
        pytest.param({"runIf": "false"}, "skipped", "run_if_false", id="runIf is false"),
        pytest.param({"runIf": "true"}, "executing", "commanded", id="runIf is true"),
        pytest.param({"skipIf": "true"}, "skipped", "skip_if_true", id="skipIf is true"),
        pytest.param({"skipIf": "false"}, "executing", "commanded", id="skipIf is false"),
        pytest.param({"runIf": "steps[1].result.x == 1"}, "failed", "expression_failed", id="runIf has no value"),
        pytest.param(
            {"preConditions": [{"expression": "true"}]}, "executing", "commanded", id="its precondition holds"
        ),
        pytest.param(
            {"preConditions": [{"expression": "false"}]}, "failed", "precondition_failed", id="it does not hold"
        ),
        pytest.param(
            {"preConditions": [{"expression": "false", "onFailure": "skip"}]},
            "skipped",
            "precondition_failed",
            id="it does not hold and says skip",
        ),
        pytest.param(
            {"preConditions": [{"expression": "false", "onFailure": "retry"}], "maxRetries": 1, **POD},
            "waiting_retry",
            "precondition_failed",
            id="it does not hold and says retry: nothing was done yet",
        ),
        pytest.param(
            {"preConditions": [{"expression": "steps[1].result.x == 1"}]},
            "failed",
            "expression_failed",
            id="it has no value",
        ),
    ],
)
def test_conditions_decide_whether_a_step_runs(fields: dict[str, Any], phase: str, reason: str) -> None:
    """Evaluated once its dependencies have ended, preconditions when it is to start."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,), criticalStep=False, **fields)))

    run.end(1)

    step = run.state.steps[1]
    assert phase == step.phase
    assert reason in {step.reason, run.last.transitions[-1].reason} or reason == "commanded"


def test_run_if_sees_a_step_that_failed() -> None:
    """So that a run can clean up after it."""
    cleanup = a_step(2, after=(1,), runIf="steps[1].status == 'failed'")
    run = Run(a_workflow(a_step(1, criticalStep=False), cleanup))

    run.fail(1)

    assert "executing" == run.phases()[2]


@pytest.mark.parametrize(
    ("condition", "fields", "phase"),
    [
        pytest.param({}, {}, "failed", id="fail"),
        pytest.param({"onFailure": "skip"}, {}, "skipped", id="skip"),
        pytest.param({"onFailure": "retry"}, {"maxRetries": 1}, "waiting_retry", id="retry of an idempotent action"),
        pytest.param({"onFailure": "retry"}, {"maxRetries": 1, **POD}, "failed", id="no retry of what was done"),
    ],
)
def test_a_postcondition_that_does_not_hold(condition: dict[str, Any], fields: dict[str, Any], phase: str) -> None:
    """The action was done, its condition has the last word."""
    post = {"expression": "steps[1].result.replicas == 4", "message": "not four"} | condition
    run = Run(a_workflow(a_step(1, criticalStep=False, postConditions=[post], **fields), a_step(2)))

    run.end(1, status={"phase": "completed", "executionResults": {"success": True, "replicas": 3}})

    assert (phase, "not four") == (run.phases()[1], run.state.steps[0].error)


def test_a_postcondition_that_holds_sees_the_result_of_its_own_step() -> None:
    """And the step counts as completed in it."""
    condition = "steps[1].result.replicas == 3 && steps[1].status == 'completed'"
    run = Run(a_workflow(a_step(1, postConditions=[{"expression": condition}])))

    run.end(1, status={"phase": "completed", "executionResults": {"success": True, "replicas": 3}})

    assert ("completed", "success") == (run.phases()[1], run.state.outcome)


def test_a_template_takes_the_result_of_an_earlier_step() -> None:
    """With its type, and the command says that something was replaced."""
    parameters = {
        "deployment": "checkout",
        "namespace": "{{ variables.ns }}",
        "replicas": "{{ steps[1].result.n + 1 }}",
    }
    run = Run(
        a_workflow(a_step(1), a_step(2, after=(1,), parameters=parameters), definition={"variables": {"ns": "shop"}})
    )

    run.end(1, status={"phase": "completed", "executionResults": {"success": True, "n": 3}})

    create = run.create_of(2)
    assert {"deployment": "checkout", "namespace": "shop", "replicas": 4} == create.parameters
    assert create.rendered


def test_parameters_that_do_not_fit_once_rendered_fail_the_step() -> None:
    """Before anything is commanded."""
    parameters = {"deployment": "checkout", "namespace": "shop", "replicas": "{{ 0 - 5 }}"}
    run = Run(a_workflow(a_step(1, parameters=parameters)))

    assert [] == run.creates()
    assert ("failed", "invalid_parameters") == (run.state.steps[0].phase, run.state.steps[0].reason)
    assert "replicas" in run.state.failure_reason
