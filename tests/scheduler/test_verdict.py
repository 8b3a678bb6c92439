"""What comes of some inputs: a decision or none, whose messages they were, and whether anybody waits for it."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.decide import Verdict, decide, may_wait
from scheduler.inputs import Earlier, Place
from schemas.messages import AlertFired, TimerDue, WorkflowRef
from tests.scheduler.builders import NOW, UID, Run, a_step, a_workflow, plan_of


def test_a_decision_says_whose_it_is() -> None:
    """The workflow, and what it belongs to."""
    run = Run(a_workflow(remediationRequestRef={"name": "incident-7"}))

    assert (WorkflowRef(namespace="shop", name="leak", uid=UID), "incident-7") == (
        run.last.workflow,
        run.last.correlation_id,
    )


def test_without_messages_no_time_passes_and_nothing_is_decided() -> None:
    """Not even the time before the first one."""
    run = Run(a_workflow())

    verdict = decide(run.plan, run.last, [])

    assert (None, (), 0) == (verdict.decision, verdict.strangers, verdict.wake_at)
    assert NOW < run.last.now


def test_of_a_run_that_had_ended_before_the_log_began_nothing_comes() -> None:
    """No decision, no stranger, no wake-up."""
    run = Run(a_workflow())
    ended = plan_of(a_workflow(status={"phase": "completed", "sequence": 7}))

    assert Verdict(decision=None, strangers=(), wake_at=0) == decide(ended, None, [run.input(ended.definition)])


def test_a_wake_up_in_the_queue_is_followed_by_none() -> None:
    """Nothing will be due before the run has its place."""
    run = Run(a_workflow(), admitted=False)

    verdict = decide(run.plan, run.last, [run.input(TimerDue(workflow_uid=UID, due_at=1))])

    assert Verdict(decision=None, strangers=(), wake_at=0) == verdict


@pytest.mark.parametrize(("early", "armed"), [(0, True), (1, False)], ids=["when it was due", "a moment before"])
def test_a_wake_up_for_which_nothing_is_due_any_more_is_followed_by_the_next(early: int, armed: bool) -> None:  # noqa: FBT001
    """It is used up then; one that comes before it leaves it armed."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2, timeout="50s")))
    run.see(2)
    run.end(1)
    run.time = run.state.wake_at - early - run.tick

    verdict = decide(run.plan, run.last, [run.input(TimerDue(workflow_uid=UID, due_at=1))])

    assert (None, run.state.timers["step:2"] if armed else 0) == (verdict.decision, verdict.wake_at)


def test_a_decision_that_leaves_what_is_due_next_as_it_was_arms_nothing() -> None:
    """The wake-up is on its way already."""
    run = Run(a_workflow())

    verdict = decide(run.plan, run.last, [run.input(run.execution(1))])

    assert verdict.decision is not None
    assert (run.state.wake_at, 0) == (verdict.decision.state.wake_at, verdict.wake_at)


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param(TimerDue(workflow_uid=UID, due_at=1), id="a wake-up"),
        pytest.param(Place(admitted=True), id="a place that it has"),
        pytest.param(Place(admitted=False), id="no place yet"),
        pytest.param(Earlier(()), id="an earlier run"),
        pytest.param(
            AlertFired(workflow=WorkflowRef(namespace="shop", name="leak", uid=UID), alert="x"), id="an alert"
        ),
    ],
)
def test_only_an_execution_can_be_somebody_else_s(fact: Any) -> None:
    """All else that changes nothing is of this run all the same."""
    run = Run(a_workflow())

    assert () == decide(run.plan, run.last, [run.input(fact)]).strangers


def test_a_stranger_is_named_although_others_led_to_a_decision() -> None:
    """It is held against the newest state then."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.see(1)
    foreign, own = run.input(run.execution(1, uid="another", metadata={"name": "a-copy"})), run.input(run.execution(2))

    verdict = decide(run.plan, run.last, [foreign, own])

    assert verdict.decision is not None
    assert (foreign,) == verdict.strangers


def test_nobody_waits_for_a_decision_that_only_notes_what_has_started() -> None:
    """What comes right behind may be taken in with it."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.take(run.execution(1), run.execution(2))

    assert may_wait(run.last)


@pytest.mark.parametrize("what", ["a command", "a refusal", "another transition"])
def test_somebody_waits_for_any_other_decision(what: str) -> None:
    """Although it notes a start as well."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2, timeout="9m"), a_step(3, timeout="9m")))
    run.see(2)
    if what == "a command":
        run.wait_for("step:1")
        run.see(1)
    elif what == "a refusal":
        run.ask(rollback={})
    else:
        run.end(3)

    assert not may_wait(run.last)


def test_a_decision_with_a_command_and_nothing_but_starts_is_waited_for() -> None:
    """The deletion of what shows up although its end is wanted."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2, timeout="9m")))
    run.wait_for("step:1")

    run.see(1)

    assert {"started"} == {transition.what for transition in run.last.transitions}
    assert not may_wait(run.last)
