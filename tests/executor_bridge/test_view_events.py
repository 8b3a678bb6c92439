"""The Kubernetes Events that a decision writes: each costs the API server a write, so they are few."""

from __future__ import annotations

import pytest

from executor_bridge.kube_events import events_of
from schemas.messages import Decision, Refusal, Transition
from tests.executor_bridge.builders import a_decision, a_state
from tests.executor_bridge.view import NOW, a_side


def a_run_went(before: str, after: str, what: str = "", **fields: str) -> Transition:
    """A transition of the run."""
    return Transition(entity="workflow", what=what, before=before, after=after, **fields)


def written(decision: Decision) -> list[tuple[str, str, str]]:
    """Type, reason and message of each Event."""
    return [(event["type"], event["reason"], event["message"]) for event in events_of(decision)]


@pytest.mark.parametrize(
    ("transition", "expected"),
    [
        pytest.param(
            a_run_went("validating", "validating", "approved", message="approved by alice"),
            ("Normal", "Approved", "approved by alice"),
            id="an approval",
        ),
        pytest.param(
            a_run_went("validating", "validating", "rejected", message="rejected by alice"),
            ("Warning", "Rejected", "rejected by alice"),
            id="a rejection",
        ),
        pytest.param(
            a_run_went("executing", "executing", "paused"), ("Normal", "Paused", "The run was paused."), id="a pause"
        ),
        pytest.param(
            a_run_went("executing", "executing", "resumed"),
            ("Normal", "Resumed", "The run was resumed."),
            id="a resume",
        ),
        pytest.param(
            a_run_went("executing", "executing", reason="cancelled", message="cancelled by bob"),
            ("Normal", "Cancelling", "cancelled by bob"),
            id="a cancel that waits for what is in flight",
        ),
        pytest.param(
            a_run_went("executing", "rolling_back", reason="critical_step_failed", message="step 2 failed"),
            ("Warning", "RollingBack", "step 2 failed (executing -> rolling_back)"),
            id="a change of phase that no public event tells",
        ),
        pytest.param(
            a_run_went("monitoring", "completed", "completed", reason="verified"),
            ("Normal", "Completed", "The run went monitoring -> completed."),
            id="the end",
        ),
    ],
)
def test_what_happened_to_a_run_is_one_event(transition: Transition, expected: tuple[str, str, str]) -> None:
    """A person's word and a change of phase are one Event each."""
    assert written(a_decision(4, a_state(), transitions=(transition,))) == [expected]


@pytest.mark.parametrize(
    "transition",
    [
        pytest.param(a_run_went("validating", "validating", "validated"), id="what is validated begins to execute"),
        pytest.param(
            Transition(entity="step", what="retrying", before="executing", after="waiting_retry", step=1),
            id="an attempt that is tried again",
        ),
        pytest.param(
            Transition(entity="step", what="rolled_back", before="completed", after="rolled_back", step=1),
            id="a step that was undone",
        ),
    ],
)
def test_what_is_no_news_is_not_written(transition: Transition) -> None:
    """The public events tell it; an Event would cost more than it says."""
    assert written(a_decision(4, a_state(), transitions=(transition,))) == []


def test_a_rollback_that_failed_is_escalated_once() -> None:
    """The decision that saw it end tells it, for each step; later ones do not repeat it."""
    sides = (a_side(1, "failed", ended_at=NOW, error="no such node"), a_side(2, "failed"), a_side(3))
    state = a_state(phase="rolling_back", rollbacks=sides, rollback_failed=True)

    assert written(a_decision(4, state)) == [
        ("Warning", "RollbackFailed", "Step 1 could not be undone, a person must look: no such node")
    ]
    assert written(a_decision(5, state)) == []


def test_a_refusal_about_a_step_has_the_reason_of_its_kind() -> None:
    """Reasons are few words; which step it was is in the message."""
    refusal = Refusal(operation="skip-3", message="skip of step 3 is refused: it has ended")

    assert written(a_decision(4, a_state(), refusals=(refusal,))) == [
        ("Warning", "SkipRefused", "skip of step 3 is refused: it has ended")
    ]
