"""Decisions: each rule of a run, fed fact by fact."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scheduler.decide import decide
from schemas.messages import (
    CommandRefused,
    CreateExecution,
    DeleteExecution,
    HoldWorkflow,
    ReleaseExecution,
    ReleaseWorkflow,
    WorkflowRef,
    encode,
)
from schemas.names import FINALIZER
from tests.scheduler.builders import UID, Run, a_step, a_workflow, an_execution, definition_of, ten_steps


def refusal(step: int, attempt: int = 1, command: str = "create_execution") -> CommandRefused:
    """The cluster refused the command for a step."""
    return CommandRefused(
        workflow=WorkflowRef(namespace="shop", name="leak", uid=UID),
        command_id=f"{UID}/1/0",
        command=command,
        step=step,
        attempt=attempt,
        reason="name_conflict",
        message="the name leak-step-1 is taken by another object",
    )


def test_a_new_workflow_is_planned_validated_and_started_in_one_decision() -> None:
    """Nothing is waited for, so the first decision commands the first steps."""
    run = Run(ten_steps())

    assert ["planned", "validated", "started", "1 ready"] == run.told()
    assert [1] == [create.step for create in run.creates()]
    assert "executing" == run.last.state.phase
    assert any(isinstance(command, HoldWorkflow) for command in run.last.commands)


def test_ten_steps_end_in_order_with_one_execution_each() -> None:
    """The whole graph, each step observed and then completed."""
    run = Run(ten_steps())

    for step in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10):
        run.take(run.execution(step))
        run.end(step)

    assert list(range(1, 11)) == [create.step for create in run.creates()]
    assert ("completed", "success") == (run.last.state.phase, run.last.state.outcome)
    assert isinstance(run.last.commands[-1], ReleaseWorkflow)
    assert "completed" == run.told()[-1]


def test_never_more_than_the_limit_is_in_flight() -> None:
    """Eight ready steps and a limit of three: the fourth starts when one has ended."""
    run = Run(a_workflow(*(a_step(n) for n in range(1, 9)), executionStrategy={"parallelismLimit": 3}))

    started = [create.step for create in run.creates()]
    run.end(2)

    assert [1, 2, 3] == started
    assert 4 == run.creates()[-1].step
    assert 3 == run.last.state.in_flight


def test_among_ready_steps_the_lowest_number_goes_first() -> None:
    """Whatever order they are written in."""
    run = Run(a_workflow(a_step(7), a_step(3), a_step(5), executionStrategy={"parallelismLimit": 1}))

    run.end(3)
    run.end(5)

    assert [3, 5, 7] == [create.step for create in run.creates()]


def test_with_optimization_the_longest_remaining_path_goes_first() -> None:
    """Step 2 leads a chain, step 1 does not."""
    run = Run(
        a_workflow(
            a_step(1),
            a_step(2),
            a_step(3, after=(2,)),
            executionStrategy={"parallelismLimit": 1},
            adaptiveOrchestration={"optimizationEnabled": True},
        )
    )

    assert [2] == [create.step for create in run.creates()]


def test_dependencies_of_both_kinds_are_merged() -> None:
    """The map and the step's own list both count."""
    run = Run(a_workflow(a_step(1), a_step(2), a_step(3, after=(1,)), definition={"dependencies": {"3": [2]}}))

    run.end(1)
    before = [create.step for create in run.creates()]
    run.end(2)

    assert [1, 2] == before
    assert 3 == run.creates()[-1].step


def test_a_critical_failure_lets_steps_in_flight_finish_and_then_fails_the_run() -> None:
    """No new step starts; what never started is cancelled."""
    run = Run(a_workflow(a_step(1), a_step(2), a_step(3, after=(1,)), a_step(4, after=(2,))))

    run.end(
        1, status={"phase": "failed", "failure": {"reason": "ImagePull", "message": "no such image"}}, phase="failed"
    )
    while_one_runs = (run.last.state.phase, run.last.state.in_flight)
    run.end(2)

    assert ("executing", 1) == while_one_runs
    assert ("failed", "failed") == (run.last.state.phase, run.last.state.outcome)
    assert {1: "failed", 2: "completed", 3: "cancelled", 4: "cancelled"} == run.phases()
    assert "critical step 1 (scale_deployment) failed: no such image" == run.last.state.failure_reason


def test_a_non_critical_failure_skips_its_dependents_and_the_run_goes_on() -> None:
    """The skip goes down the whole branch, the other branch is not touched."""
    run = Run(
        a_workflow(
            a_step(1, criticalStep=False),
            a_step(2, after=(1,)),
            a_step(3, after=(2,)),
            a_step(4),
            a_step(5, after=(4,)),
        )
    )

    run.end(1, "failed")
    run.end(4)
    run.end(5)

    assert {1: "failed", 2: "skipped", 3: "skipped", 4: "completed", 5: "completed"} == run.phases()
    assert {"dependency_failed"} == {s.reason for s in run.last.state.steps if s.phase == "skipped"}
    assert ("completed", "partial_success") == (run.last.state.phase, run.last.state.outcome)


def test_a_join_behind_a_failed_and_a_completed_branch_is_skipped() -> None:
    """It runs only if every dependency completed; it is considered once all have ended."""
    run = Run(a_workflow(a_step(1, criticalStep=False), a_step(2), a_step(3, after=(1, 2))))

    run.end(1, "failed")
    early = run.phases()[3]
    run.end(2)

    assert "pending" == early
    assert "skipped" == run.phases()[3]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param({"phase": "failed"}, "failed", id="a failure without a word"),
        pytest.param({"phase": "failed", "failure": {"reason": "Timeout"}}, "Timeout", id="a failure with its reason"),
        pytest.param(
            {"phase": "completed", "executionResults": {"success": False}},
            "unsuccessful",
            id="completed without success",
        ),
    ],
)
def test_what_counts_as_a_failure(status: dict[str, Any], reason: str) -> None:
    """The executor's word, in any of its forms."""
    run = Run(a_workflow())

    run.end(1, status=status, phase="failed")

    assert ("failed", reason) == (run.last.state.steps[0].phase, run.last.state.steps[0].reason)


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"phase": "meditating"}, id="a phase that nobody knows"),
        pytest.param({"phase": 7}, id="a phase that is no text"),
        pytest.param({"phase": "completed", "executionResults": "fine"}, id="results that are no object"),
        pytest.param({"phase": "executing", "newField": {"a": [1]}}, id="a field that nobody knows"),
    ],
)
def test_a_status_that_makes_no_sense_ends_nothing(status: dict[str, Any]) -> None:
    """The execution counts as observed and the step goes on; a later good status ends it."""
    run = Run(a_workflow())

    run.take(run.execution(1, status=status))
    then = run.phases()[1]
    run.end(1)

    assert "executing" == then
    assert "completed" == run.last.state.phase


def test_an_execution_deleted_by_hand_fails_its_step() -> None:
    """The tombstone of an execution that had not ended is a failure with reason deleted, never a hang."""
    run = Run(a_workflow())

    run.take(run.execution(1))
    run.take(run.execution(1, deleted=True))

    assert ("failed", "deleted") == (run.last.state.steps[0].phase, run.last.state.steps[0].reason)
    assert "failed" == run.last.state.phase


def test_an_execution_that_ended_before_it_was_deleted_counts_as_it_ended() -> None:
    """The tombstone carries the last version; a completed one has completed."""
    run = Run(a_workflow())

    run.take(run.execution(1, "completed", deleted=True))

    assert "completed" == run.last.state.phase


def test_an_execution_of_an_action_that_must_not_run_twice_is_held_and_released_at_its_end() -> None:
    """restart_pod is not idempotent: its object stays until its end is in the log."""
    run = Run(a_workflow(a_step(1, action="restart_pod", parameters={"pod": "cart-0", "namespace": "shop"})))

    run.end(1)

    assert run.create_of(1).hold
    assert ReleaseExecution(name="leak-step-1", uid="execution-1-1", step=1) in run.last.commands
    assert not run.last.state.steps[0].held


def test_a_held_execution_that_is_being_deleted_is_released_and_fails_when_it_is_gone() -> None:
    """While our finalizer keeps the object, the step stays in flight; the tombstone ends it."""
    run = Run(a_workflow(a_step(1, action="restart_pod", parameters={"pod": "cart-0", "namespace": "shop"})))

    run.take(run.execution(1))
    run.take(run.execution(1, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}))
    released = run.last
    run.take(run.execution(1, deleted=True))

    assert [ReleaseExecution] == [type(command) for command in released.commands]
    assert 1 == released.state.in_flight
    assert "deleted" == run.last.state.steps[0].reason


def test_a_command_that_the_cluster_refuses_fails_the_step() -> None:
    """The execution will never exist, so nothing is waited for."""
    run = Run(a_workflow())

    run.take(refusal(1))

    assert ("failed", "name_conflict") == (run.last.state.steps[0].phase, run.last.state.steps[0].reason)
    assert "failed" == run.last.state.phase


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(refusal(1, attempt=2), id="of an attempt that was not made"),
        pytest.param(refusal(9), id="of a step that does not exist"),
        pytest.param(refusal(1, command="hold_workflow"), id="of another command"),
    ],
)
def test_a_refusal_that_is_not_about_a_waiting_step_changes_nothing(late: CommandRefused) -> None:
    """No decision is made of it."""
    run = Run(a_workflow())

    assert run.take(late) is None


def test_a_refusal_after_the_execution_was_observed_changes_nothing() -> None:
    """It exists, whatever an earlier attempt to create it was answered."""
    run = Run(a_workflow())
    run.take(run.execution(1))

    assert run.take(refusal(1)) is None


def test_the_same_facts_twice_late_and_out_of_order_change_nothing() -> None:
    """Old versions of an execution, after newer ones were taken in."""
    run = Run(ten_steps())
    old = run.execution(1)
    run.end(1)
    decisions = len(run.decisions)

    run.take(old)
    run.take(run.plan.definition)
    run.take(old, old)

    assert decisions == len(run.decisions)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"spec": {"idempotencyKey": "made-up"}}, id="with another key"),
        pytest.param({"spec": {"attempt": 2}}, id="with another attempt"),
        pytest.param({"spec": {"stepNumber": 99}}, id="of a step that does not exist"),
    ],
)
def test_an_execution_that_is_not_ours_is_a_stranger(change: dict[str, Any]) -> None:
    """It is told apart from old news, so that a scheduler with an old state reads the newest before it drops it."""
    run = Run(a_workflow())
    foreign = run.execution(1, "completed", **change)

    verdict = decide(run.plan, run.last, [run.input(foreign)])

    assert verdict.decision is None
    assert (foreign,) == tuple(each.fact for each in verdict.strangers)


def test_an_execution_made_again_under_the_same_name_ends_no_step() -> None:
    """The uid that was observed first is the step's."""
    run = Run(a_workflow())
    run.take(run.execution(1))

    run.take(run.execution(1, "completed", uid="another"))

    assert {1: "executing"} == run.phases()
    assert "execution-1-1" == run.last.state.steps[0].execution_uid


def test_facts_that_wait_together_make_one_decision() -> None:
    """Two steps that ended while the scheduler was away."""
    run = Run(a_workflow(a_step(1), a_step(2), a_step(3, after=(1, 2))))

    decision = run.take(run.execution(1, "completed"), run.execution(2, "completed"))

    assert decision is not None
    assert 2 == decision.version
    assert [3] == [c.step for c in decision.commands if isinstance(c, CreateExecution)]
    assert ["message-3", "message-4"] == [cause.id for cause in decision.causes]


DELETING = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}


def test_a_workflow_deleted_in_the_middle_is_cancelled_and_let_go() -> None:
    """Executions that were observed are deleted, the finalizer comes off, nothing new starts."""
    run = Run(a_workflow(a_step(1), a_step(2), a_step(3, after=(1,))))
    run.take(run.execution(1))

    run.take(definition_of(a_workflow(version=50, metadata=DELETING)))

    assert "cancelled" == run.last.state.phase
    assert {1: "cancelled", 2: "cancelled", 3: "cancelled"} == run.phases()
    assert [1] == [c.step for c in run.last.commands if isinstance(c, DeleteExecution)]
    assert isinstance(run.last.commands[-1], ReleaseWorkflow)


def test_an_execution_first_seen_after_the_run_was_cancelled_is_deleted() -> None:
    """Its creation was under way when the workflow was deleted."""
    run = Run(a_workflow())
    run.take(definition_of(a_workflow(version=50, metadata=DELETING)))

    run.take(run.execution(1))

    assert [DeleteExecution(name="leak-step-1", uid="execution-1-1", step=1)] == list(run.last.commands)
    assert run.take(run.execution(1)) is None


def test_a_finished_workflow_that_is_deleted_needs_nothing_but_its_tombstone() -> None:
    """Its finalizer was taken off when it ended."""
    run = Run(a_workflow())
    run.end(1)

    deleting = run.take(definition_of(a_workflow(version=50, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})))
    run.take(definition_of(a_workflow(version=51), deleted=True))

    assert deleting is None
    assert "deleted" == run.told()[-1]
    assert run.last.state.gone


def test_a_finalizer_that_came_on_late_is_taken_off_when_the_object_is_deleted() -> None:
    """The hold of a run that had ended already."""
    run = Run(a_workflow())
    run.end(1)

    run.take(definition_of(a_workflow(version=50, metadata=DELETING)))

    assert [ReleaseWorkflow()] == list(run.last.commands)


def test_a_tombstone_without_warning_cancels_the_run() -> None:
    """Somebody took the finalizer off by hand."""
    run = Run(a_workflow())

    run.take(definition_of(a_workflow(version=50), deleted=True))

    assert ["1 cancelled", "cancelled", "deleted"] == run.told()[-3:]


def test_a_spec_that_changed_in_spite_of_the_policy_is_refused() -> None:
    """The run goes on with what it was planned with."""
    run = Run(a_workflow())

    run.take(definition_of(a_workflow(a_step(1), a_step(2), version=50)))
    run.end(1)

    assert "spec" in run.decisions[1].state.refusals
    assert "completed" == run.last.state.phase


def test_a_version_that_has_become_too_large_for_the_log_is_no_change_of_the_spec() -> None:
    """Its message holds the metadata only, so nothing can be said of its spec."""
    run = Run(a_workflow())

    assert run.take(definition_of({"metadata": a_workflow(version=50)["metadata"]}, oversized=2_000_000)) is None


def test_an_object_whose_run_is_older_than_the_log_is_not_run_again() -> None:
    """Its status says that it ended; that the log does not know it any more must not start it anew."""
    run = Run(a_workflow(status={"phase": "completed", "sequence": 12}))

    assert [] == run.decisions


def test_an_object_whose_log_was_lost_in_the_middle_fails_with_the_reason() -> None:
    """What was done cannot be known, so nothing more is done; the version goes on from the one in the status."""
    run = Run(a_workflow(status={"phase": "executing", "sequence": 12}))

    assert ("failed", 13, []) == (run.last.state.phase, run.last.version, run.creates())
    assert "the log of this run is gone" in run.last.state.failure_reason


def test_time_never_goes_back() -> None:
    """A message with an older broker time leaves the decision's time as it was."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    late = msgspec.structs.replace(run.input(run.execution(1)), time_ms=5)

    decision = decide(run.plan, run.last, [late]).decision

    assert decision is not None
    assert run.last.now == decision.now


def test_the_same_inputs_give_the_same_bytes() -> None:
    """Two runs of the same facts (G10)."""
    one, other = (Run(ten_steps()) for _ in range(2))
    for run in (one, other):
        for step in (1, 2, 3, 4, 5, 6):
            run.end(step)

    assert [encode(d) for d in one.decisions] == [encode(d) for d in other.decisions]


def test_a_long_result_is_kept_by_its_size_only() -> None:
    """The state stays small; the whole result is in the change message."""
    run = Run(a_workflow())

    run.end(1, status={"phase": "completed", "executionResults": {"success": True, "dump": "x" * 5000}})

    assert {"shortened": True, "bytes": 5026} == run.last.state.steps[0].result


def test_an_attempt_that_comes_from_the_past_is_old_news() -> None:
    """Not a stranger: the newest state knows it."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    first = run.create_of(1)
    run.end(1)

    verdict = decide(run.plan, run.last, [run.input(an_execution(first, "failed", version=1))])

    assert (None, ()) == (verdict.decision, verdict.strangers)
