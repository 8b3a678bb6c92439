"""What a run waits for, as one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from executor_bridge.definition import Definition, StepWords
from schemas.run_state import Adjustment, MonitorState, RunState, StepState
from tests.executor_bridge.builders import START, a_state, a_step
from tests.executor_bridge.view import MINUTE, NOW, a_check, a_side, an_approval, sentence, some_words, validating

ASKED = some_words(approval_required=True)


def running(number: int, **fields: Any) -> StepState:
    """A step whose execution was seen."""
    return a_step(number, "executing", execution_uid=f"u-{number}", **fields)


@pytest.mark.parametrize(
    ("state", "words", "expected"),
    [
        pytest.param(
            RunState(phase="queued"),
            some_words(priority="high"),
            "A free place: as many workflows run already as maxActiveWorkflows allows; next is the highest priority"
            " (this one is high), then the oldest.",
            id="a place, when as many run as may",
        ),
        pytest.param(
            RunState(phase="queued", paused_at=START),
            some_words(),
            "A free place: as many workflows run already as maxActiveWorkflows allows; next is the highest priority"
            " (this one is normal), then the oldest.",
            id="a place, paused or not",
        ),
        pytest.param(RunState(phase="planning"), ASKED, "", id="nothing while it is planned"),
        pytest.param(
            validating(checks=(a_check("health", passed=None), a_check("rbac", passed=None), a_check("capacity"))),
            some_words(),
            "The result of the health and rbac checks.",
            id="checks without a result",
        ),
        pytest.param(
            validating(dry_runs=(a_side(1), a_side(2, "executing", execution_uid="u-2"), a_side(3, "pending"))),
            some_words(),
            "The end of the dry run of step 2 (name-2).",
            id="a dry run in flight",
        ),
        pytest.param(
            validating(dry_runs=(a_side(1), a_side(2, "executing"), a_side(3, "pending"))),
            some_words(),
            "The KubernetesExecution of the dry run of step 2 (name-2) to be created.",
            id="a dry run that was commanded and not seen yet",
        ),
        pytest.param(
            validating(checks=(a_check("health", passed=None, required=False), a_check("rbac", passed=None))),
            some_words(),
            "The result of the rbac check.",
            id="nobody waits for a check that is not required",
        ),
        pytest.param(
            validating(paused_at=START, checks=(a_check("rbac", passed=None),), timers={"phase": START + MINUTE}),
            ASKED,
            "The result of the rbac check; somebody to resume it: kubernaut resume restart-web -n shop; approval by"
            " somebody with the right to approve until 00:01:00Z: kubernaut approve restart-web -n shop",
            id="a pause before it executes is not all that it waits for",
        ),
        pytest.param(
            validating(
                dry_runs=(a_side(1, "waiting_retry", retries=1, error="no answer"),), timers={"dry:1": NOW + 1000}
            ),
            some_words(),
            "Retry 1 of 3 of the dry run of step 1 (name-1) at 00:00:05Z, after: no answer.",
            id="the retry of a dry run",
        ),
        pytest.param(
            validating(timers={"phase": START + 5 * MINUTE}),
            ASKED,
            "Approval by somebody with the right to approve until 00:05:00Z: kubernaut approve restart-web -n shop",
            id="an approval, with the command at the end",
        ),
        pytest.param(
            validating(early_approval="mark"),
            ASKED,
            "Approval by somebody with the right to approve (the one that was written before the plan was made does not"
            " count): kubernaut approve restart-web -n shop",
            id="an approval, although one was written too early",
        ),
        pytest.param(
            validating(checks=(a_check("network", passed=None),)),
            ASKED,
            "The result of the network check; approval by somebody with the right to approve:"
            " kubernaut approve restart-web -n shop",
            id="a check and an approval",
        ),
        pytest.param(validating(approval=an_approval()), ASKED, "", id="nothing once it is approved"),
        pytest.param(
            validating(
                checks=(a_check("rbac", passed=None),),
                dry_runs=(a_side(1, "executing", ending="timed_out"), a_side(2, "executing", ending="cancelled")),
                closing="failed",
                failing="a check failed",
            ),
            ASKED,
            "The end of the dry run of step 1 (name-1), which took too long; the end of the dry run of step 2 (name-2),"
            " which was cancelled. Then the run fails: a check failed",
            id="a run that is failing waits for nothing but the end of what it began",
        ),
    ],
)
def test_before_it_executes(state: RunState, words: Definition, expected: str) -> None:
    """In the queue, and while it is validated, a run waits for a place, for results and for people."""
    assert sentence(state, words) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(
            a_state(running(1), timers={"step:1": NOW + MINUTE}),
            "The end of step 1 (name-1), at the latest at 00:01:04Z.",
            id="the only step in flight, until its timeout",
        ),
        pytest.param(
            a_state(running(1), a_step(2, "executing"), timers={"step:1": NOW + MINUTE}),
            "The end of step 1 (name-1), at the latest at 00:01:04Z; the KubernetesExecution of step 2 (name-2) to be"
            " created.",
            id="one that was not seen yet, beside one that was",
        ),
        pytest.param(
            a_state(a_step(1, "waiting_retry", retries=2, error="no such pod"), timers={"step:1": NOW + 2000}),
            "Retry 2 of 3 of step 1 (name-1) at 00:00:06Z, after: no such pod.",
            id="a retry, with its time and the error before it",
        ),
        pytest.param(
            a_state(a_step(1, "waiting_retry", retries=1, reason="timed_out"), timers={"step:1": NOW + 86_400_000}),
            "Retry 1 of 3 of step 1 (name-1) at 2026-01-02T00:00:04Z, after: timed_out.",
            id="a time of another day has its date",
        ),
        pytest.param(
            a_state(
                a_step(1, "waiting_retry", retries=4, error="x"),
                adjustments=(Adjustment(START, 2, "", "", retries=9), Adjustment(START, 1, "", "", retries=5)),
            ),
            "Retry 4 of 5 of step 1 (name-1), after: x.",
            id="a retry of a budget that was adjusted",
        ),
        pytest.param(
            a_state(running(1), running(2), a_step(3), ready=(3,), limit=2),
            "The end of step 1 (name-1) and step 2 (name-2); a free place for step 3 (name-3): at most 2 may be in"
            " flight.",
            id="the limit holds back what is ready",
        ),
        pytest.param(
            a_state(running(1), a_step(2, "waiting_retry", retries=1, error="x"), ready=(2,), limit=1),
            "The end of step 1 (name-1); a free place for step 2 (name-2): at most 1 may be in flight.",
            id="a retry whose time has come waits for a place like any other",
        ),
        pytest.param(
            a_state(running(1), running(2, ending="timed_out"), closing="rolled_back", failing="step 3 failed"),
            "The end of step 1 (name-1); the end of step 2 (name-2), which took too long. Then the run is rolled back:"
            " step 3 failed",
            id="executions that were ended are in flight until that is seen",
        ),
        pytest.param(
            a_state(running(1, ending="cancelled"), closing="cancelled", failing="cancelled by bob"),
            "The end of step 1 (name-1), which was cancelled. Then the run is cancelled: cancelled by bob",
            id="a cancelled run waits for the end of what is in flight",
        ),
        pytest.param(
            a_state(running(1), a_step(2), paused_at=START),
            "Somebody to resume it (meanwhile step 1 (name-1) goes on to the end):"
            " kubernaut resume restart-web -n shop",
            id="a paused run waits for a person",
        ),
        pytest.param(
            a_state(running(1, ending="cancelled"), paused_at=START, closing="cancelled"),
            "The end of step 1 (name-1), which was cancelled.",
            id="a paused run that was cancelled waits for nobody",
        ),
    ],
)
def test_while_it_executes(state: RunState, expected: str) -> None:
    """A run that executes waits for executions, retries, places and people."""
    assert sentence(state) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(
            a_state(phase="monitoring", monitor=MonitorState(looks=1), timers={"phase": START + 10 * MINUTE}),
            "The first look at what the steps have changed, which must stay healthy for 30s; at 00:10:00Z it is given"
            " up.",
            id="nothing was seen yet",
        ),
        pytest.param(
            a_state(phase="monitoring", monitor=MonitorState(looks=3, healthy_since=START + 1000, healthy=2, judged=2)),
            "The targets to stay healthy until 00:00:31Z; now 2 of 2 are.",
            id="all are healthy",
        ),
        pytest.param(
            a_state(
                phase="monitoring",
                monitor=MonitorState(looks=3, healthy=1, judged=2, message="Deployment/shop/web has 1 of 3 replicas"),
                timers={"phase": START + 10 * MINUTE},
            ),
            "The targets to become healthy and stay so for 30s; at 00:10:00Z it is given up; now:"
            " Deployment/shop/web has 1 of 3 replicas.",
            id="one is not",
        ),
        pytest.param(
            a_state(
                phase="rolling_back", rollbacks=(a_side(1, "pending"), a_side(2, "executing", execution_uid="u-2"))
            ),
            "The end of the rollback of step 2 (name-2).",
            id="a rollback is in flight",
        ),
        pytest.param(
            a_state(
                phase="rolling_back",
                rollbacks=(a_side(2, "waiting_retry", retries=1, error="refused"),),
                timers={"undo:2": NOW + 1000},
            ),
            "Retry 1 of 3 of the rollback of step 2 (name-2) at 00:00:05Z, after: refused.",
            id="a rollback is tried again",
        ),
        pytest.param(
            a_state(phase="monitoring", monitor=MonitorState(healthy_since=START + 1000)),
            "No alert to fire until 00:00:31Z; nothing was changed whose health can be looked at.",
            id="there is nothing to look at",
        ),
        pytest.param(
            a_state(phase="rolling_back", rollbacks=(a_side(1, "pending"),), closing="rolled_back", paused_at=START),
            "Somebody to resume it: kubernaut resume restart-web -n shop",
            id="a rollback that is paused",
        ),
        pytest.param(
            a_state(
                phase="rolling_back",
                rollbacks=(a_side(1, "pending"), a_side(2, "executing", ending="cancelled")),
                closing="cancelled",
                failing="cancelled by bob",
                paused_at=START,
            ),
            "The end of the rollback of step 2 (name-2), which was cancelled. Then the run is cancelled: cancelled by"
            " bob",
            id="a rollback that is ended, paused or not",
        ),
        pytest.param(
            a_state(running(1, ending="cancelled"), phase="cancelled"),
            "The end of step 1 (name-1), which was cancelled.",
            id="a run that has ended may have executions in flight",
        ),
        pytest.param(
            a_state(phase="completed", timers={"ttl": START + 86_400_000}),
            "Its deletion at 2026-01-02T00:00:00Z, once the audit holds all of it.",
            id="its own deletion",
        ),
        pytest.param(
            a_state(phase="completed", timers={"ttl": NOW + MINUTE}, audit_looks=1),
            "The audit to hold all of the run, before its object is deleted; it is asked again at 00:01:04Z.",
            id="the audit, before its own deletion",
        ),
    ],
)
def test_after_it_has_executed(state: RunState, expected: str) -> None:
    """Afterwards it waits for health, for rollbacks, for what is still in flight and for its deletion."""
    assert sentence(state) == expected


def test_what_is_quoted_is_short() -> None:
    """An error of any length leaves the sentence readable."""
    state = a_state(a_step(1, "waiting_retry", retries=1, error="x" * 5000))

    assert len(sentence(state)) < 400


def test_steps_without_words_are_numbers() -> None:
    """A step that the definition does not know, or does not name, is still told."""
    state = a_state(running(1), running(7))

    assert sentence(state, some_words(StepWords(1, action="restart_pod"))) == (
        "The end of step 1 (restart_pod) and step 7."
    )
