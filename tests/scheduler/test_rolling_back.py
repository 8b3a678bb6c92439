"""Undoing what was done: in which order, by what, with which retries, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scheduler.backoff import delay_ms
from schemas.messages import CommandRefused, Decision, DeleteExecution, ReleaseExecution, encode
from tests.scheduler.builders import UID, Run, a_step, a_workflow, an_execution

DOWN = {"action": "scale_deployment", "parameters": {"deployment": "checkout", "namespace": "shop", "replicas": 1}}
POD = {"action": "restart_pod", "parameters": {"pod": "checkout-1", "namespace": "shop"}}
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


def undos(run: Run) -> list[int]:
    """The rollbacks that were commanded, in order."""
    return [create.step for create in run.creates() if create.purpose == "rollback"]


def sides(run: Run) -> dict[int, str]:
    """How far each rollback is."""
    return {side.number: side.phase for side in run.state.rollbacks}


def undo(run: Run, step: int, phase: str = "completed", **change: Any) -> None:
    """A rollback ends."""
    run.end(step, phase, purpose="rollback", **change)


def test_steps_are_undone_in_reverse_order_of_dependency() -> None:
    """A step only once all those that depended on it are undone; side by side where nothing is in between."""
    run = rolling_back(
        undone(1),
        undone(2, after=(1,)),
        undone(3, after=(1,)),
        undone(4, after=(2, 3)),
        broken(5, 4),
        last=5,
    )
    begun = [undos(run)]
    for step in (4, 2, 3):
        undo(run, step)
        begun.append(undos(run))
    undo(run, 1)

    assert [[4], [4, 3, 2], [4, 3, 2], [4, 3, 2, 1]] == begun
    assert {1: "rolled_back", 2: "rolled_back", 3: "rolled_back", 4: "rolled_back", 5: "failed"} == run.phases()
    assert ("failed", "failed") == (run.state.phase, run.state.outcome)


def test_of_those_that_may_be_undone_the_latest_goes_first_up_to_the_limit() -> None:
    """The limit holds for rollbacks as for everything else."""
    run = rolling_back(*(undone(n) for n in range(1, 5)), broken(5, 1, 2, 3, 4), last=5, parallelismLimit=2)
    first = undos(run)

    undo(run, 3)

    assert ([4, 3], [4, 3, 2], 2) == (first, undos(run), run.state.in_flight)


def test_what_was_not_done_is_not_undone() -> None:
    """Skipped, cancelled and failed steps are passed over; what lies before them is still undone."""
    run = Run(
        a_workflow(
            undone(1),
            undone(2, after=(1,), runIf="false"),
            undone(3, after=(2,)),
            undone(4, after=(3,)),
            undone(5, after=(4,)),
            executionStrategy=AUTOMATIC,
        )
    )
    run.end(1)
    run.end(3)
    run.fail(4)

    undo(run, 3)
    undo(run, 1)

    assert {1: "rolled_back", 2: "skipped", 3: "rolled_back", 4: "failed", 5: "cancelled"} == run.phases()
    assert {2: "not_done", 4: "not_done", 5: "not_done"} == {
        side.number: side.reason for side in run.state.rollbacks if side.phase == "skipped"
    }
    assert [3, 1] == undos(run)


def test_a_completed_step_that_cannot_be_undone_is_passed_over_and_said_so() -> None:
    """It has no rollbackSpec and nothing to derive one from."""
    run = rolling_back(undone(1), a_step(2, after=(1,), **POD), broken(3, 2), last=3)

    undo(run, 1)

    assert {1: "completed", 2: "skipped", 3: "skipped"} == sides(run)
    assert ("no_rollback_spec", "not_done") == (run.state.rollbacks[1].reason, run.state.rollbacks[2].reason)
    assert {1: "rolled_back", 2: "completed", 3: "failed"} == run.phases()
    assert run.state.rollbacks[1].ended_at


def test_a_rollback_is_told_as_one() -> None:
    """Each step, then the run, then that it has failed; the reason is that of the failure."""
    run = rolling_back(undone(1), broken(2, 1), last=2)
    began = [(t.what, t.reason, t.message) for t in run.last.transitions if t.entity == "workflow"]
    rolling = run.state

    undo(run, 1)

    why = "critical step 2 (scale_deployment) failed: it broke"
    assert [("", "critical_step_failed", why)] == began
    assert ("rolling_back", why, why) == (rolling.phase, rolling.rollback_reason, rolling.failing)
    assert ["1 rolled_back", "rolled_back", "failed"] == run.told()[-3:]
    assert [("rolled_back", "rolled_back", ""), ("rolled_back", "critical_step_failed", why)] == [
        (t.what, t.reason, t.message) for t in run.last.transitions[:2]
    ]
    assert ("rolled_back", why, why) == (
        run.last.transitions[-1].reason,
        run.last.transitions[-1].message,
        run.state.failure_reason,
    )
    assert ("", False) == (run.state.closing, run.state.rollback_failed)


def test_a_run_that_did_nothing_has_nothing_to_undo() -> None:
    """It has failed at once, and no rollback is told."""
    run = rolling_back(broken(1), last=1)

    assert ("failed", "nothing_to_roll_back") == (run.state.phase, run.last.transitions[-1].reason)
    assert "rolled_back" not in run.told()
    assert "critical step 1 (scale_deployment) failed: it broke" == run.state.failure_reason


def test_a_step_keeps_the_time_at_which_it_had_ended() -> None:
    """Undoing it is another story."""
    run = rolling_back(undone(1), broken(2, 1), last=2)
    ended = run.state.steps[0].ended_at

    undo(run, 1)

    assert (ended, run.last.now) == (run.state.steps[0].ended_at, run.state.rollbacks[0].ended_at)
    assert "rolled_back" == run.state.steps[0].reason


def test_what_waited_is_cancelled_when_the_rollback_begins() -> None:
    """And nothing of the run's own is due any more."""
    run = Run(
        a_workflow(
            undone(1),
            a_step(2, maxRetries=1, retryPolicy={"initialDelay": "5m"}),
            broken(3),
            a_step(4, after=(3,)),
            executionStrategy=AUTOMATIC,
        )
    )
    run.end(1)
    run.fail(2)

    run.fail(3)

    assert {1: "completed", 2: "cancelled", 3: "failed", 4: "cancelled"} == run.phases()
    assert {"run_failed"} == {step.reason for step in run.state.steps if step.phase == "cancelled"}
    assert {"2 cancelled", "4 cancelled"} <= set(run.told())
    assert ({"undo:1"}, {}) == (set(run.state.timers), run.state.stopped)


def test_a_rollback_is_an_execution_of_its_own() -> None:
    """Its name, purpose, cluster and time are its own."""
    spec = POD | {"timeout": "90s"}
    run = rolling_back(undone(1, rollbackSpec=spec, targetCluster="west", timeout="10s"), broken(2, 1), last=2)

    create = run.create_of(1, "rollback")
    assert ("leak-step-1-rollback", "restart_pod", POD["parameters"], "west", "1m30s", True) == (
        create.name,
        create.action,
        create.parameters,
        create.target_cluster,
        create.timeout,
        create.hold,
    )
    assert (False, False, 1) == (create.rendered, create.derived, create.attempt)
    assert run.last.now + 90_000 == run.state.timers["undo:1"]


def test_without_a_timeout_a_rollback_has_five_minutes() -> None:
    """Whatever the step had."""
    run = rolling_back(undone(1, timeout="10s"), broken(2, 1), last=2, workflowTimeout="1m")

    assert "5m" == run.create_of(1, "rollback").timeout


def test_a_rollback_takes_what_the_run_has_found_out() -> None:
    """Templates are filled in when it starts."""
    spec = DOWN | {"parameters": DOWN["parameters"] | {"replicas": "{{ steps[1].result.before }}"}}  # type: ignore[operator]
    run = Run(a_workflow(undone(1, rollbackSpec=spec), broken(2, 1), executionStrategy=AUTOMATIC))
    run.end(1, status={"phase": "completed", "executionResults": {"success": True, "before": 7}})

    run.fail(2)

    create = run.create_of(1, "rollback")
    assert ("scale_deployment", 7, True, False) == (
        create.action,
        create.parameters["replicas"],
        create.rendered,
        create.derived,
    )
    assert run.last.now == run.state.rollbacks[0].started_at


@pytest.mark.parametrize(
    ("replicas", "said"),
    [
        pytest.param("{{ steps[1].result.before }}", "before", id="what it takes is not there"),
        pytest.param("{{ 0 - 1 }}", "replicas", id="what comes out does not fit"),
    ],
)
def test_a_rollback_that_cannot_be_filled_in_has_failed(replicas: str, said: str) -> None:
    """The others are still tried."""
    spec = DOWN | {"parameters": DOWN["parameters"] | {"replicas": replicas}}  # type: ignore[operator]
    run = rolling_back(undone(1), undone(2, after=(1,), rollbackSpec=spec), broken(3, 2), last=3)
    failed, at = run.state.rollbacks[1], run.last.now

    undo(run, 1)

    assert ("failed", "invalid_parameters", at) == (failed.phase, failed.reason, failed.ended_at)
    assert said in failed.error
    assert ({1: "completed", 2: "failed", 3: "skipped"}, "failed") == (sides(run), run.state.phase)
    assert run.state.rollback_failed


IMAGE = {"replicas": 2}


def imaged(image: Any, **results: Any) -> dict[str, Any]:
    """A status that tells what it was like before."""
    return {
        "phase": "completed",
        "executionResults": {"success": True, **results},
        "rollbackInformation": {"preImage": image},
    }


def test_without_a_rollback_spec_the_inverse_is_derived_from_what_it_was_like_before() -> None:
    """As the executor reported it; it is said where it comes from."""
    run = Run(a_workflow(a_step(1), broken(2, 1), executionStrategy=AUTOMATIC))
    run.end(1, status=imaged(IMAGE))

    run.fail(2)

    create = run.create_of(1, "rollback")
    assert {"deployment": "checkout", "namespace": "shop", "replicas": 2} == create.parameters
    assert ("scale_deployment", True, False, "5m") == (create.action, create.derived, create.rendered, create.timeout)
    assert ('derived from {"replicas":2}',) == run.state.rollbacks[0].findings


def test_the_rollback_spec_has_the_word_where_there_is_one() -> None:
    """Whatever was reported."""
    run = Run(a_workflow(undone(1), broken(2, 1), executionStrategy=AUTOMATIC))
    run.end(1, status=imaged(IMAGE))

    run.fail(2)

    assert (1, False, ()) == (
        run.create_of(1, "rollback").parameters["replicas"],
        run.create_of(1, "rollback").derived,
        run.state.rollbacks[0].findings,
    )


def test_the_inverse_of_a_step_is_of_what_it_was_done_with() -> None:
    """Its templates are filled in again."""
    parameters = {"deployment": "{{ variables.name }}", "namespace": "shop", "replicas": 3}
    run = Run(
        a_workflow(
            a_step(1, parameters=parameters),
            broken(2, 1),
            definition={"variables": {"name": "cart"}},
            executionStrategy=AUTOMATIC,
        )
    )
    run.end(1, status=imaged(IMAGE))

    run.fail(2)

    assert {"deployment": "cart", "namespace": "shop", "replicas": 2} == run.create_of(1, "rollback").parameters


@pytest.mark.parametrize(
    "image",
    [
        pytest.param({"replicas": 3}, id="it was the same before"),
        pytest.param({"replicas": "two"}, id="no number"),
        pytest.param("text", id="no map"),
        pytest.param({"replicas": 2, "more": "x" * 2000}, id="too long to be kept"),
    ],
)
def test_nothing_is_derived_from_what_makes_no_sense(image: Any) -> None:
    """It is no reason to guess."""
    run = Run(a_workflow(a_step(1), broken(2, 1), executionStrategy=AUTOMATIC))
    run.end(1, status=imaged(image))

    run.fail(2)

    assert ("no_rollback_spec", "nothing_to_roll_back") == (
        run.state.rollbacks[0].reason,
        run.last.transitions[-1].reason,
    )


def test_an_inverse_that_is_there_no_more_when_it_is_to_start_has_failed() -> None:
    """The parameters of the step depend on the time, and with those of now nothing differs from before."""
    at = "2023-11-14T22:13:30Z"
    parameters = {"deployment": "cart", "namespace": "shop", "replicas": f"{{{{ now < timestamp('{at}') ? 3 : 2 }}}}"}
    run = Run(
        a_workflow(
            a_step(1, parameters=parameters),
            undone(2),
            broken(3, 1, 2),
            executionStrategy=AUTOMATIC | {"parallelismLimit": 1},
        )
    )
    run.end(1, status=imaged(IMAGE))
    run.end(2)
    run.fail(3)
    waits = sides(run)[1]
    run.time += 60_000

    undo(run, 2)

    side = run.state.rollbacks[0]
    assert ("pending", "failed", "invalid_parameters", "nothing undoes this step") == (
        waits,
        side.phase,
        side.reason,
        side.error,
    )


@pytest.mark.parametrize("spec", [DOWN, POD])
def test_a_rollback_that_has_ended_is_not_due_any_more(spec: dict[str, Any]) -> None:
    """Well, failed, or refused by the cluster; while others are in flight."""
    run = rolling_back(*(undone(n, rollbackSpec=spec) for n in range(1, 5)), broken(5, 1, 2, 3, 4), last=5)

    undo(run, 1)
    undo(run, 2, "failed")
    run.take(refused(run, 3))

    assert {"undo:4"} == set(run.state.timers)
    assert {1: "completed", 2: "failed", 3: "failed", 4: "executing", 5: "skipped"} == sides(run)
    assert {""} == {side.ending for side in run.state.rollbacks}


def test_the_first_version_of_an_object_is_taken_in_however_low_it_is() -> None:
    """Its number is the server's affair."""
    run = rolling_back(undone(1), broken(2, 1), last=2)

    run.take(an_execution(run.create_of(1, "rollback"), "completed", version=1))

    assert "rolled_back" == run.phases()[1]


def test_an_inverse_that_is_there_no_more_is_not_tried_again() -> None:
    """Nobody knows then whether it may be repeated."""
    at = "2023-11-14T22:13:30Z"
    parameters = {"deployment": "cart", "namespace": "shop", "replicas": f"{{{{ now < timestamp('{at}') ? 3 : 2 }}}}"}
    run = Run(a_workflow(a_step(1, parameters=parameters, maxRetries=3), broken(2, 1), executionStrategy=AUTOMATIC))
    run.end(1, status=imaged(IMAGE))
    run.fail(2)
    run.time += 60_000

    undo(run, 1, "failed")

    assert "failed" == sides(run)[1]


def test_a_failed_rollback_is_tried_again_as_often_as_its_step() -> None:
    """Where that is safe and may help; with the next name, after its wait."""
    run = rolling_back(undone(1, maxRetries=1), broken(2, 1), last=2)

    undo(run, 1, "failed", status={"phase": "failed", "failure": {"reason": "Busy", "message": "x" * 2000}})
    waiting = run.state.rollbacks[0]
    again_at = run.state.timers["undo:1"]
    run.wait_for("undo:1")
    second = run.create_of(1, "rollback")
    undo(run, 1)

    assert ("waiting_retry", 1, "Busy", "x" * 1024) == (waiting.phase, waiting.retries, waiting.reason, waiting.error)
    assert delay_ms(None, 1, UID, 1, "rollback") == again_at - run.decisions[-3].now
    assert "" == waiting.ending
    assert ("leak-step-1-rollback-retry-1", 2) == (second.name, second.attempt)
    side = run.state.rollbacks[0]
    assert ("completed", "", "", 2, "") == (side.phase, side.reason, side.error, side.attempt, side.ending)


def test_the_next_attempt_of_a_rollback_knows_nothing_of_the_one_before() -> None:
    """Somebody deleted the first; the second counts from its first version, and is ended when its time is over."""
    run = rolling_back(undone(1, maxRetries=1, rollbackSpec=DOWN | {"timeout": "30s"}), broken(2, 1), last=2)
    run.see(1, purpose="rollback", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    run.see(1, purpose="rollback", deleted=True)
    run.wait_for("undo:1")

    run.take(an_execution(run.create_of(1, "rollback"), version=1))
    second = run.state.rollbacks[0]
    run.wait_for("undo:1")

    assert ("rollback-1-2", 1, False, "") == (
        second.execution_uid,
        second.execution_version,
        second.leaving,
        second.ending,
    )
    assert [DeleteExecution(name="leak-step-1-rollback-retry-1", uid="rollback-1-2", step=1, purpose="rollback")] == (
        run.deletes()
    )


def test_what_is_recorded_of_a_rollback_can_be_read_again() -> None:
    """At each point of it: commanded, waiting for its retry, ended."""
    run = rolling_back(undone(1, maxRetries=1), undone(2), a_step(3), broken(4, 1, 2, 3), last=4)
    undo(run, 1, "failed")
    undo(run, 2, "failed")
    run.wait_for("undo:1")
    undo(run, 1)

    again = [msgspec.json.decode(encode(decision), type=Decision) for decision in run.decisions]
    assert again == run.decisions


@pytest.mark.parametrize(
    ("spec", "failure", "again"),
    [
        pytest.param(DOWN, {}, True, id="an idempotent action"),
        pytest.param(DOWN, {"retryable": False}, False, id="the executor says that it does not help"),
        pytest.param(POD, {}, False, id="another action"),
        pytest.param(POD, {"executed": False}, True, id="another action of which nothing was done"),
    ],
)
def test_a_rollback_is_tried_again_only_where_that_is_safe(
    spec: dict[str, Any],
    failure: dict[str, Any],
    again: bool,  # noqa: FBT001
) -> None:
    """The rule of steps, for the action that undoes."""
    slow = {"retryPolicy": {"initialDelay": "5m"}}
    run = rolling_back(undone(1, rollbackSpec=spec, maxRetries=2, **slow), broken(2, 1), last=2)

    run.fail(1, purpose="rollback", **failure)

    assert ("waiting_retry" if again else "failed") == sides(run)[1]


def test_whether_a_rollback_may_be_repeated_is_a_matter_of_its_action_alone() -> None:
    """Not of its parameters, which cannot be filled in any more by the time at which it fails."""
    replicas = "{{ now < timestamp('2023-11-14T22:13:30Z') ? 1 : 0 - 1 }}"
    spec = DOWN | {"parameters": DOWN["parameters"] | {"replicas": replicas}}  # type: ignore[operator]
    run = rolling_back(undone(1, rollbackSpec=spec, maxRetries=1), broken(2, 1), last=2)
    run.time += 60_000

    run.fail(1, purpose="rollback")

    assert ("waiting_retry", "broken") == (sides(run)[1], run.state.rollbacks[0].reason)


def test_the_retries_of_a_rollback_end() -> None:
    """Then it has failed, and nothing is due any more."""
    run = rolling_back(undone(1, maxRetries=1), broken(2, 1), last=2)
    undo(run, 1, "failed")
    run.wait_for("undo:1")

    undo(run, 1, "failed")

    assert ([1, 1], "failed") == (undos(run), sides(run)[1])
    assert {"ttl"} == set(run.state.timers)


def test_a_derived_rollback_is_tried_again_by_the_rule_of_its_own_action() -> None:
    """Scaling is idempotent."""
    run = Run(
        a_workflow(
            a_step(1, maxRetries=1, retryPolicy={"initialDelay": "5m"}), broken(2, 1), executionStrategy=AUTOMATIC
        )
    )
    run.end(1, status=imaged(IMAGE))
    run.fail(2)

    run.fail(1, purpose="rollback")

    assert "waiting_retry" == sides(run)[1]


def test_a_rollback_past_its_timeout_is_ended_and_tried_again() -> None:
    """Its execution is deleted; the end counts once that is seen."""
    run = rolling_back(undone(1, maxRetries=1, rollbackSpec=DOWN | {"timeout": "30s"}), broken(2, 1), last=2)
    run.see(1, purpose="rollback")

    run.wait_for("undo:1")
    asked = (sides(run)[1], run.state.rollbacks[0].ending, run.state.in_flight)
    run.see(1, purpose="rollback", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    ended, timers = run.state.rollbacks[0], run.state.timers
    run.wait_for("undo:1")

    assert ("executing", "timed_out", 1) == asked
    assert [DeleteExecution(name="leak-step-1-rollback", uid="rollback-1-1", step=1, purpose="rollback")] == (
        run.deletes()
    )
    assert ("timed_out", "it had not ended in time and was ended", 1) == (ended.reason, ended.error, ended.retries)
    assert ({"undo:1"}, "") == (set(timers), ended.ending)
    assert ("executing", 2) == (sides(run)[1], run.state.rollbacks[0].attempt)


def test_a_rollback_that_may_not_be_done_twice_is_not_tried_again_after_its_timeout() -> None:
    """Nobody knows how far it got."""
    run = rolling_back(
        undone(1, maxRetries=1, rollbackSpec=POD | {"timeout": "30s"}),
        broken(2, 1),
        last=2,
    )
    run.see(1, purpose="rollback")

    run.wait_for("undo:1")
    run.see(1, purpose="rollback", deleted=True)

    assert ("failed", "timed_out") == (sides(run)[1], run.state.rollbacks[0].reason)


def test_a_rollback_that_was_never_seen_times_out_when_it_has_not_shown_up_for_long() -> None:
    """Should it show up, it is deleted."""
    run = rolling_back(undone(1, rollbackSpec=POD | {"timeout": "30s"}), broken(2, 1), last=2)
    late = run.execution(1, purpose="rollback")

    run.lose(1, "undo")
    ended = sides(run)[1]
    run.take(late)

    assert "failed" == ended
    assert [
        DeleteExecution(name="leak-step-1-rollback", uid="rollback-1-1", step=1, hold=True, purpose="rollback")
    ] == run.deletes()


def test_a_rollback_that_completes_although_its_time_was_over_is_done() -> None:
    """What was done is done."""
    run = rolling_back(undone(1, rollbackSpec=DOWN | {"timeout": "30s"}), broken(2, 1), last=2)
    run.see(1, purpose="rollback")
    run.wait_for("undo:1")

    undo(run, 1)

    assert ({1: "completed"}, "rolled_back") == ({1: sides(run)[1]}, run.phases()[1])
    assert "" == run.state.rollbacks[0].ending


def test_a_rollback_that_fails_after_its_end_was_commanded_has_timed_out() -> None:
    """That is why it failed."""
    run = rolling_back(undone(1, rollbackSpec=POD | {"timeout": "30s"}), broken(2, 1), last=2)
    run.see(1, purpose="rollback")
    run.wait_for("undo:1")

    run.fail(1, purpose="rollback", executed=False)

    assert "timed_out" == run.state.rollbacks[0].reason


def test_a_rollback_of_an_action_that_must_not_run_twice_is_released_at_its_end() -> None:
    """Its object stays until its end is in the log."""
    run = rolling_back(undone(1, rollbackSpec=POD), broken(2, 1), last=2)
    held = run.state.rollbacks[0].held

    undo(run, 1)

    assert held
    assert ReleaseExecution(name="leak-step-1-rollback", uid="rollback-1-1", step=1) in run.last.commands
    assert not run.state.rollbacks[0].held


def refused(run: Run, step: int) -> CommandRefused:
    """The cluster will not create the rollback of the step."""
    return CommandRefused(
        workflow=run.last.workflow,
        command_id="x",
        command="create_execution",
        step=step,
        attempt=1,
        purpose="rollback",
        reason="forbidden",
        message="no rights",
    )


def test_a_rollback_that_the_cluster_refuses_has_failed() -> None:
    """Trying again would not help."""
    run = rolling_back(undone(1, maxRetries=2), broken(2, 1), last=2)

    run.take(refused(run, 1))

    side = run.state.rollbacks[0]
    assert ("failed", "forbidden", "no rights", False) == (side.phase, side.reason, side.error, side.held)


def test_a_deletion_that_is_refused_ends_the_rollback_all_the_same() -> None:
    """Nobody could end it, and the run must."""
    run = rolling_back(undone(1, rollbackSpec=POD | {"timeout": "30s"}), broken(2, 1), last=2)
    run.see(1, purpose="rollback")
    run.wait_for("undo:1")

    run.take(
        CommandRefused(
            workflow=run.last.workflow,
            command_id="x",
            command="delete_execution",
            step=1,
            purpose="rollback",
            reason="forbidden",
        )
    )

    assert ("failed", "failed") == (sides(run)[1], run.state.phase)


def test_a_rollback_that_fails_escalates_and_is_not_undone_by_another() -> None:
    """The others are still tried; the run says which failed and why."""
    run = rolling_back(undone(1), undone(2, after=(1,)), undone(3, after=(2,)), broken(4, 3), last=4)
    undo(run, 3, "failed", status={"phase": "failed", "failure": {"reason": "Denied", "message": "no rights"}})
    between = (undos(run), run.state.rollback_failed)
    undo(run, 2, "failed")
    undo(run, 1)

    why = "critical step 4 (scale_deployment) failed: it broke. The rollback of step 2, 3 failed: the executor gave no"
    assert ([3, 2], True) == between
    assert ("failed", "rollback_failed") == (run.state.phase, run.last.transitions[-1].reason)
    assert run.state.failure_reason.startswith(why)
    assert {1: "rolled_back", 2: "completed", 3: "completed", 4: "failed"} == run.phases()
    assert "rolled_back" not in run.told()


def test_ten_failed_rollbacks_are_named_at_most() -> None:
    """The sentence stays one."""
    run = rolling_back(*(undone(n) for n in range(1, 13)), broken(20), last=20, parallelismLimit=10)
    while run.state.phase == "rolling_back":
        for side in run.state.rollbacks:
            if side.phase == "executing":
                undo(run, side.number, "failed")

    assert "The rollback of step 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 failed:" in run.state.failure_reason


def test_old_news_of_a_rollback_change_nothing() -> None:
    """Repeats, older versions, and those of somebody's copy."""
    run = rolling_back(undone(1), undone(2), broken(3, 1, 2), last=3)
    seen = run.execution(1, purpose="rollback")
    run.take(seen)

    assert run.take(seen) is None
    assert run.take(run.execution(1, "completed", purpose="rollback", uid="x", metadata={"name": "copy"})) is None
    assert "executing" == sides(run)[1]


def test_a_condition_may_ask_for_the_rollback() -> None:
    """Even of a run whose strategy is manual, and of a step that is not critical."""
    asks = {"postConditions": [{"expression": "false", "message": "too few", "onFailure": "rollback"}]}
    run = Run(a_workflow(undone(1), a_step(2, after=(1,), criticalStep=False, name="grow", **asks)))
    run.end(1)

    run.end(2)

    assert ("rolling_back", "step 2 (grow) asks for a rollback: too few") == (
        run.state.phase,
        run.state.rollback_reason,
    )
    assert "condition_failed" == run.state.closing_reason
