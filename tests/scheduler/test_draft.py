"""The bookkeeping of a decision: what is told, counted, ready and armed."""

from __future__ import annotations

from schemas.messages import Transition
from tests.scheduler.builders import Run, a_step, a_workflow

SLOWLY = {"maxRetries": 1, "retryPolicy": {"initialDelay": "5m"}}


def test_a_transition_of_a_step_says_all_that_an_event_tells() -> None:
    """Which step, which attempt, what it does, from where to where and why."""
    run = Run(a_workflow(a_step(3)))

    expected = Transition(
        entity="step",
        what="ready",
        before="pending",
        after="executing",
        step=3,
        attempt=1,
        action="scale_deployment",
        reason="commanded",
    )
    assert expected == run.last.transitions[-1]


def test_a_transition_of_a_run_says_from_where_to_where() -> None:
    """Its reason is the event when nobody gives another."""
    run = Run(a_workflow())

    started = [transition for transition in run.last.transitions if transition.what == "started"]
    assert [
        Transition(entity="workflow", what="started", before="validating", after="executing", reason="started")
    ] == started


def test_public_events_are_counted_through_all_decisions() -> None:
    """Those without a name are none, so that a subscriber sees no gap."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.see(1)
    run.ask(cancel={"mode": "stop"})
    run.end(1)
    run.end(2)

    nameless = [t for decision in run.decisions for t in decision.transitions if not t.what]
    assert nameless
    assert len(run.told()) == run.state.announced


def test_a_step_has_an_end_only_once_it_has_ended() -> None:
    """Not while it is in flight, nor while it waits for its retry."""
    run = Run(a_workflow(a_step(1, **SLOWLY), a_step(2), a_step(3, after=(2,))))
    run.see(2)
    run.fail(1)
    before = [step.ended_at for step in run.state.steps]

    run.end(2)

    assert [0, 0, 0] == before
    assert [0, run.last.now, 0] == [step.ended_at for step in run.state.steps]


def test_a_step_that_only_the_limit_keeps_back_is_not_started_once_it_is_skipped() -> None:
    """It is ready no more."""
    run = Run(a_workflow(a_step(1), a_step(2), executionStrategy={"parallelismLimit": 1}))
    ready = run.state.ready

    run.ask(overrides=[{"stepNumber": 2, "operation": "skip", "reason": ""}])
    after = run.state.ready
    run.end(1)

    assert ((2,), (), "completed") == (ready, after, run.state.phase)


def test_the_wake_up_that_is_used_up_is_followed_by_the_next() -> None:
    """At the very moment at which it was armed."""
    run = Run(a_workflow(a_step(1, timeout="30s"), a_step(2, timeout="50s")))
    run.see(1)
    run.see(2)

    run.wait_for("step:1")

    assert run.state.timers["step:2"] == run.state.wake_at == run.wakes[-1]


def test_what_is_counted_as_ended_and_in_flight_is_what_is() -> None:
    """A retry is neither."""
    run = Run(a_workflow(a_step(1, **SLOWLY), a_step(2), a_step(3), a_step(4, after=(3,))))
    run.fail(1)

    run.end(2)

    assert (1, 1) == (run.state.in_flight, run.state.settled)


def test_a_step_that_is_tried_once_more_counts_as_ended_no_longer() -> None:
    """A person asked for it after it had failed."""
    run = Run(a_workflow(a_step(1, criticalStep=False), a_step(2)))
    run.fail(1)
    before = run.state.settled

    run.ask(overrides=[{"stepNumber": 1, "operation": "retry"}])

    assert (1, 0) == (before, run.state.settled)


def test_a_run_has_an_end_only_once_it_has_ended() -> None:
    """Its object is held until then."""
    run = Run(a_workflow())
    before = (run.state.ended_at, run.state.held)

    run.end(1)

    assert (0, True) == before
    assert run.last.now == run.state.ended_at
    assert run.state.held is False


def test_a_public_event_that_leaves_the_phase_as_it_is_says_so() -> None:
    """From the phase to the same one."""
    run = Run(a_workflow())

    run.ask(paused=True)

    told = [(each.what, each.before, each.after) for each in run.last.transitions]
    assert [("paused", "executing", "executing")] == told


def test_a_step_says_what_came_over_it_and_is_not_about_to_end_any_more() -> None:
    """In the event that tells it."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,))))

    run.ask(overrides=[{"stepNumber": 2, "operation": "skip", "reason": "not needed"}])

    assert ["skipped by a person: not needed"] == [each.message for each in run.last.transitions if each.step == 2]
    assert "" == run.state.steps[1].ending
