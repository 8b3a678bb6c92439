"""How a run ends: what is said of it, what becomes of its steps, and that its reason fits a status."""

from __future__ import annotations

from scheduler.draft import Draft
from scheduler.ending import fail
from tests.scheduler.builders import Run, a_step, a_workflow


def test_a_reason_is_cut_to_what_a_status_can_hold() -> None:
    """However long the words are that it was made of."""
    run = Run(a_workflow())
    draft = Draft(run.plan, run.state, run.time, phase=run.state.phase)

    fail(draft, "run_failed", reason="whatever", message="x" * 5000)

    assert "x" * 4096 == draft.finish().failure_reason


def test_what_never_started_in_a_run_that_failed_is_cancelled_with_that_reason() -> None:
    """Not because a person asked."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,))))

    run.fail(1)

    assert ("cancelled", "run_failed") == (run.state.steps[1].phase, run.state.steps[1].reason)


def test_a_run_that_ended_well_says_nothing_more() -> None:
    """Its last event has a reason and no words."""
    run = Run(a_workflow())

    run.end(1)

    last = run.last.transitions[-1]
    assert ("completed", "success", "") == (last.what, last.reason, last.message)


def test_a_partial_success_is_told_as_completed() -> None:
    """The outcome says the rest."""
    run = Run(a_workflow(a_step(1, criticalStep=False)))

    run.fail(1)

    assert ("completed", "partial_success") == (run.told()[-1], run.state.outcome)
