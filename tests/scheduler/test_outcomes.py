"""What the cluster tells of executions: versions in any order, of any attempt, of anybody; refused commands."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.decide import decide
from scheduler.inputs import Execution
from schemas.messages import CommandRefused, DeleteExecution, ReleaseExecution
from tests.scheduler.builders import Run, a_step, a_workflow

POD = {"action": "restart_pod", "parameters": {"pod": "checkout-1", "namespace": "shop"}}
AGAIN = {"maxRetries": 2, "retryPolicy": {"initialDelay": "0s", "maxDelay": "0s"}}
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def retried() -> Run:
    """A run whose step is in its second attempt."""
    run = Run(a_workflow(a_step(1, **AGAIN), a_step(2)))
    run.fail(1)
    return run


def strangers(run: Run, seen: Execution) -> int:
    """How many inputs are none of this state's; nothing is decided on them."""
    verdict = decide(run.plan, run.last, [run.input(seen)])
    assert verdict.decision is None
    return len(verdict.strangers)


def refused(run: Run, command: str = "create_execution", **fields: Any) -> CommandRefused:
    """The cluster refused a command about step 1."""
    known = {"step": 1, "attempt": 1, "reason": "forbidden", "message": "no rights"} | fields
    return CommandRefused(workflow=run.last.workflow, command_id="x", command=command, **known)


def test_an_execution_of_an_attempt_that_is_still_to_come_is_a_stranger() -> None:
    """A scheduler with an older state reads the newest before it drops it."""
    newer, older = retried(), Run(a_workflow(a_step(1, **AGAIN), a_step(2)))

    assert 1 == strangers(older, newer.execution(1))


def test_an_execution_of_an_attempt_before_this_one_is_old_news() -> None:
    """Whatever its uid and however new its version: it has ended."""
    run = Run(a_workflow(a_step(1, **AGAIN), a_step(2)))
    first = run.execution(1, "failed")
    run.take(first)
    run.see(1)
    run.version = 1000

    assert 0 == strangers(run, Execution(**{f: getattr(first, f) for f in first.__struct_fields__} | {"version": 999}))


def test_a_copy_of_an_execution_under_another_name_is_a_stranger() -> None:
    """The one that was observed first is the step's; somebody else's object is not ours to end."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.see(1)
    copy = run.execution(1, "executing", uid="another")

    assert 1 == strangers(run, Execution(**{f: getattr(copy, f) for f in copy.__struct_fields__} | {"name": "a-copy"}))


def test_an_execution_that_was_made_anew_is_no_stranger_when_it_comes_again() -> None:
    """It was sent away by the first news of it."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.see(1)
    run.see(1, uid="another")

    assert 0 == strangers(run, run.execution(1, uid="another"))
    assert ["another"] == [delete.uid for delete in run.deletes()]


def test_an_execution_of_a_run_that_has_no_steps_yet_is_a_stranger() -> None:
    """It waits for its place."""
    started, queued = Run(a_workflow()), Run(a_workflow(), admitted=False)

    assert 1 == strangers(queued, started.execution(1))


@pytest.mark.parametrize("purpose", ["dry_run", "rollback"])
def test_an_execution_for_something_that_the_run_does_not_do_is_a_stranger(purpose: str) -> None:
    """It runs nothing dry and rolls nothing back."""
    run = Run(a_workflow())
    made = run.execution(1)
    dry = Run(a_workflow(executionStrategy={"dryRunFirst": True})).execution(1, purpose="dry_run")
    other = Execution(**{f: getattr(dry, f) for f in made.__struct_fields__} | {"purpose": purpose})

    assert 1 == strangers(run, other)


@pytest.mark.parametrize("older", [0, 1])
def test_the_same_version_again_or_an_older_one_changes_nothing(older: int) -> None:
    """It has not ended; a newer one is taken in."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    versions = [run.execution(1), run.execution(1)]
    run.take(versions[1])

    assert run.take(versions[1 - older]) is None
    assert versions[1].version == run.state.steps[0].execution_version


@pytest.mark.parametrize("older", [0, 1])
def test_that_it_is_being_deleted_is_taken_in_once(older: int) -> None:
    """Our finalizer is taken off by the first version that says so."""
    run = Run(a_workflow(a_step(1, **POD), a_step(2)))
    versions = [run.execution(1), run.execution(1, metadata=GOING)]
    run.take(versions[1])

    assert run.take(versions[1 - older]) is None
    assert 1 == sum(isinstance(command, ReleaseExecution) for command in run.commands())


def test_the_deletion_of_one_that_is_known_is_taken_in_once_too() -> None:
    """By its version, like all that is told of it."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.see(1)
    going = run.execution(1, metadata=GOING)
    run.take(going)

    assert (True, None) == (run.state.steps[0].leaving, run.take(going))
    assert going.version == run.state.steps[0].execution_version


def test_a_step_is_told_as_started_once() -> None:
    """When its execution is seen for the first time."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.see(1)
    run.see(1, status={"phase": "executing"})

    assert 1 == run.told().count("1 started")
    assert ("started", "observed") == next(
        (t.what, t.reason) for d in run.decisions for t in d.transitions if t.step and t.before == t.after
    )


def test_an_execution_of_which_only_the_end_was_seen_has_started_as_well() -> None:
    """Unless it was deleted before it had ended: nobody knows whether it had begun."""
    run = Run(a_workflow(a_step(1, criticalStep=False), a_step(2)))

    run.see(1, deleted=True)
    run.end(2)

    assert ["1 failed", "2 started", "2 completed", "completed"] == run.told()[-4:]
    assert "1 started" not in run.told()
    assert ("execution-1-1", "execution-2-1") == (run.state.steps[0].execution_uid, run.state.steps[1].execution_uid)


def test_the_version_of_the_end_is_kept() -> None:
    """What is older than it is old news."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.see(1)

    run.end(1)

    assert run.version == run.state.steps[0].execution_version


@pytest.mark.parametrize("ending", ["completed", "failed"])
def test_what_was_affected_is_counted_however_it_ended(ending: str) -> None:
    """A failure may have changed something, too."""
    run = Run(a_workflow(a_step(1, criticalStep=False), a_step(2)))

    run.end(1, status={"phase": ending, "executionResults": {"success": True, "resourcesAffected": [{}, {}, {}]}})

    assert 3 == run.state.steps[0].affected


def test_what_an_attempt_affected_stands_while_its_step_waits_to_be_tried_again() -> None:
    """It may wait for long, and nothing newer is known."""
    run = Run(a_workflow(a_step(1, maxRetries=1, retryPolicy={"initialDelay": "5m"}), a_step(2)))

    run.end(1, status={"phase": "failed", "executionResults": {"success": False, "resourcesAffected": [{}, {}]}})

    assert ("waiting_retry", 2) == (run.phases()[1], run.state.steps[0].affected)


def test_a_new_attempt_has_affected_nothing_yet() -> None:
    """What the one before it affected is in its own object."""
    run = Run(a_workflow(a_step(1, **AGAIN), a_step(2)))

    run.end(1, status={"phase": "failed", "executionResults": {"success": False, "resourcesAffected": [{}]}})

    assert ("executing", 2, 0) == (run.phases()[1], run.state.steps[0].attempt, run.state.steps[0].affected)


@pytest.mark.parametrize("held", [True, False])
def test_the_pre_image_is_that_of_before_the_first_attempt_that_did_anything(held: bool) -> None:  # noqa: FBT001
    """A later one has seen what the first left."""
    run = Run(a_workflow(a_step(1, **AGAIN), a_step(2)))
    failure = {"reason": "x", "message": "y", "executed": held}
    run.end(1, status={"phase": "failed", "failure": failure, "rollbackInformation": {"preImage": {"replicas": 1}}})

    run.end(1, status={"phase": "completed", "rollbackInformation": {"preImage": {"replicas": 2}}})

    assert {"replicas": 1 if held else 2} == run.state.steps[0].pre_image


def over(**step: Any) -> tuple[Run, Any]:
    """A run whose step has used up its time unseen, and its execution."""
    run = Run(a_workflow(a_step(1, timeout="30s", criticalStep=False, **step), a_step(2)))
    made = run.execution(1)
    run.wait_for("step:1")
    return run, made


def test_what_shows_up_while_its_end_is_wanted_is_deleted_and_waited_for() -> None:
    """Without a limit: the cluster will tell when it is gone."""
    run, made = over()

    run.take(made)

    assert [DeleteExecution(name="leak-step-1", uid="execution-1-1", step=1)] == run.deletes()
    assert ("executing", {"step:2", "workflow"}) == (run.phases()[1], set(run.state.timers))


@pytest.mark.parametrize(
    ("change", "phase"),
    [
        pytest.param({"metadata": GOING}, "failed", id="it is being deleted already"),
        pytest.param({"phase": "failed"}, "failed", id="it has failed"),
        pytest.param({"phase": "completed"}, "completed", id="it has completed, which is the truth"),
    ],
)
def test_what_shows_up_at_its_end_needs_no_deletion(change: dict[str, Any], phase: str) -> None:
    """Nothing is left to be ended."""
    run, _ = over()
    run.version += 1

    run.see(1, **change)

    assert (phase, []) == (run.phases()[1], run.deletes())


def test_a_dry_run_that_shows_up_late_was_never_held() -> None:
    """It changes nothing, whatever its action."""
    run = Run(
        a_workflow(a_step(1, **POD), a_step(2), executionStrategy={"dryRunFirst": True, "workflowTimeout": "30s"})
    )
    late = run.execution(1, purpose="dry_run")
    run.wait_for("workflow")

    run.take(late)

    assert [DeleteExecution(name="leak-step-1-dryrun", uid="dry-run-1-1", step=1, purpose="dry_run")] == run.deletes()


def test_a_step_that_cannot_be_created_is_not_tried_again() -> None:
    """The cluster would refuse it again; what was never there is not held."""
    run = Run(a_workflow(a_step(1, **POD, **AGAIN), a_step(2)))
    held = run.state.steps[0].held

    run.take(refused(run))

    assert (True, "failed", False) == (held, run.phases()[1], run.state.steps[0].held)


def test_a_creation_that_is_refused_while_its_end_is_wanted_is_the_end() -> None:
    """There is nothing to wait for."""
    run, _ = over()

    run.take(refused(run))

    assert ("failed", "timed_out") == (run.phases()[1], run.state.steps[0].reason)


@pytest.mark.parametrize(
    ("fields", "phase"),
    [
        pytest.param({}, "failed", id="it does not say of which"),
        pytest.param({"uid": "execution-1-1"}, "failed", id="of the one in flight"),
        pytest.param({"uid": "another"}, "executing", id="of another one"),
    ],
)
def test_a_deletion_that_is_refused_is_the_end_of_the_one_that_it_was_about(fields: dict[str, Any], phase: str) -> None:
    """Nobody could end it, and the run must."""
    run = Run(a_workflow(a_step(1, timeout="30s", criticalStep=False), a_step(2)))
    run.see(1)
    run.wait_for("step:1")

    run.take(refused(run, "delete_execution", **fields))

    assert (phase, []) == (run.phases()[1], [c for c in run.commands() if isinstance(c, ReleaseExecution)])


def test_a_deletion_that_is_refused_of_a_step_that_nobody_ended_changes_nothing() -> None:
    """It was an orphan's."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.see(1)

    assert run.take(refused(run, "delete_execution")) is None


def test_an_execution_that_is_held_and_cannot_be_deleted_is_released() -> None:
    """The deletion would have taken our finalizer off."""
    run = Run(a_workflow(a_step(1, timeout="30s", criticalStep=False, **POD), a_step(2)))
    run.see(1)
    run.wait_for("step:1")

    run.take(refused(run, "delete_execution"))

    assert [ReleaseExecution(name="leak-step-1", uid="execution-1-1", step=1)] == list(run.last.commands)


def test_a_dry_run_that_cannot_be_deleted_was_not_held() -> None:
    """So there is nothing to release."""
    run = Run(a_workflow(a_step(1, timeout="30s", **POD), a_step(2), executionStrategy={"dryRunFirst": True}))
    run.see(1, purpose="dry_run")
    run.wait_for("dry:1")

    run.take(refused(run, "delete_execution", purpose="dry_run"))

    assert ([], "failed") == (
        [c for c in run.commands() if isinstance(c, ReleaseExecution)],
        run.state.dry_runs[0].phase,
    )


def test_a_dry_run_that_completes_although_its_time_was_over_has_passed() -> None:
    """What it found is true."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2), executionStrategy={"dryRunFirst": True}))
    run.see(1, purpose="dry_run")
    run.wait_for("dry:1")

    run.end(1, purpose="dry_run")

    assert "completed" == run.state.dry_runs[0].phase


def test_a_refusal_that_comes_twice_fails_a_step_once() -> None:
    """It has ended by the first."""
    run = Run(a_workflow(a_step(1, criticalStep=False), a_step(2)))
    run.take(refused(run))

    assert run.take(refused(run)) is None


def test_a_refusal_of_a_step_that_has_ended_changes_nothing() -> None:
    """Nobody waits for it any more."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.end(1)

    assert run.take(refused(run, "delete_execution")) is None
