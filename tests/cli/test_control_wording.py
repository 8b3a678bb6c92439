"""What the bridge writes into a status of what people asked, and what the commands read out of it, are one language."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from executor_bridge.status import status_of
from kubernaut.cli.steering import Asked
from kubernaut.cli.verdicts import verdict_of
from schemas.run_state import ApprovalState, ControlState, RunState
from tests.cli.steered import a_run, a_waiting_run
from tests.executor_bridge.builders import START, a_decision, a_state, a_step

PAUSE, RESUME = Asked(verb="pause"), Asked(verb="resume")
CANCEL, ROLLBACK = Asked(verb="cancel", mode="stop"), Asked(verb="rollback")
SKIP, RETRY = Asked(verb="skip", step=1), Asked(verb="retry", step=2)
APPROVE, REJECT = Asked(verb="approve", user="bob"), Asked(verb="reject", user="bob")
WHY = "in phase monitoring it means nothing; no"
FAILING = "critical step 2 failed"


def shown(phase: str, **fields: Any) -> dict[str, Any]:
    """Return the object as the bridge shows a state of generation 2."""
    steps = (a_step(1, "executing"), a_step(2, "failed"), a_step(3))
    state: RunState = a_state(*steps, phase=phase, **({"generation": 2} | fields))
    body = a_run()
    body["metadata"] |= {"generation": 2}
    return body | {"status": msgspec.to_builtins(status_of(a_decision(3, state), None))}


@pytest.mark.parametrize(
    ("asked", "phase", "operation"),
    [
        (PAUSE, "monitoring", "pause"),
        (CANCEL, "rolling_back", "cancel"),
        (SKIP, "executing", "skip-1"),
        (RETRY, "executing", "retry-2"),
        (ROLLBACK, "failed", "rollback"),
    ],
    ids=lambda value: value.verb if isinstance(value, Asked) else "",
)
def test_a_refusal_is_found_among_others(asked: Asked, phase: str, operation: str) -> None:
    """In its own condition or in Reconciling, with the reason."""
    refusals = dict.fromkeys(("cancel", "skip-11", "retry-22"), "another") | {operation: WHY}

    verdict = verdict_of(asked, a_run(), shown(phase, refusals=refusals))

    assert verdict is not None
    assert (verdict.refused, verdict.text.startswith(WHY)) == (True, True)


@pytest.mark.parametrize("asked", [PAUSE, RESUME, CANCEL, SKIP, RETRY, ROLLBACK], ids=lambda asked: asked.verb)
def test_what_was_refused_to_others_is_no_refusal_of_this(asked: Asked) -> None:
    """Only the operation that was asked for counts."""
    others = {"approval", "pause", "cancel", "skip-7", "retry-7", "rollback"} - {asked.verb}
    paused = ControlState(paused=asked.verb == "pause")

    verdict = verdict_of(asked, a_run(), shown("executing", control=paused, refusals=dict.fromkeys(others, WHY)))

    assert verdict is not None
    assert not verdict.refused


@pytest.mark.parametrize("asked", [PAUSE, RESUME], ids=lambda asked: asked.verb)
def test_a_pause_that_holds_is_read_from_its_condition(asked: Asked) -> None:
    """For who paused it is done, for who resumed it is not."""
    verdict = verdict_of(asked, a_run(), shown("executing", control=ControlState(paused=True), paused_at=START))

    assert verdict is not None
    assert verdict.refused == (asked is RESUME)


@pytest.mark.parametrize(
    ("asked", "phase", "fields", "refused"),
    [
        (APPROVE, "executing", {"approval": ("approved", "bob")}, False),
        (APPROVE, "failed", {"approval": ("rejected", "eve"), "failure_reason": "rejected by eve"}, True),
        (REJECT, "failed", {"approval": ("rejected", "bob"), "failure_reason": "rejected by bob"}, False),
        (REJECT, "executing", {"approval": ("approved", "eve")}, True),
    ],
    ids=["approved", "somebody rejected it first", "rejected", "somebody approved it first"],
)
def test_a_decision_is_read_from_the_results(
    asked: Asked, phase: str, fields: dict[str, Any], *, refused: bool
) -> None:
    """Who was first has the last word."""
    word, by = fields["approval"]
    approval = ApprovalState(verdict=word, by=by, at=START, plan="p")

    verdict = verdict_of(asked, a_waiting_run(), shown(phase, **(fields | {"approval": approval})))

    assert verdict is not None
    assert (verdict.refused, (by in verdict.text) or phase == "failed") == (refused, True)


def test_an_approval_of_another_plan_is_refused_with_the_reason() -> None:
    """The run goes on waiting, and the condition says why."""
    body = shown("validating", refusals={"approval": "it names plan a, and this run's plan is b"})

    verdict = verdict_of(APPROVE, a_waiting_run(), body)

    assert verdict is not None
    assert (verdict.refused, "it names plan a" in verdict.text) == (True, True)
