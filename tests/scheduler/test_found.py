"""What the state machine found, each in its smallest form."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.messages import (
    AlertFired,
    CheckReported,
    CommandRefused,
    DeleteExecution,
    DeleteWorkflow,
    ReleaseExecution,
    TimerDue,
)
from tests.scheduler.builders import UID, Run, a_step, a_workflow, definition_of

POD = {"action": "restart_pod", "parameters": {"pod": "checkout-1", "namespace": "shop"}}
"""An action that must not be done twice, so that its execution is held."""
UNDO = {"rollbackSpec": {"action": "notify_only", "parameters": {"message": "undone"}}}
SKIP = {"stepNumber": 1, "operation": "skip"}


def before(**image: Any) -> dict[str, Any]:
    """What the executor tells of how it was before."""
    return {"rollbackInformation": {"preImage": image}}


def test_an_override_of_a_queued_run_that_is_cancelled_is_refused() -> None:
    """It waited for steps that never came, and nobody was told."""
    run = Run(a_workflow(), admitted=False)
    run.ask(overrides=[SKIP])

    run.ask(overrides=[SKIP], cancel={"mode": "stop"})

    assert ({"skip-1"}, ()) == (set(run.state.refusals), run.state.control.later)


def test_a_version_that_asks_again_for_what_was_refused_is_not_taken_in_twice() -> None:
    """It changed nothing while the run went on; come again after the failure it would have rolled it back."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.end(1)
    run.ask(rollback={"reason": "please"})
    run.ask(rollback={"reason": "please"})
    again = definition_of(run.workflow, sequence=run.version)
    run.fail(2)

    assert run.take(again) is None
    assert "failed" == run.state.phase


def test_an_alert_from_before_the_run_was_watched_is_not_new_when_it_comes_again() -> None:
    """It said nothing about the run then, and says nothing now."""
    run = Run(a_workflow(executionStrategy={"monitoring": {"window": "30s"}}))
    early = run.input(AlertFired(workflow=run.last.workflow, alert="HighLatency"))
    run.decide([early])
    run.end(1)

    assert run.decide([early]) is None
    assert "monitoring" == run.state.phase


def test_an_alert_that_comes_with_a_cancel_does_not_take_its_place() -> None:
    """Who cancels a run gets a cancelled run, whatever the strategy makes of alerts."""
    watched = {"executionStrategy": {"monitoring": {"window": "30s"}}}
    run = Run(a_workflow(**watched))
    run.end(1)
    cancelled = a_workflow(version=900, control={"cancel": {"mode": "rollback"}}, **watched)

    run.take(definition_of(cancelled, sequence=900), AlertFired(workflow=run.last.workflow, alert="HighLatency"))

    assert ("cancelled", ("HighLatency",)) == (run.state.phase, run.state.monitor and run.state.monitor.alerts)


def test_an_execution_that_is_let_go_with_its_deletion_is_not_let_go_again_when_it_ends() -> None:
    """The delete takes the finalizer off."""
    run = Run(a_workflow(a_step(1, timeout="30s", **POD)))
    run.see(1)
    run.wait_for("step:1")

    run.end(1)

    assert [True] == [command.hold for command in run.deletes()]
    assert not any(isinstance(command, ReleaseExecution) for command in run.commands())


def test_a_held_execution_whose_deletion_is_refused_is_let_go() -> None:
    """It counts as ended, and nobody would take the finalizer off any more."""
    run = Run(a_workflow(a_step(1, timeout="30s", **POD)))
    run.see(1)
    run.wait_for("step:1")

    run.take(
        CommandRefused(
            workflow=run.last.workflow, command_id="x", command="delete_execution", step=1, reason="forbidden"
        )
    )

    assert ReleaseExecution(name="leak-step-1", uid="execution-1-1", step=1) in run.last.commands


@pytest.mark.parametrize("paused_before", [True, False])
def test_a_rollback_on_demand_of_a_paused_run_waits_until_it_is_resumed(paused_before: bool) -> None:  # noqa: FBT001
    """Whether the run was paused when it failed, or the pause came with the request."""
    run = Run(a_workflow(a_step(1, **UNDO), a_step(2)))
    run.end(1)
    if paused_before:
        run.ask(paused=True)
    run.fail(2)

    run.ask(generation=3, paused=True, rollback={"reason": "please"})
    held_back = len(run.creates())
    run.ask(generation=4, paused=False, rollback={"reason": "please"})

    assert 2 == held_back
    assert ("rolling_back", "rollback") == (run.state.phase, run.creates()[-1].purpose)
    assert "resumed" == run.told()[-1]


def test_a_step_past_its_timeout_whose_execution_is_being_deleted_already_does_not_wait_for_it_to_be_gone() -> None:
    """Somebody else holds the object, maybe for ever; what we wanted of it has come."""
    run = Run(a_workflow(a_step(1, timeout="30s")))
    run.see(1, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})

    run.wait_for("step:1")

    assert ("failed", "timed_out", []) == (run.phases()[1], run.state.steps[0].reason, run.deletes())


def test_a_refusal_to_delete_an_earlier_attempt_does_not_end_the_one_in_flight() -> None:
    """It names the execution that it is about."""
    run = Run(a_workflow(a_step(1, timeout="30s", maxRetries=1)))
    orphan = run.execution(1)
    run.lose(1)
    run.wait_for("step:1")
    run.take(orphan)
    run.see(1)
    run.wait_for("step:1")

    about = {"workflow": run.last.workflow, "command": "delete_execution", "step": 1, "reason": "forbidden"}
    assert run.take(CommandRefused(command_id="x", uid=orphan.uid, **about)) is None
    run.take(CommandRefused(command_id="y", uid="execution-1-2", **about))
    assert "failed" == run.phases()[1]


@pytest.mark.parametrize("ended_by", ["its time", "a person"])
def test_an_execution_that_nobody_has_seen_keeps_its_place_when_its_end_is_wanted(ended_by: str) -> None:
    """It may have been created a moment ago: with the next one there would be more than the limit in the cluster."""
    one_at_a_time = {"executionStrategy": {"parallelismLimit": 1}}
    run = Run(a_workflow(a_step(1, timeout="30s", criticalStep=False), a_step(2), **one_at_a_time))
    if ended_by == "a person":
        run.ask(overrides=[SKIP])
    else:
        run.wait_for("step:1")
    in_doubt = (run.phases()[2], run.state.in_flight)

    run.see(1)
    deleted = [command.uid for command in run.deletes()]
    run.see(1, deleted=True)

    assert ("pending", 1) == in_doubt
    assert ["execution-1-1"] == deleted
    assert "executing" == run.phases()[2]


def test_an_execution_whose_end_is_wanted_and_that_cannot_be_created_has_ended() -> None:
    """It is not waited for any longer."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.ask(overrides=[SKIP])

    run.take(
        CommandRefused(
            workflow=run.last.workflow, command_id="x", command="create_execution", step=1, attempt=1, reason="invalid"
        )
    )

    assert ("skipped", False) == (run.phases()[1], "step:1" in run.state.timers)


def test_an_execution_that_nobody_has_seen_is_given_up_at_once_when_nothing_starts_after_it() -> None:
    """To terminate a run must not take longer than it needs."""
    run = Run(a_workflow())

    run.ask(cancel={"mode": "terminate"})

    assert ("cancelled", 1) == (run.state.phase, run.state.steps[0].abandoned)


@pytest.mark.parametrize("ends", ["verified by a look", "verified by the time", "not verified in time"])
@pytest.mark.parametrize("why", ["a cancel", "an alert"])
def test_a_rollback_that_is_decided_together_with_the_end_of_monitoring_is_not_lost(why: str, ends: str) -> None:
    """A cancel that was accepted, or an alert under the automatic strategy, counts although the end came with it."""
    note = {"action": "notify_only", "parameters": {"message": "hello"}}
    strategy = {"rollbackStrategy": "automatic", "monitoring": {"window": "30s", "timeout": "40s"}}
    run = Run(
        a_workflow(a_step(1, **UNDO, **(note if ends == "verified by the time" else {})), executionStrategy=strategy)
    )
    run.end(1)
    if ends == "verified by a look":
        run.report("monitor-1")
    run.time += 60_000 if ends == "not verified in time" else 31_000
    asked = a_workflow(version=900, control={"cancel": {"mode": "rollback"}}, executionStrategy=strategy)
    alert = AlertFired(workflow=run.last.workflow, alert="HighLatency")
    word = definition_of(asked, sequence=900) if why == "a cancel" else alert
    look = CheckReported(workflow=run.last.workflow, command_id="x", check="monitor-2", type="monitor", passed=True)
    if ends == "verified by a look":
        run.take(TimerDue(workflow_uid=UID, due_at=0))

    run.take(word, look if ends == "verified by a look" else TimerDue(workflow_uid=UID, due_at=0))

    assert ("rolling_back", "rollback") == (run.state.phase, run.creates()[-1].purpose)


def test_an_answer_of_the_audit_from_before_a_rollback_on_demand_does_not_delete_the_object_after_it() -> None:
    """It knows nothing of the rollback, and the object is to be kept for its time once more."""
    run = Run(a_workflow(a_step(1, **UNDO), a_step(2)))
    run.end(1)
    run.fail(2)
    run.wait_for("ttl")
    run.ask(rollback={"reason": "please"})
    run.end(1, purpose="rollback")
    assert "failed" == run.state.phase

    assert run.report("audit-1") is None


def test_a_rollback_goes_back_to_what_was_before_the_first_attempt() -> None:
    """The second found what the first had left behind: going back to that would undo nothing."""
    again = {"maxRetries": 1, "retryPolicy": {"initialDelay": "0s", "maxDelay": "0s"}}
    run = Run(
        a_workflow(a_step(1, **again), a_step(2, after=(1,)), executionStrategy={"rollbackStrategy": "automatic"})
    )
    failure = {"reason": "too_slow", "message": "the pods did not come up", "executed": True}
    run.end(1, status={"phase": "failed", "failure": failure, **before(replicas=1)})
    run.wait_for("step:1")
    run.end(1, status={"phase": "completed", **before(replicas=3)})

    run.fail(2)

    assert {"deployment": "checkout", "namespace": "shop", "replicas": 1} == run.create_of(1, "rollback").parameters


def test_an_attempt_that_failed_has_no_result_of_the_one_before() -> None:
    """Expressions would take it for its own."""
    post = [{"expression": "false", "onFailure": "retry"}]
    run = Run(a_workflow(a_step(1, maxRetries=1, criticalStep=False, postConditions=post), a_step(2)))
    run.end(1, status={"phase": "completed", "executionResults": {"success": True, "n": 1, "resourcesAffected": [{}]}})
    run.wait_for("step:1")

    run.fail(1)

    assert ("failed", None, 0) == (run.phases()[1], run.state.steps[0].result, run.state.steps[0].affected)


def test_a_dry_run_past_its_time_keeps_its_place_until_it_has_ended() -> None:
    """That of a skipped step fails nothing, so that others start: not beside it, where the limit is one."""
    strategy = {"dryRunFirst": True, "parallelismLimit": 1}
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2), executionStrategy=strategy))
    run.see(1, purpose="dry_run")
    run.ask(overrides=[SKIP])

    run.wait_for("dry:1")
    in_doubt = (run.creates()[-1].step, run.state.in_flight)
    run.see(1, purpose="dry_run", deleted=True)

    assert (1, 1) == in_doubt
    assert (2, 1) == (run.creates()[-1].step, run.state.in_flight)
    assert ("failed", "timed_out") == (run.state.dry_runs[0].phase, run.state.dry_runs[0].reason)


def test_a_refusal_to_delete_a_dry_run_ends_it() -> None:
    """It carries no finalizer, whatever its action."""
    run = Run(a_workflow(a_step(1, timeout="30s", **POD), executionStrategy={"dryRunFirst": True}))
    run.see(1, purpose="dry_run")
    run.wait_for("dry:1")

    run.take(
        CommandRefused(
            workflow=run.last.workflow,
            command_id="x",
            command="delete_execution",
            step=1,
            purpose="dry_run",
            uid="dry-run-1-1",
            reason="forbidden",
        )
    )

    assert ("failed", "failed") == (run.state.dry_runs[0].phase, run.state.phase)
    assert not any(isinstance(command, ReleaseExecution) for command in run.commands())


def test_a_rollback_on_demand_that_comes_with_the_answer_of_the_audit_takes_the_deletion_back() -> None:
    """The object is to be kept for its time once more, although there was nothing to undo in the end."""
    run = Run(a_workflow(a_step(1, **POD), a_step(2)))
    run.end(1)
    run.fail(2)
    run.wait_for("ttl")
    passed = CheckReported(workflow=run.last.workflow, command_id="x", check="audit-1", type="audit", passed=True)
    asked = a_workflow(a_step(1, **POD), a_step(2), version=900, control={"rollback": {"reason": "please"}})

    run.take(passed, definition_of(asked, sequence=900))

    assert "nothing_to_roll_back" == run.last.transitions[-1].reason
    assert not any(isinstance(command, DeleteWorkflow) for command in run.last.commands)


def test_a_held_execution_that_shows_up_while_it_is_being_deleted_is_let_go_when_its_end_was_wanted() -> None:
    """Somebody else deleted it: no delete of ours took the finalizer off."""
    run = Run(a_workflow(a_step(1, timeout="30s", **POD), a_step(2)))
    run.wait_for("step:1")

    run.see(1, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})

    assert "failed" == run.phases()[1]
    assert ReleaseExecution(name="leak-step-1", uid="execution-1-1", step=1) in run.last.commands


@pytest.mark.parametrize("purpose", ["execute", "dry_run"])
def test_an_execution_that_was_created_once_more_after_the_first_was_gone_is_ended(purpose: str) -> None:
    """Its create was on its way twice, and the name was free again: it must not go on, and is ended once."""
    run = Run(a_workflow(a_step(1, **POD), executionStrategy={"dryRunFirst": purpose == "dry_run"}))
    hold = purpose == "execute"
    run.end(1, "failed", purpose=purpose)

    run.see(1, uid="another", purpose=purpose)

    name = "leak-step-1" if purpose == "execute" else "leak-step-1-dryrun"
    ended = DeleteExecution(name=name, uid="another", step=1, hold=hold, purpose=purpose)
    assert [ended] == [each for each in run.last.commands if isinstance(each, DeleteExecution)]
    version = run.last.version
    run.end(1, "executing", uid="another", purpose=purpose)
    assert version == run.last.version


def test_one_that_ends_by_itself_before_that_is_let_go() -> None:
    """It is held, and nobody else would take the finalizer off."""
    run = Run(a_workflow(a_step(1, **POD)))
    run.end(1, "failed")

    run.end(1, "completed", uid="another")

    assert [ReleaseExecution(name="leak-step-1", uid="another", step=1)] == list(run.last.commands)


def test_one_that_is_gone_already_asks_for_nothing() -> None:
    """Its tombstone is old news."""
    run = Run(a_workflow(a_step(1, **POD)))
    run.end(1, "failed")
    version = run.last.version

    run.end(1, "completed", uid="another", deleted=True)

    assert version == run.last.version
