"""A person's word on one step: skip and retry; what follows for the steps around it."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.inputs import Place
from schemas.messages import DeleteExecution
from tests.scheduler.builders import Run, a_step, a_workflow

OVER = "the run has ended; `kubernaut rerun` runs it again from a step"
POD = {"action": "restart_pod", "parameters": {"pod": "checkout-1", "namespace": "shop"}}
SLOWLY = {"maxRetries": 2, "retryPolicy": {"initialDelay": "5m"}}


def skip(number: int, reason: str = "by hand") -> dict[str, Any]:
    """A person's word."""
    return {"stepNumber": number, "operation": "skip", "reason": reason}


def retry(number: int, reason: str = "it is mended") -> dict[str, Any]:
    """A person's word."""
    return {"stepNumber": number, "operation": "retry", "reason": reason}


def overrides(run: Run, *asked: dict[str, Any]) -> None:
    """The list on the object, which only ever grows."""
    before = run.workflow["spec"].get("control", {}).get("overrides", [])
    run.ask(overrides=[*before, *asked])


def started(run: Run) -> list[int]:
    """Steps that were commanded, in order."""
    return [create.step for create in run.creates() if create.purpose == "execute"]


def test_a_pending_step_that_is_skipped_counts_as_completed() -> None:
    """Its dependents run."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,)), a_step(3, after=(2,))))

    overrides(run, skip(2, "done by hand"))
    skipped = run.state.steps[1]
    run.end(1)

    assert ("skipped", "skipped_by_person", "skipped by a person: done by hand") == (
        skipped.phase,
        skipped.reason,
        skipped.error,
    )
    assert ("2 skipped", "skipped by a person: done by hand") in [
        (f"{t.step} {t.what}", t.message) for d in run.decisions for t in d.transitions
    ]
    assert [1] == started(run)[:1]
    assert [1, 3] == started(run)


def test_a_skip_of_the_only_thing_that_is_waited_for_goes_on_at_once() -> None:
    """What depends on it is looked at in the same decision."""
    run = Run(a_workflow(a_step(1, **SLOWLY), a_step(2, after=(1,))))
    run.fail(1)

    overrides(run, skip(1, ""))

    assert ({1: "skipped", 2: "executing"}, "skipped by a person") == (run.phases(), run.state.steps[0].error)
    assert "step:1" not in run.state.timers


def test_a_step_in_flight_is_ended_before_it_is_skipped() -> None:
    """Until then its dependents wait and its place is taken."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,))))
    run.see(1)

    overrides(run, skip(1))
    asked = (run.phases(), run.state.in_flight, run.state.steps[0].ending)
    run.see(1, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})

    assert ({1: "executing", 2: "pending"}, 1, "skipped") == asked
    assert [DeleteExecution(name="leak-step-1", uid="execution-1-1", step=1)] == run.deletes()
    assert {1: "skipped", 2: "executing"} == run.phases()
    assert "1 skipped" in run.told()
    ended = run.state.steps[0]
    assert ("skipped_by_person", "skipped by a person: by hand") == (ended.reason, ended.error)
    assert "skipped by a person: by hand" == run.last.transitions[0].message


def test_a_step_that_nobody_has_seen_is_skipped_once_it_has_not_shown_up_for_long() -> None:
    """It may be there all the same, and hold a place of the limit. Should it show up after that, it is deleted."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,))))

    overrides(run, skip(1))
    waiting = run.phases()
    run.wait_for("step:1")

    assert {1: "executing", 2: "pending"} == waiting
    assert ({1: "skipped", 2: "executing"}, 1) == (run.phases(), run.state.steps[0].abandoned)


def test_a_step_that_completes_although_it_was_skipped_stays_skipped() -> None:
    """It was a person's word; what it brought is kept for those who depend on it."""
    run = Run(a_workflow(a_step(1, postConditions=[{"expression": "false"}]), a_step(2, after=(1,))))
    run.see(1)
    overrides(run, skip(1))

    run.end(1, status={"phase": "completed", "executionResults": {"success": True, "n": 3}})

    step = run.state.steps[0]
    assert ("skipped", "skipped_by_person", {"success": True, "n": 3}) == (step.phase, step.reason, step.result)
    assert "skipped by a person: by hand" == run.last.transitions[0].message
    assert "executing" == run.phases()[2]


def test_a_step_that_fails_although_it_was_skipped_stays_skipped() -> None:
    """The failure is what was wanted."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,))))
    run.see(1)
    overrides(run, skip(1))

    run.fail(1)

    assert {1: "skipped", 2: "executing"} == run.phases()


def test_a_skip_stays_a_skip_when_the_run_is_cancelled_before_its_end_is_seen() -> None:
    """And the other way round: what was to end for its timeout is skipped once a person says so."""
    run = Run(a_workflow(a_step(1), a_step(2, timeout="30s"), executionStrategy={"workflowTimeout": "10m"}))
    run.see(1)
    run.see(2)
    overrides(run, skip(1))
    run.wait_for("step:2")

    overrides(run, skip(2))
    run.ask(generation=3, cancel={"mode": "terminate"}, overrides=run.workflow["spec"]["control"]["overrides"])
    run.see(1, deleted=True)
    run.see(2, deleted=True)

    assert ({1: "skipped", 2: "skipped"}, "cancelled") == (run.phases(), run.state.phase)
    assert 2 == len(run.deletes())


@pytest.mark.parametrize("early", ["queued", "validating"])
def test_a_step_may_be_skipped_before_anything_runs(early: str) -> None:
    """In the queue it is kept until there is a plan."""
    strategy = {"approvalRequired": True}
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,)), executionStrategy=strategy), admitted=early == "validating")
    overrides(run, skip(1), skip(7))
    later = run.state.control.later

    run.take(Place(admitted=True))
    run.say("approved")

    assert ((1, "skip", "by hand"), (7, "skip", "by hand")) == later or early == "validating"
    assert ({1: "skipped", 2: "executing"}, ()) == (run.phases(), run.state.control.later)
    assert "skipped by a person: by hand" == run.state.steps[0].error
    assert {"skip-7": "there is no step 7"} == run.state.refusals


def test_all_that_depended_on_a_step_that_was_skipped_before_anything_ran_may_run() -> None:
    """Not only the first of them."""
    steps = (a_step(1), a_step(2, after=(1,)), a_step(3, after=(1,)))
    run = Run(a_workflow(*steps, executionStrategy={"approvalRequired": True}))
    overrides(run, skip(1))

    run.say("approved")

    assert {1: "skipped", 2: "executing", 3: "executing"} == run.phases()


def test_an_override_that_waited_for_a_plan_that_there_is_none_of_is_refused() -> None:
    """Planning refused the workflow."""
    run = Run(a_workflow(a_step(1, after=(9,))), admitted=False)
    overrides(run, skip(1))

    run.take(Place(admitted=True))

    assert ("failed", {"skip-1": OVER}, ()) == (run.state.phase, run.state.refusals, run.state.control.later)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        pytest.param("completed", "step 1 is completed already", id="completed"),
        pytest.param("failed", "step 1 is failed already", id="failed"),
    ],
)
def test_a_step_that_has_ended_cannot_be_skipped(end: str, said: str) -> None:
    """What happened has happened."""
    run = Run(a_workflow(a_step(1, criticalStep=False), a_step(2)))
    run.end(1, end)

    overrides(run, skip(1))

    assert {"skip-1": said} == run.state.refusals


def test_a_refused_operation_is_forgotten_once_it_is_accepted() -> None:
    """The status shows the latest answer."""
    run = Run(a_workflow(a_step(1, criticalStep=False), a_step(2)))
    overrides(run, retry(1))
    refused = run.state.refusals
    run.fail(1)

    overrides(run, retry(1))

    assert {"retry-1": "step 1 is executing; only a failed step can be tried again"} == refused
    assert {} == run.state.refusals


def test_each_override_is_looked_at_once() -> None:
    """The list is seen again with every version."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    overrides(run, skip(7))

    assert run.ask(generation=2) is None
    assert 1 == run.state.control.overrides
    overrides(run, skip(2), skip(8))
    assert 3 == run.state.control.overrides
    assert {"skip-7", "skip-8"} == set(run.state.refusals)


def test_a_failed_step_is_tried_once_more_although_its_retries_are_used_up() -> None:
    """With the next attempt's name; when that fails it has failed."""
    run = Run(a_workflow(a_step(1, criticalStep=False, **POD), a_step(2)))
    run.fail(1)

    overrides(run, retry(1, "registry is back"))
    asked = run.state.steps[0]
    told = [(t.what, t.reason, t.message) for t in run.last.transitions if t.step == 1]
    run.fail(1)

    assert ("executing", 2, 0, "") == (asked.phase, asked.attempt, asked.ended_at, asked.error)
    assert ("retrying", "retry_asked", "a person asked for it: registry is back") == told[0]
    assert "leak-step-1-retry-1" == run.create_of(1).name
    assert "failed" == run.phases()[1]


def test_a_step_that_waits_for_its_retry_is_tried_at_once() -> None:
    """The wait is over by a person's word, which is told."""
    run = Run(a_workflow(a_step(1, **SLOWLY)))
    run.fail(1)

    overrides(run, retry(1, ""))

    assert "executing" == run.phases()[1]
    told = [(t.what, t.reason, t.message) for t in run.last.transitions]
    assert ("retrying", "retry_asked", "a person asked for it") == told[0]


def test_a_retry_of_a_critical_step_opens_the_run_again() -> None:
    """What was skipped because of it waits for it once more, down the whole branch; what it held back goes on."""
    run = Run(
        a_workflow(
            a_step(1),
            a_step(2),
            a_step(3, after=(1,)),
            a_step(4, after=(3,)),
            a_step(5, after=(2,)),
            a_step(6, after=(1, 4)),
            executionStrategy={"parallelismLimit": 2},
        )
    )
    run.fail(1)
    failing = run.state.closing

    overrides(run, retry(1))
    for step in (1, 2, 3, 5, 4, 6):
        run.end(step)

    assert "failed" == failing
    assert ("completed", "success") == (run.state.phase, run.state.outcome)
    assert dict.fromkeys(range(1, 7), "completed") == run.phases()


def test_a_retry_of_a_step_that_is_not_critical_revives_what_was_skipped_because_of_it() -> None:
    """But not what was skipped for a reason of its own."""
    run = Run(
        a_workflow(
            a_step(1, criticalStep=False),
            a_step(2, after=(1,)),
            a_step(3, after=(2,)),
            a_step(4, after=(1,), runIf="steps[1].status == 'completed'"),
            a_step(5),
            a_step(6, after=(3, 5)),
        )
    )
    run.fail(1)
    before = run.phases()

    overrides(run, retry(1))
    revived = [(t.step, t.what, t.before, t.after) for t in run.last.transitions if t.reason == "retry_asked"]
    pending = run.phases()
    run.end(1)
    run.end(2)
    run.end(3)
    waits = run.phases()[6]
    run.end(5)
    run.end(6)

    assert {1: "failed", 2: "skipped", 3: "skipped", 4: "skipped", 5: "executing", 6: "pending"} == before
    assert {1: "executing", 2: "pending", 3: "pending", 4: "skipped", 5: "executing", 6: "pending"} == pending
    assert [(1, "retrying", "failed", "waiting_retry")] == revived[:1]
    assert [(2, "", "skipped", "pending"), (3, "", "skipped", "pending")] == revived[1:]
    assert ("pending", "completed", "skipped") == (waits, run.state.phase, run.phases()[4])
    assert 6 == run.state.settled


def test_a_revived_step_says_nothing_of_why_it_was_skipped() -> None:
    """It is pending like any other."""
    run = Run(a_workflow(a_step(1, criticalStep=False), a_step(2, after=(1,)), a_step(3)))
    run.fail(1)

    overrides(run, retry(1))

    step = run.state.steps[1]
    assert ("pending", "", 0, 1) == (step.phase, step.error, step.ended_at, step.blockers)


def test_a_step_that_was_ready_because_of_a_failure_waits_for_the_retry() -> None:
    """It was to clean up, and the limit held it back."""
    cleanup = a_step(3, after=(1,), runIf="steps[1].status == 'failed'")
    run = Run(a_workflow(a_step(1, criticalStep=False), a_step(2), cleanup, executionStrategy={"parallelismLimit": 1}))
    run.fail(1)
    assert (3,) == run.state.ready
    run.ask(paused=True)

    run.ask(generation=3, paused=True, overrides=[retry(1)])

    assert ((1,), "pending") == (run.state.ready, run.phases()[3])
    run.ask(generation=4, paused=False, overrides=[retry(1)])
    run.end(2)
    run.end(1)
    assert ("skipped", "completed") == (run.phases()[3], run.state.phase)


def test_a_retry_that_is_due_already_is_not_held_up_by_another_one() -> None:
    """It was to clean up, has begun, and only the pause keeps its next attempt back."""
    again = {"maxRetries": 2, "retryPolicy": {"initialDelay": "0s", "maxDelay": "0s"}}
    cleanup = a_step(2, after=(1,), runIf="steps[1].status == 'failed'", **again)
    run = Run(a_workflow(a_step(1, criticalStep=False), cleanup))
    run.fail(1)
    run.ask(paused=True)
    run.fail(2)

    run.ask(generation=3, paused=True, overrides=[retry(1)])

    assert ((1, 2), {1: "waiting_retry", 2: "waiting_retry"}) == (run.state.ready, run.phases())


def test_a_retry_of_one_critical_step_does_not_open_a_run_that_another_one_closes() -> None:
    """It is the other one that is named then, and both together do."""
    run = Run(a_workflow(a_step(1), a_step(2, name="second"), a_step(3), a_step(4, after=(3,))))
    run.fail(1)
    run.fail(2)

    overrides(run, retry(1))
    held = (run.state.closing, run.state.closing_reason, run.state.failing, run.phases()[1])
    ended_at = run.state.steps[0].ended_at
    overrides(run, retry(2))

    assert ("failed", "critical_step_failed", "critical step 2 (second) failed: it broke", "waiting_retry") == held
    assert ("", "", "", 0) == (run.state.closing, run.state.closing_reason, run.state.failing, ended_at)
    assert {1: "executing", 2: "executing", 3: "executing", 4: "pending"} == run.phases()


def test_a_step_that_became_ready_while_the_run_was_closing_starts_when_it_is_open_again() -> None:
    """Nothing was decided about it, for nothing was to start."""
    run = Run(a_workflow(a_step(1), a_step(2), a_step(3, after=(2,)), a_step(4)))
    run.fail(1)
    run.end(2)
    closed = (run.phases()[3], run.state.ready)

    overrides(run, retry(1))

    assert (("pending", ()), "executing") == (closed, run.phases()[3])


@pytest.mark.parametrize("closing", ["cancelled", "timed out", "a condition that asks for a rollback"])
def test_a_retry_is_refused_once_the_run_is_about_to_end_for_another_reason(closing: str) -> None:
    """It would be accepted, and nothing would come of it."""
    asks = {"preConditions": [{"expression": "false", "onFailure": "rollback"}]}
    step = a_step(2, criticalStep=False, **(asks if closing.startswith("a condition") else {}))
    run = Run(a_workflow(a_step(1), step, executionStrategy={"workflowTimeout": "60s"}))
    run.see(1)
    if closing == "cancelled":
        run.fail(2)
        run.ask(cancel={"mode": "stop"})
    elif closing == "timed out":
        run.fail(2)
        run.wait_for("workflow")

    run.ask(generation=9, cancel=run.workflow["spec"].get("control", {}).get("cancel"), overrides=[retry(2)])

    assert ("executing", {"retry-2": "the run is about to end"}) == (run.state.phase, run.state.refusals)
    assert "failed" == run.phases()[2]


@pytest.mark.parametrize("operation", ["skip", "retry"])
def test_an_override_of_a_step_that_there_is_none_of_is_refused(operation: str) -> None:
    """It names the number."""
    run = Run(a_workflow())

    overrides(run, {"stepNumber": 9, "operation": operation, "reason": ""})

    assert {f"{operation}-9": "there is no step 9"} == run.state.refusals


@pytest.mark.parametrize("operation", ["skip", "retry"])
def test_an_override_of_a_run_that_has_ended_is_refused(operation: str) -> None:
    """It says how to run it again."""
    run = Run(a_workflow())
    run.fail(1)

    overrides(run, {"stepNumber": 1, "operation": operation, "reason": ""})

    assert {f"{operation}-1": OVER} == run.state.refusals
