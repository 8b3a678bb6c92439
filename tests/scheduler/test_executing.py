"""The steps of a run: what their ends and their conditions mean for the others, and in which words that is said."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.draft import Draft
from scheduler.executing import close
from schemas.messages import CommandRefused, ReleaseExecution
from tests.scheduler.builders import Run, a_step, a_workflow, an_execution

NOT_CRITICAL = {"criticalStep": False}
GRUMPY = "x" * 2000
NO_VALUE = "steps[1].result.nope == 1"


def said(run: Run, step: int) -> tuple[str, str, str]:
    """How a step is, why, and in which words, which are those that were told."""
    state = run.state.steps[run.plan.place[step]]
    assert state.error == [t.message for d in run.decisions for t in d.transitions if t.step == step][-1]
    return state.phase, state.reason, state.error


def refused(run: Run, step: int, message: str = "") -> CommandRefused:
    """The cluster will not create the execution of the step."""
    return CommandRefused(
        workflow=run.last.workflow,
        command_id="x",
        command="create_execution",
        step=step,
        attempt=1,
        reason="forbidden",
        message=message,
    )


def test_a_first_step_that_is_skipped_lets_its_dependents_run() -> None:
    """By its own condition, before anything has run."""
    run = Run(a_workflow(a_step(1, runIf="false"), a_step(2, after=(1,)), a_step(3, after=(2,), skipIf="true")))
    started = run.phases()
    run.end(2)

    assert {1: "skipped", 2: "executing", 3: "pending"} == started
    assert ("skipped", "run_if_false", "runIf is false: false") == said(run, 1)
    assert ("skipped", "skip_if_true", "skipIf is true: true") == said(run, 3)
    assert ("completed", ["1 skipped"]) == (run.state.phase, [told for told in run.told() if told == "1 skipped"])


def test_a_step_behind_one_that_is_still_waited_for_does_not_hold_up_its_neighbour() -> None:
    """Step 3 waits for 2 as well, step 4 does not."""
    run = Run(a_workflow(a_step(1), a_step(2), a_step(3, after=(1, 2)), a_step(4, after=(1,))))

    run.end(1)

    assert {1: "completed", 2: "executing", 3: "pending", 4: "executing"} == run.phases()


def test_a_skipped_dependent_names_what_did_not_complete() -> None:
    """The lowest of them."""
    run = Run(a_workflow(a_step(1), a_step(2, **NOT_CRITICAL), a_step(3, **NOT_CRITICAL), a_step(4, after=(1, 2, 3))))
    run.end(1)
    run.fail(3)

    run.fail(2)

    assert ("skipped", "dependency_failed", "step 2 did not complete") == said(run, 4)


def test_a_failure_without_words_is_told_by_its_reason() -> None:
    """Something is always said."""
    run = Run(a_workflow())

    run.take(refused(run, 1))

    assert "critical step 1 (scale_deployment) failed: forbidden" == run.state.failure_reason


def test_a_step_that_the_cluster_refuses_is_not_due_any_more() -> None:
    """The others go on."""
    run = Run(a_workflow(a_step(1, **NOT_CRITICAL), a_step(2)))

    run.take(refused(run, 1, "no rights"))

    assert ({"step:2", "workflow"}, ("failed", "forbidden", "no rights")) == (set(run.state.timers), said(run, 1))


def test_the_reason_of_closing_is_cut_and_the_first_one_stands() -> None:
    """However long the words are that it was made of."""
    run = Run(a_workflow())
    draft = Draft(run.plan, run.state, run.time, phase=run.state.phase)

    close(draft, "failed", "first", "x" * 5000)
    close(draft, "cancelled", "second", "y")

    state = draft.finish()
    assert ("failed", "first", "x" * 4096) == (state.closing, state.closing_reason, state.failing)


@pytest.mark.parametrize(
    ("fields", "phase", "what"),
    [
        pytest.param({"runIf": NO_VALUE}, "failed", "failed", id="runIf has no value"),
        pytest.param({"preConditions": [{"expression": NO_VALUE}]}, "failed", "failed", id="a precondition has none"),
        pytest.param(
            {"parameters": {"deployment": "{{ variables.bad }}", "namespace": "shop", "replicas": 1}},
            "failed",
            "failed",
            id="its parameters do not fit",
        ),
        pytest.param(
            {"preConditions": [{"expression": "false", "onFailure": "skip"}]}, "skipped", "skipped", id="it says skip"
        ),
    ],
)
def test_what_ends_before_it_starts_is_settled_like_any_other(fields: dict[str, Any], phase: str, what: str) -> None:
    """Its dependents are looked at; it is told."""
    steps = (a_step(1), a_step(2, after=(1,), **NOT_CRITICAL, **fields), a_step(3, after=(2,)))
    run = Run(a_workflow(*steps, definition={"variables": {"bad": "No Name"}}))

    run.end(1)

    expected = "executing" if phase == "skipped" else "skipped"
    assert {1: "completed", 2: phase, 3: expected} == run.phases()
    assert f"2 {what}" in run.told()
    assert said(run, 2)[2]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"runIf": NO_VALUE}, id="whether it runs"),
        pytest.param({"skipIf": NO_VALUE}, id="whether it is skipped"),
        pytest.param({"preConditions": [{"expression": NO_VALUE}]}, id="a precondition"),
        pytest.param(
            {"parameters": {"deployment": "{{ steps[1].result.nope }}", "namespace": "shop", "replicas": 1}},
            id="a parameter",
        ),
    ],
)
def test_what_has_no_value_names_what_is_missing(fields: dict[str, Any]) -> None:
    """The step has failed by it before it started."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,), **NOT_CRITICAL, **fields)))

    run.end(1, status={"phase": "completed", "executionResults": {"success": True, "yes": 1}})

    phase, reason, error = said(run, 2)
    assert ("failed", "expression_failed", True) == (phase, reason, "there is no nope" in error)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"runIf": f"false && '{GRUMPY}' == ''"}, id="an expression that skips"),
        pytest.param({"preConditions": [{"expression": "false", "message": GRUMPY}]}, id="the message of a condition"),
        pytest.param({"postConditions": [{"expression": "false", "message": GRUMPY}]}, id="of one after it"),
    ],
)
def test_long_words_are_cut(fields: dict[str, Any]) -> None:
    """The state stays small."""
    run = Run(a_workflow(a_step(1, **NOT_CRITICAL, **fields)))
    if run.phases()[1] == "executing":
        run.end(1)

    assert 1024 == len(run.state.steps[0].error)


@pytest.mark.parametrize("when", ["preConditions", "postConditions"])
def test_a_condition_without_words_is_quoted(when: str) -> None:
    """So that a person sees which."""
    run = Run(a_workflow(a_step(1, **NOT_CRITICAL, **{when: [{"expression": "true"}, {"expression": "1 == 2"}]})))
    if run.phases()[1] == "executing":
        run.end(1)

    reason = "precondition_failed" if when == "preConditions" else "postcondition_failed"
    assert ("failed", reason, "the condition does not hold: 1 == 2") == said(run, 1)
    assert "1 failed" in run.told()


@pytest.mark.parametrize("on_failure", ["fail", "rollback"])
def test_only_a_condition_that_says_retry_is_tried_again(on_failure: str) -> None:
    """Although nothing was done yet, and retries are left."""
    run = Run(a_workflow(a_step(1, maxRetries=3, preConditions=[{"expression": "false", "onFailure": on_failure}])))

    assert ("failed", "failed") == (run.phases()[1], run.state.phase)


def test_a_postcondition_that_has_no_value_fails_the_step_for_good() -> None:
    """Asked again it would have none either."""
    run = Run(a_workflow(a_step(1, maxRetries=3, **NOT_CRITICAL, postConditions=[{"expression": NO_VALUE}])))

    run.end(1, status={"phase": "completed", "executionResults": {"success": True, "yes": 1}})

    phase, reason, error = said(run, 1)
    assert ("failed", "expression_failed", True) == (phase, reason, "there is no nope" in error)
    assert ("completed", "partial_success") == (run.state.phase, run.state.outcome)


def test_a_precondition_sees_the_steps_as_they_are() -> None:
    """The one that is asked is not taken for completed, nor is any other."""
    clean = {"runIf": "true", "preConditions": [{"expression": "steps[1].status == 'failed'"}]}
    run = Run(a_workflow(a_step(1, **NOT_CRITICAL), a_step(2, after=(1,), **clean)))

    run.fail(1)

    assert "executing" == run.phases()[2]


@pytest.mark.parametrize(("name", "shown"), [("grow", "grow"), ("", "scale_deployment")])
def test_a_condition_that_asks_for_a_rollback_says_so(name: str, shown: str) -> None:
    """With the name of the step, or else its action."""
    asks = {"preConditions": [{"expression": "false", "message": "too few", "onFailure": "rollback"}]}
    run = Run(a_workflow(a_step(1), a_step(2, name=name, **asks)))

    assert ("rolled_back", "condition_failed", f"step 2 ({shown}) asks for a rollback: too few") == (
        run.state.closing,
        run.state.closing_reason,
        run.state.failing,
    )


def test_a_retry_is_told_and_a_completion_has_no_words() -> None:
    """What went wrong before is forgotten."""
    run = Run(a_workflow(a_step(1, maxRetries=1, retryPolicy={"initialDelay": "0s", "maxDelay": "0s"})))
    run.fail(1)
    retrying = [(t.what, t.reason, t.message) for t in run.last.transitions]

    run.end(1)

    assert ("retrying", "broken", "it broke") in retrying
    assert ["1 retrying", "1 ready", "1 started", "1 completed", "completed"] == run.told()[-5:]
    assert ("completed", "completed", "") == (run.phases()[1], run.last.transitions[-2].reason, said(run, 1)[2])


def test_a_step_that_completed_although_it_was_skipped_is_told_as_skipped() -> None:
    """Once."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.see(1)
    run.ask(overrides=[{"stepNumber": 1, "operation": "skip", "reason": ""}])

    run.end(1)

    assert 1 == run.told().count("1 skipped")


def test_a_step_whose_end_was_commanded_says_nothing_until_it_has_come() -> None:
    """Its words are those of the end."""
    run = Run(a_workflow(a_step(1, timeout="30s")))
    run.see(1)

    run.wait_for("step:1")

    assert ("executing", "") == (run.phases()[1], run.state.steps[0].error)


def test_the_first_version_of_an_execution_is_taken_in_however_low_it_is() -> None:
    """Its number is the server's affair."""
    run = Run(a_workflow())

    run.take(an_execution(run.create_of(1), "completed", version=1))

    assert "completed" == run.state.phase


def test_an_attempt_begins_when_it_is_commanded() -> None:
    """Its time is that of the decision."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,))))
    run.end(1)

    assert run.last.now == run.state.steps[1].started_at


@pytest.mark.parametrize(
    ("how", "waits"),
    [
        pytest.param("stop for a failure and skip", True, id="a retry may still begin after it"),
        pytest.param("cancel with rollback", True, id="rollbacks begin after it"),
        pytest.param("cancel with terminate", False, id="nothing begins after it"),
        pytest.param("run over, automatic", True, id="the time is over, and rollbacks begin"),
        pytest.param("run over, manual", True, id="the time is over, and a person may ask for rollbacks"),
        pytest.param("run over, none", False, id="the time is over, and nothing begins"),
    ],
)
def test_an_execution_that_nobody_has_seen_is_waited_for_where_anything_begins_after_it(
    how: str,
    waits: bool,  # noqa: FBT001
) -> None:
    """It may be there all the same, and the limit must hold in the cluster."""
    rollback = how.partition(", ")[2] or "manual"
    strategy = {"workflowTimeout": "60s", "rollbackStrategy": rollback}
    run = Run(a_workflow(a_step(1), a_step(2), executionStrategy=strategy))
    if how.startswith("stop"):
        run.fail(1)
        run.ask(overrides=[{"stepNumber": 2, "operation": "skip", "reason": ""}])
    elif how.startswith("cancel"):
        run.end(1)
        run.ask(cancel={"mode": how.rsplit(" ", 1)[1]})
    else:
        run.end(1)
        run.wait_for("workflow")

    assert (waits, "executing" if waits else "terminal") == (
        bool(run.state.in_flight),
        run.state.phase if waits else "terminal",
    )
    assert waits or run.state.phase in {"failed", "cancelled"}


def test_an_execution_that_is_gone_needs_no_release() -> None:
    """It was held, and its end is in the tombstone."""
    run = Run(a_workflow(a_step(1, action="restart_pod", parameters={"pod": "a", "namespace": "b"})))

    run.end(1, deleted=True)

    assert ("completed", False) == (run.phases()[1], run.state.steps[0].held)
    assert not [command for command in run.commands() if isinstance(command, ReleaseExecution)]


def test_a_step_that_was_decided_on_is_not_decided_on_again_when_the_run_opens() -> None:
    """Its condition held when it was asked, and only the limit keeps it back."""
    soon = {"runIf": "now < timestamp('2023-11-14T22:13:30Z')"}
    run = Run(a_workflow(a_step(1), a_step(2), a_step(3, **soon), executionStrategy={"parallelismLimit": 2}))
    run.fail(1)
    run.time += 60_000

    run.ask(overrides=[{"stepNumber": 1, "operation": "retry", "reason": ""}])
    run.end(2)

    assert {1: "executing", 2: "completed", 3: "executing"} == run.phases()


def test_a_failed_step_that_a_person_wants_again_says_so_while_it_waits_for_a_place() -> None:
    """Why it had failed is no reason any more."""
    run = Run(a_workflow(a_step(1, **NOT_CRITICAL), a_step(2), executionStrategy={"parallelismLimit": 1}))
    run.fail(1)

    run.ask(overrides=[{"stepNumber": 1, "operation": "retry", "reason": ""}])

    assert ("waiting_retry", "retry_asked", 0) == (
        run.phases()[1],
        run.state.steps[0].reason,
        run.state.steps[0].ended_at,
    )


def test_a_retry_that_opens_the_run_again_is_asked_for_once() -> None:
    """The object goes on saying it; when the step fails once more, that is no new word."""
    again = [{"stepNumber": 1, "operation": "retry", "reason": ""}]
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.fail(1)
    run.ask(overrides=again)
    opened = (run.phases()[1], run.state.closing, run.state.control.overrides)
    run.fail(1)

    run.ask(generation=3, overrides=again)

    assert ("executing", "", 1) == opened
    assert ("failed", "failed", 2) == (run.phases()[1], run.state.closing, run.state.steps[0].attempt)
