"""Before anything is executed: safety checks, dry runs, and the five minutes that there are for them."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.messages import CheckTarget, CommandRefused, DeleteExecution, RunCheck, TimerDue
from schemas.run_state import CheckState
from tests.scheduler.builders import UID, Run, a_step, a_workflow

RBAC = {"type": "rbac"}
NETWORK = {"type": "network", "required": False}
POD = {"action": "restart_pod", "parameters": {"pod": "checkout-1", "namespace": "shop"}}
LIMIT_MS = 5 * 60 * 1000


def checked(*checks: dict[str, Any], steps: tuple[dict[str, Any], ...] = (), **strategy: Any) -> Run:
    """A run with safety checks."""
    return Run(a_workflow(*steps, executionStrategy={"safetyChecks": list(checks), **strategy}))


def dry(*steps: dict[str, Any], **strategy: Any) -> Run:
    """A run whose steps run dry first."""
    return Run(a_workflow(*steps, executionStrategy={"dryRunFirst": True, **strategy}))


def dries(run: Run) -> dict[int, str]:
    """How far the dry run of each step is."""
    return {side.number: side.phase for side in run.state.dry_runs}


def last_reason(run: Run) -> str:
    """Why the newest transition was."""
    return run.last.transitions[-1].reason


def test_each_check_is_asked_for_once_about_everything_that_the_steps_are_about() -> None:
    """Steps that are about the same are named once, however it is written; what is no name of a thing is left out."""
    again = a_step(2, parameters={"replicas": 3, "namespace": "shop", "deployment": "checkout"})
    long = a_step(3, action="notify_only", parameters={"message": "x" * 254}, targetCluster="west")
    run = checked(RBAC, NETWORK, steps=(a_step(1), again, long))

    same = {"deployment": "checkout", "namespace": "shop", "replicas": 3}
    targets = (
        CheckTarget(step=1, action="scale_deployment", parameters=same),
        CheckTarget(step=3, action="notify_only", parameters={}, target_cluster="west"),
    )
    asked = [command for command in run.commands() if isinstance(command, RunCheck)]
    assert [
        RunCheck(check="check-1", type="rbac", targets=targets),
        RunCheck(check="check-2", type="network", targets=targets),
    ] == asked
    assert (
        CheckState(id="check-1", type="rbac", required=True),
        CheckState(id="check-2", type="network", required=False),
    ) == run.state.checks


def test_a_parameter_as_long_as_a_name_can_be_is_told_to_a_check() -> None:
    """One character more is not."""
    run = checked(RBAC, steps=(a_step(1, action="notify_only", parameters={"message": "x" * 253}),))

    assert {"message": "x" * 253} == run.check_of("check-1").targets[0].parameters


def test_lists_and_maps_are_no_names_of_things() -> None:
    """A check is told words, numbers and yes or no."""
    config = {"actionType": "x", "config": {"a": "b"}}
    run = checked(RBAC, steps=(a_step(1, action="custom", parameters=config),))

    assert {"actionType": "x"} == run.check_of("check-1").targets[0].parameters


def test_nothing_is_executed_before_every_required_check_has_passed() -> None:
    """The result of each is a message; the last one starts the run."""
    run = checked(RBAC, {"type": "capacity"})

    run.report("check-2")
    in_between = (run.state.phase, run.creates())
    run.report("check-1", message="fine")

    assert ("validating", []) == in_between
    assert ("executing", [1]) == (run.state.phase, [create.step for create in run.creates()])
    assert (True, "fine", run.last.now) == (
        run.state.checks[0].passed,
        run.state.checks[0].message,
        run.state.checks[0].ended_at,
    )


def test_a_required_check_that_fails_ends_the_run_with_its_words() -> None:
    """Once all required results are there."""
    run = checked(RBAC, {"type": "capacity"}, NETWORK)

    run.report("check-1", passed=False, message="scale_deployment-sa may not patch deployments")
    early = run.state.phase
    run.report("check-2", passed=False, message="full")

    assert "validating" == early
    assert ("failed", "failed", "check_failed") == (run.state.phase, run.state.outcome, last_reason(run))
    assert "the rbac check failed: scale_deployment-sa may not patch deployments" == run.state.failure_reason
    assert [] == run.creates()


def test_a_check_that_is_not_required_is_neither_waited_for_nor_minded() -> None:
    """Its result is kept all the same, once, whenever it comes."""
    run = checked(NETWORK)
    started = run.state.phase

    run.report("check-1", passed=False, message="no answer")

    assert "executing" == started
    assert (False, "no answer") == (run.state.checks[0].passed, run.state.checks[0].message)
    assert run.report("check-1", passed=True) is None


def test_the_result_of_a_check_counts_once() -> None:
    """The same message again, or another one about the same check, changes nothing; nor does an unknown one."""
    run = checked(RBAC, {"type": "capacity"})
    run.report("check-1", message="first")

    assert run.report("check-1", passed=False) is None
    assert "first" == run.state.checks[0].message


def test_what_a_check_says_is_kept_to_a_length() -> None:
    """The state stays small."""
    run = checked(NETWORK)

    run.report("check-1", passed=False, message="x" * 2000)

    assert "x" * 1024 == run.state.checks[0].message


def test_without_anything_to_check_the_run_is_validated_at_once() -> None:
    """The event says that nothing was asked for."""
    run = Run(a_workflow())

    reasons = {t.what: t.reason for t in run.last.transitions if t.entity == "workflow"}
    assert "nothing_to_check" == reasons["validated"]
    assert (None, "validated" in run.state.phase_times) == (run.state.timers.get("phase"), True)


@pytest.mark.parametrize(
    "strategy",
    [pytest.param({"safetyChecks": [RBAC]}, id="a check"), pytest.param({"dryRunFirst": True}, id="a dry run")],
)
def test_what_was_validated_says_that_it_passed(strategy: dict[str, Any]) -> None:
    """The reason of the event tells it from a run that asked for nothing."""
    run = Run(a_workflow(executionStrategy=strategy))

    run.report("check-1") if run.state.checks else run.end(1, purpose="dry_run")

    assert ["passed"] == [t.reason for t in run.last.transitions if t.what == "validated"]


def test_validating_has_five_minutes() -> None:
    """From its beginning."""
    run = checked(RBAC, {"type": "health"}, NETWORK)

    assert run.last.now + LIMIT_MS == run.state.timers["phase"]


@pytest.mark.parametrize(
    ("run", "what"),
    [
        pytest.param(
            checked(RBAC, {"type": "health"}, NETWORK, dryRunFirst=True),
            "no result of the rbac, health check; see whether the executor bridge is well",
            id="open checks come first",
        ),
        pytest.param(dry(a_step(1), a_step(2)), "the dry run of step 1, 2 had not ended", id="dry runs in flight"),
        pytest.param(
            dry(*(a_step(n) for n in range(1, 13)), parallelismLimit=1),
            "the dry run of step 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 had not ended",
            id="ten are named",
        ),
    ],
)
def test_what_is_missing_after_five_minutes_is_said(run: Run, what: str) -> None:
    """A sentence that a person can act on."""
    run.wait(LIMIT_MS / 1000)

    assert f"validating took longer than 5 minutes: {what}" == run.state.failure_reason
    assert ("failed", "validation_timed_out") == (run.state.phase, last_reason(run))


def test_what_has_passed_is_not_missing() -> None:
    """Of the dry runs only those that have not ended."""
    run = dry(a_step(1), a_step(2), a_step(3))
    run.end(2, purpose="dry_run")

    run.wait_for("phase")

    assert "validating took longer than 5 minutes: the dry run of step 1, 3 had not ended" == run.state.failure_reason


def late(run: Run) -> TimerDue:
    """The wake-up at the end of validating, and the time it is then."""
    run.time = run.state.timers["phase"]
    return TimerDue(workflow_uid=UID, due_at=run.time)


def test_a_result_in_the_same_batch_as_the_timer_came_in_time() -> None:
    """The scheduler was away; what waits for it is taken in together."""
    run = checked(RBAC)
    due = late(run)

    run.take(due, run.found("check-1"))

    assert "executing" == run.state.phase


def test_a_last_check_in_the_same_batch_leaves_no_time_for_dry_runs() -> None:
    """None had begun."""
    run = checked(RBAC, dryRunFirst=True, steps=(a_step(4), a_step(5)))
    due = late(run)

    run.take(due, run.found("check-1"))

    assert "validating took longer than 5 minutes: the dry run of step 4, 5 had not ended" == run.state.failure_reason


def test_every_step_runs_dry_once_up_to_the_limit_and_before_anything_is_executed() -> None:
    """In order of numbers; dependencies do not matter, for nothing is changed."""
    run = dry(a_step(2, after=(1,)), a_step(1), a_step(3, **POD), parallelismLimit=2)
    first = [(create.step, create.purpose, create.name) for create in run.creates()]

    run.end(1, purpose="dry_run")
    run.end(2, purpose="dry_run")
    before = run.state.phase
    run.end(3, purpose="dry_run")

    assert [(1, "dry_run", "leak-step-1-dryrun"), (2, "dry_run", "leak-step-2-dryrun")] == first
    assert POD["parameters"] == run.create_of(3, "dry_run").parameters
    assert "validating" == before
    assert "executing" == run.state.phase
    assert [1, 2, 3, 1, 3] == [create.step for create in run.creates()]
    assert not run.create_of(3, "dry_run").hold
    assert {"completed"} == set(dries(run).values())


def test_dry_runs_wait_for_the_checks() -> None:
    """What may not run at all need not run dry."""
    run = checked(RBAC, dryRunFirst=True)
    before = run.creates()

    run.report("check-1")

    assert [] == before
    assert ["dry_run"] == [create.purpose for create in run.creates()]


def test_a_dry_run_that_fails_ends_the_run_once_the_others_have_ended() -> None:
    """No other begins; the first that failed is quoted."""
    run = dry(a_step(1), a_step(2), a_step(3), parallelismLimit=2)

    run.fail(1, purpose="dry_run")
    early = run.state.phase
    run.fail(2, purpose="dry_run")

    assert "validating" == early
    assert ("failed", "dry_run_failed") == (run.state.phase, last_reason(run))
    assert "the dry run of step 1, 2 failed: it broke" == run.state.failure_reason
    assert {1: "failed", 2: "failed", 3: "cancelled"} == dries(run)
    assert [1, 2] == [create.step for create in run.creates()]


def test_a_dry_run_that_fails_without_words_is_quoted_by_its_reason() -> None:
    """Something is always said."""
    run = dry(a_step(1))

    run.take(refused_dry_run(run, message=""))

    assert "the dry run of step 1 failed: forbidden" == run.state.failure_reason


def refused_dry_run(run: Run, *, message: str) -> CommandRefused:
    """The cluster will not create the dry run of step 1."""
    return CommandRefused(
        workflow=run.last.workflow,
        command_id="x",
        command="create_execution",
        step=1,
        attempt=1,
        purpose="dry_run",
        reason="forbidden",
        message=message,
    )


def test_a_dry_run_that_the_cluster_refuses_has_failed() -> None:
    """With what the cluster said; its timer is gone."""
    run = dry(a_step(1), a_step(2))

    run.take(refused_dry_run(run, message="no rights" + "x" * 2000))

    side = run.state.dry_runs[0]
    assert ("failed", "forbidden", ("no rights" + "x" * 2000)[:1024]) == (side.phase, side.reason, side.error)
    assert "dry:1" not in run.state.timers


def test_what_a_dry_run_foresees_is_kept() -> None:
    """Changes, and after an exclamation mark what may go wrong."""
    run = dry(a_step(1), a_step(2))

    run.end(
        1,
        purpose="dry_run",
        status={
            "phase": "completed",
            "executionResults": {
                "success": True,
                "resourceChanges": ["replicas 2 -> 3"],
                "potentialIssues": ["quota is near"],
                "warnings": ["slow"],
            },
        },
    )

    side = run.state.dry_runs[0]
    assert ("replicas 2 -> 3", "!quota is near", "!slow") == side.findings
    assert (run.last.now, "completed", False) == (side.ended_at, side.phase, side.held)
    assert "dry:1" not in run.state.timers


def test_a_dry_run_past_its_step_s_timeout_is_ended_and_has_failed() -> None:
    """Its execution is deleted; once it is gone, what it says changes nothing."""
    run = dry(a_step(1, timeout="30s"), a_step(2))
    run.see(1, purpose="dry_run")
    started = run.state.dry_runs[0].started_at

    run.wait_for("dry:1")
    over = run.last.now
    run.see(1, purpose="dry_run", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    failed = run.state.dry_runs[0]

    assert started + 30_000 == over
    assert [DeleteExecution(name="leak-step-1-dryrun", uid="dry-run-1-1", step=1, purpose="dry_run")] == run.deletes()
    assert ("failed", "timed_out") == (failed.phase, failed.reason)
    assert "the dry run did not end in time and was ended" == failed.error
    assert run.end(1, purpose="dry_run") is None


def test_a_dry_run_that_was_never_seen_is_given_up_and_deleted_should_it_show_up() -> None:
    """Its creation was under way."""
    run = dry(a_step(1, timeout="30s"), a_step(2))
    late_one = run.execution(1, purpose="dry_run")
    run.wait_for("dry:1")
    waits = (run.state.dry_runs[0].phase, run.state.dry_runs[0].ending, run.state.timers["dry:1"] - run.last.now)
    run.wait_for("dry:1")
    failed, before = run.state.dry_runs[0], run.deletes()

    run.take(late_one)

    assert ("executing", "timed_out", 120_000) == waits
    assert ("failed", "timed_out", "", []) == (failed.phase, failed.reason, failed.ending, before)
    assert [DeleteExecution(name="leak-step-1-dryrun", uid="dry-run-1-1", step=1, purpose="dry_run")] == run.deletes()


def test_a_dry_run_that_somebody_else_is_deleting_has_ended_with_its_time() -> None:
    """Nothing more is to be waited for."""
    run = dry(a_step(1, timeout="30s"), a_step(2))
    run.see(1, purpose="dry_run", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})

    run.wait_for("dry:1")

    assert ("failed", "timed_out") == (run.state.dry_runs[0].phase, run.state.dry_runs[0].reason)


def test_a_dry_run_that_is_refused_while_its_end_is_wanted_is_not_due_any_more() -> None:
    """It was never there."""
    run = dry(a_step(1, timeout="30s"), a_step(2))
    run.wait_for("dry:1")

    run.take(refused_dry_run(run, message="no rights"))

    assert ("failed", "timed_out", False) == (
        run.state.dry_runs[0].phase,
        run.state.dry_runs[0].reason,
        "dry:1" in run.state.timers,
    )


def test_the_time_of_a_dry_run_is_cut_to_what_is_left_of_the_phase() -> None:
    """And when both are over it is the phase that is named."""
    run = checked(RBAC, dryRunFirst=True, steps=(a_step(1, timeout="10m"),))
    run.wait(60)
    run.report("check-1")

    left = (run.state.timers["phase"] - run.last.now) / 1000
    assert f"{left // 60:g}m{left % 60:g}s" == run.create_of(1, "dry_run").timeout
    run.wait_for("phase")
    assert "validation_timed_out" == last_reason(run)


def test_a_dry_run_that_was_deleted_has_failed() -> None:
    """Never a hang; that it is going says nothing yet."""
    run = dry(a_step(1))
    run.see(1, purpose="dry_run")

    run.see(1, purpose="dry_run", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    going = dries(run)
    run.see(1, purpose="dry_run", deleted=True)

    assert {1: "executing"} == going
    assert ("failed", "deleted") == (run.state.dry_runs[0].phase, run.state.dry_runs[0].reason)


def test_parameters_that_earlier_steps_fill_in_cannot_run_dry() -> None:
    """It is said, and not held against the run."""
    later = a_step(
        2, after=(1,), action="notify_only", parameters={"message": "{{ steps[1].result.summary }}"}, criticalStep=False
    )
    run = dry(a_step(1), later)

    run.end(1, purpose="dry_run")

    side = run.state.dry_runs[1]
    assert ("skipped", "not_known_yet") == (side.phase, side.reason)
    assert ("!its parameters hold expressions, which are known only when it runs",) == side.findings
    assert "executing" == run.state.phase


def test_a_step_that_a_person_has_skipped_need_not_run_dry() -> None:
    """Said before its dry run began."""
    run = checked(RBAC, dryRunFirst=True, steps=(a_step(1), a_step(2)))
    run.ask(overrides=[{"stepNumber": 1, "operation": "skip", "reason": "by hand"}])

    run.report("check-1")

    assert ("skipped", "skipped_by_person") == (run.state.dry_runs[0].phase, run.state.dry_runs[0].reason)
    assert [2] == [create.step for create in run.creates()]


@pytest.mark.parametrize("fails_first", [True, False])
def test_a_failed_dry_run_of_a_skipped_step_is_not_held_against_the_run(
    fails_first: bool,  # noqa: FBT001
) -> None:
    """Whether it failed before or after the person's word; the others go on."""
    run = dry(a_step(1), a_step(2), a_step(3), parallelismLimit=2)

    def skip() -> None:
        run.ask(overrides=[{"stepNumber": 1, "operation": "skip", "reason": "by hand"}])

    if fails_first:
        run.fail(1, purpose="dry_run")
        skip()
    else:
        skip()
        run.fail(1, purpose="dry_run")
    run.end(2, purpose="dry_run")
    run.end(3, purpose="dry_run")

    assert ("executing", {1: "failed", 2: "completed", 3: "completed"}) == (run.state.phase, dries(run))
    assert {1: "skipped", 2: "executing", 3: "executing"} == run.phases()


def test_no_dry_run_begins_while_the_run_is_paused() -> None:
    """Those in flight finish."""
    run = dry(a_step(1), a_step(2), parallelismLimit=1)
    run.ask(paused=True)
    run.end(1, purpose="dry_run")
    held = [create.step for create in run.creates()]

    run.ask(generation=3, paused=False)

    assert [1] == held
    assert [1, 2] == [create.step for create in run.creates()]


def test_the_run_has_no_time_left_for_validating_once_its_own_is_over() -> None:
    """The timeout of the workflow counts from its admission."""
    run = checked(RBAC, workflowTimeout="30s")

    run.wait_for("workflow")

    assert ("failed", "workflow_timed_out") == (run.state.phase, last_reason(run))
    assert "the run took longer than its workflowTimeout of 30s" == run.state.failure_reason


def test_a_dry_run_in_flight_ends_with_the_run() -> None:
    """It was seen, so it is deleted; the other is given up."""
    run = dry(a_step(1), a_step(2), workflowTimeout="30s")
    run.see(1, purpose="dry_run")

    run.wait_for("workflow")

    assert [(1, "dry_run")] == [(delete.step, delete.purpose) for delete in run.deletes()]
    assert {1: "cancelled", 2: "cancelled"} == dries(run)
    assert (0, 1) == (run.state.in_flight, run.state.dry_runs[1].abandoned)
