"""What the state machine found, each in its smallest form."""

from __future__ import annotations

from tests.scheduler.builders import Run, a_workflow

SKIP = {"stepNumber": 1, "operation": "skip"}


def test_an_override_of_a_queued_run_that_is_cancelled_is_refused() -> None:
    """It waited for steps that never came, and nobody was told."""
    run = Run(a_workflow(), admitted=False)
    run.ask(overrides=[SKIP])

    run.ask(overrides=[SKIP], cancel={"mode": "stop"})

    assert ({"skip-1"}, ()) == (set(run.state.refusals), run.state.control.later)
