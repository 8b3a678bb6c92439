"""What is due, in which order, and the one wake-up that a run is armed at."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.decide import decide
from schemas.messages import DeleteExecution, ReleaseExecution, TimerDue
from tests.scheduler.builders import UID, Run, a_step, a_workflow

POD = {"action": "restart_pod", "parameters": {"pod": "checkout-1", "namespace": "shop"}}
UNDO = {"rollbackSpec": POD}
SCALED = {"action": "scale_deployment", "parameters": {"deployment": "checkout", "namespace": "shop", "replicas": 1}}
AT_ONCE = {"initialDelay": "0s", "maxDelay": "0s"}


def due(run: Run, timer: str) -> TimerDue:
    """The wake-up of a timer; it is that late."""
    run.time = run.state.timers[timer]
    return TimerDue(workflow_uid=UID, due_at=run.time)


def test_a_run_is_armed_at_the_earliest_of_its_timers() -> None:
    """One wake-up, whatever else is due later."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2, timeout="20s")))

    assert [run.state.timers["step:2"]] == run.wakes == [run.state.wake_at]
    assert min(run.state.timers.values()) == run.state.wake_at


def test_a_later_timer_needs_no_wake_up_of_its_own() -> None:
    """The one that is armed comes first, and then it is armed anew."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2, after=(1,), timeout="50s")))
    first = run.state.wake_at

    run.end(1)

    assert ([first], first) == (run.wakes, run.state.wake_at)
    assert first < run.state.timers["step:2"]


def test_an_earlier_timer_is_armed_at_once() -> None:
    """The later wake-up stays and finds nothing."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2, after=(1,), timeout="5s")))

    run.end(1)

    assert [run.state.timers["step:2"]] == run.wakes[1:] == [run.state.wake_at]


def test_a_wake_up_that_finds_nothing_due_arms_the_next_one_without_a_decision() -> None:
    """What it was for has come meanwhile."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2, timeout="5m")))
    run.end(1)
    decisions = len(run.decisions)

    run.wait((run.state.wake_at - run.time) / 1000)

    assert decisions == len(run.decisions)
    assert run.state.timers["step:2"] == run.wakes[-1]


@pytest.mark.parametrize("early", [1, 20_000])
def test_a_wake_up_that_comes_early_changes_nothing(early: int) -> None:
    """The armed one is still to come."""
    run = Run(a_workflow(a_step(1, timeout="60s")))
    wakes = len(run.wakes)

    decision = run.wait((run.state.wake_at - early - run.time) / 1000)

    assert (None, wakes) == (decision, len(run.wakes))


def test_a_wake_up_that_comes_twice_ends_nothing_twice() -> None:
    """The server may send it again."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2)))
    run.see(1)
    run.wait_for("step:1")
    deletes = len(run.deletes())

    run.take(TimerDue(workflow_uid=UID, due_at=run.time))

    assert 1 == deletes == len(run.deletes())


def test_any_message_is_a_reason_to_look_at_what_is_due() -> None:
    """The wake-up itself may be lost."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2)))
    run.see(1)
    run.time += 60_000

    run.see(2)

    assert "timed_out" == run.state.steps[0].ending


def test_a_run_that_nothing_is_due_in_arms_nothing() -> None:
    """It is owned and has ended."""
    owner = {"apiVersion": "remediation.kubernaut.io/v1", "kind": "RemediationRequest", "name": "r", "uid": "u"}
    run = Run(a_workflow(a_step(1, timeout="30s"), metadata={"ownerReferences": [owner]}))
    armed = run.state.wake_at

    run.end(1)
    run.time = armed
    verdict = decide(run.plan, run.last, [run.input(TimerDue(workflow_uid=UID, due_at=armed))])

    assert ({}, armed, None, 0) == (run.state.timers, run.state.wake_at, verdict.decision, verdict.wake_at)


def test_everything_that_is_due_is_done_in_one_decision() -> None:
    """The earliest first."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2, timeout="20s"), a_step(3, timeout="5m")))
    for step in (1, 2, 3):
        run.see(step)

    run.wait_for("step:1")

    assert [2, 1] == [command.step for command in run.last.commands if isinstance(command, DeleteExecution)]
    assert {"step:3", "workflow"} == set(run.state.timers)


def test_of_the_last_step_and_the_run_at_the_same_moment_the_run_is_named() -> None:
    """Its time was cut to that of the run."""
    run = Run(a_workflow(a_step(1, timeout="5m"), executionStrategy={"workflowTimeout": "60s"}))
    assert run.state.timers["step:1"] == run.state.timers["workflow"]
    run.see(1)

    run.wait_for("workflow")
    run.see(1, deleted=True)

    step = run.state.steps[0]
    assert "the run took longer than its workflowTimeout of 1m" == run.state.failure_reason
    assert ("failed", "timed_out", "it had not ended when the time of the run was over and was ended") == (
        step.phase,
        step.reason,
        step.error,
    )


def test_of_a_step_that_somebody_else_is_deleting_the_run_is_named_too() -> None:
    """It ends at once, and not because its own time was over first."""
    run = Run(a_workflow(a_step(1), executionStrategy={"workflowTimeout": "60s"}))
    run.see(1, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})

    run.wait_for("workflow")

    assert ("failed", "workflow_timed_out") == (run.state.phase, run.last.transitions[-1].reason)


def test_a_step_s_own_time_is_named_when_it_is_over_first() -> None:
    """With how long that was."""
    run = Run(a_workflow(a_step(1, timeout="30s"), executionStrategy={"workflowTimeout": "60s"}))
    run.see(1)

    run.wait_for("step:1")
    run.see(1, deleted=True)

    assert ("timed_out", "it had not ended after 30s and was ended") == (
        run.state.steps[0].reason,
        run.state.steps[0].error,
    )


@pytest.mark.parametrize(
    ("strategy", "closing"), [("automatic", "rolled_back"), ("manual", "failed"), ("none", "failed")]
)
def test_the_end_of_the_run_s_time_closes_it(strategy: str, closing: str) -> None:
    """As a critical failure would; what is in flight is ended."""
    run = Run(
        a_workflow(
            a_step(1, timeout="1h"),
            a_step(2, after=(1,)),
            executionStrategy={"rollbackStrategy": strategy, "workflowTimeout": "60s"},
        )
    )
    run.see(1)

    run.wait_for("workflow")

    why = "the run took longer than its workflowTimeout of 1m"
    assert (closing, "workflow_timed_out", why) == (run.state.closing, run.state.closing_reason, run.state.failing)
    assert ("executing", "timed_out", {}) == (run.state.phase, run.state.steps[0].ending, run.state.timers)


def test_a_run_that_times_out_is_rolled_back_where_its_strategy_says_so() -> None:
    """What completed is undone."""
    run = Run(
        a_workflow(
            a_step(1, **UNDO),
            a_step(2, after=(1,)),
            executionStrategy={"rollbackStrategy": "automatic", "workflowTimeout": "60s"},
        )
    )
    run.end(1)
    run.see(2)

    run.wait_for("workflow")
    run.see(2, deleted=True)

    assert ("rolling_back", "workflow_timed_out") == (run.state.phase, run.state.closing_reason)


def test_a_run_that_is_closing_already_keeps_its_reason_when_its_time_is_over() -> None:
    """What is in flight is ended then."""
    run = Run(a_workflow(a_step(1), a_step(2, timeout="1h"), executionStrategy={"workflowTimeout": "60s"}))
    run.fail(1)
    run.see(2)

    run.wait_for("workflow")
    run.see(2, deleted=True)

    assert ("critical_step_failed", "critical step 1 (scale_deployment) failed: it broke") == (
        run.last.transitions[-1].reason,
        run.state.failure_reason,
    )


def test_what_is_in_flight_is_ended_with_the_run_although_it_would_have_a_moment_left() -> None:
    """An execution has a second at least, however little the run has."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,)), executionStrategy={"workflowTimeout": "60s"}), tick=1)
    run.time = run.state.timers["workflow"] - 200
    run.end(1)
    run.see(2)

    run.wait_for("workflow")

    assert ("timed_out", ["execution-2-1"]) == (run.state.steps[1].ending, [delete.uid for delete in run.deletes()])


def test_a_last_end_in_the_same_batch_as_the_run_s_time_came_in_time() -> None:
    """The scheduler was away; what was done is done."""
    run = Run(a_workflow(executionStrategy={"workflowTimeout": "60s"}))
    wake = due(run, "workflow")

    run.take(wake, run.execution(1, "completed"))

    assert ("completed", "success") == (run.state.phase, run.state.outcome)


def test_an_end_in_the_same_batch_as_the_run_s_time_is_not_the_last_one() -> None:
    """Another step is in flight, or was still to come."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,)), executionStrategy={"workflowTimeout": "60s"}))
    wake = due(run, "workflow")

    run.take(wake, run.execution(1, "completed"))

    assert ("failed", {1: "completed", 2: "cancelled"}) == (run.state.phase, run.phases())
    assert [1] == [create.step for create in run.creates()]


def test_a_step_that_completes_although_the_run_s_time_was_over_is_completed() -> None:
    """The run has failed all the same: it was not done in its time."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,)), executionStrategy={"workflowTimeout": "60s"}))
    run.see(1)
    run.wait_for("workflow")

    run.end(1)

    assert ("failed", {1: "completed", 2: "cancelled"}) == (run.state.phase, run.phases())


def retried(**fields: Any) -> Run:
    """A run whose step is tried again at once, several times, after 30 s each."""
    again = a_step(1, timeout="30s", maxRetries=5, retryPolicy=AT_ONCE, **fields)
    return Run(a_workflow(again, a_step(2, timeout="1h")))


def test_an_execution_that_nobody_has_seen_is_waited_for_for_two_minutes() -> None:
    """It keeps its place until then; its step has timed out after that."""
    run = Run(a_workflow(a_step(1, timeout="30s", criticalStep=False), a_step(2, after=(1,))))
    run.wait_for("step:1")
    waits = (run.phases()[1], run.state.in_flight, run.state.timers["step:1"] - run.last.now)

    run.wait_for("step:1")

    assert ("executing", 1, 120_000) == waits
    assert ({1: "failed", 2: "skipped"}, 1) == (run.phases(), run.state.steps[0].abandoned)


def test_a_run_whose_time_is_over_waits_for_an_execution_that_nobody_has_seen() -> None:
    """Were it to end at once, the rollback that a person may ask for would begin beside what shows up late (G6)."""
    run = Run(
        a_workflow(
            a_step(1, **UNDO),
            a_step(2, after=(1,), timeout="1h"),
            executionStrategy={"rollbackStrategy": "manual", "workflowTimeout": "60s"},
        )
    )
    run.end(1)
    run.wait_for("workflow")
    waits = (run.state.phase, run.state.in_flight, run.state.timers["step:2"] - run.last.now)

    run.see(2)
    shown = (run.state.phase, run.state.in_flight, run.state.timers)
    run.see(2, deleted=True)
    run.ask(rollback={"reason": "as it was"})

    assert ("executing", 1, 120_000) == waits
    assert ("executing", 1, {}) == shown
    assert ["execution-2-1"] == [delete.uid for delete in run.deletes()]
    assert ("rolling_back", 1) == (run.state.phase, run.state.in_flight)


def test_every_attempt_that_was_given_up_unseen_is_deleted_should_it_show_up() -> None:
    """Nobody watched for a while: none of them may go on beside the newest."""
    run = retried()
    lost = []
    for _ in range(3):
        lost.append(run.execution(1))
        run.lose(1)
    given_up = (run.state.steps[0].abandoned, run.state.steps[0].lost)

    for late in (lost[1], lost[0], lost[2], lost[0]):
        run.take(late)

    assert (3, (1, 2)) == given_up
    assert ["execution-1-2", "execution-1-1", "execution-1-3"] == [delete.uid for delete in run.deletes()]
    assert (0, (), "executing", 4) == (
        run.state.steps[0].abandoned,
        run.state.steps[0].lost,
        run.phases()[1],
        run.state.steps[0].attempt,
    )


def test_every_attempt_of_a_rollback_that_was_given_up_unseen_is_deleted_too() -> None:
    """In whichever order they show up."""
    undone = {"rollbackSpec": SCALED | {"timeout": "30s"}, "maxRetries": 5, "retryPolicy": AT_ONCE}
    run = Run(
        a_workflow(a_step(1, **undone), a_step(2, after=(1,)), executionStrategy={"rollbackStrategy": "automatic"})
    )
    run.end(1)
    run.fail(2)
    lost = []
    for _ in range(3):
        lost.append(run.execution(1, purpose="rollback"))
        run.lose(1, "undo")
    given_up = (run.state.rollbacks[0].abandoned, run.state.rollbacks[0].lost)

    for late in (lost[1], lost[2], lost[0], lost[1]):
        run.take(late)

    assert (3, (1, 2)) == given_up
    assert ["rollback-1-2", "rollback-1-3", "rollback-1-1"] == [delete.uid for delete in run.deletes()]
    assert (0, (), "executing", 4) == (
        run.state.rollbacks[0].abandoned,
        run.state.rollbacks[0].lost,
        run.state.rollbacks[0].phase,
        run.state.rollbacks[0].attempt,
    )


def test_the_attempts_that_are_kept_in_mind_are_bounded() -> None:
    """A person may ask for any number of retries."""
    steps = (a_step(1, timeout="30s", criticalStep=False), a_step(2, timeout="9h"))
    run = Run(a_workflow(*steps, executionStrategy={"workflowTimeout": "9h"}))
    run.workflow["spec"]["control"] = {"overrides": []}
    for _ in range(20):
        run.lose(1)
        asked = run.workflow["spec"]["control"]["overrides"]
        run.ask(overrides=[*asked, {"stepNumber": 1, "operation": "retry", "reason": ""}])

    assert (20, tuple(range(4, 20))) == (run.state.steps[0].abandoned, run.state.steps[0].lost)


@pytest.mark.parametrize(
    ("change", "command"),
    [
        pytest.param({}, DeleteExecution(name="leak-step-1", uid="execution-1-1", step=1, hold=True), id="it runs"),
        pytest.param(
            {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
            ReleaseExecution(name="leak-step-1", uid="execution-1-1", step=1),
            id="it is going already: only our finalizer holds it",
        ),
        pytest.param(
            {"phase": "failed"}, ReleaseExecution(name="leak-step-1", uid="execution-1-1", step=1), id="it has ended"
        ),
        pytest.param({"phase": "completed", "deleted": True}, None, id="it is gone"),
    ],
)
def test_what_becomes_of_an_attempt_that_shows_up_late(change: dict[str, Any], command: Any) -> None:
    """Its action must not be done twice, so that it carries our finalizer."""
    run = Run(a_workflow(a_step(1, timeout="30s", criticalStep=False, **POD), a_step(2)))
    late = run.execution(1, **change)
    run.lose(1)

    run.take(late)

    assert ([command] if command else []) == list(run.last.commands)
    assert (0, "failed") == (run.state.steps[0].abandoned, run.phases()[1])


def test_an_attempt_that_shows_up_late_of_an_action_that_may_be_repeated_needs_no_release() -> None:
    """It carries no finalizer."""
    run = Run(a_workflow(a_step(1, timeout="30s", criticalStep=False), a_step(2)))
    late = run.execution(1, "failed")
    run.lose(1)

    run.take(late)

    assert () == run.last.commands
