"""How a run ended in figures, what its steps show of retries and rollbacks, and what a person should do next."""

from __future__ import annotations

from typing import Any

import pytest

from executor_bridge.definition import Definition, StepWords
from executor_bridge.results import score
from schemas.run_state import Adjustment, ControlState, MonitorState, RunState
from tests.executor_bridge.builders import PLAN, START, a_state, a_step
from tests.executor_bridge.view import NOW, a_check, a_side, an_approval, shown, some_words, validating

UNDO_BOTH = "Undo step 1 (name-1) and step 2 (name-2) if that is better: kubernaut rollback restart-web -n shop"
AGAIN = "Remove the cause, then run again what was not done: kubernaut rerun restart-web -n shop"


@pytest.mark.parametrize(
    ("rate", "healthy", "judged", "alerts", "expected"),
    [
        pytest.param(1.0, 3, 3, 0, 1.0, id="all is well"),
        pytest.param(1.0, 0, 0, 0, 1.0, id="nothing to judge counts as healthy"),
        pytest.param(1.0, 3, 3, 1, 0.8, id="an alert costs a fifth"),
        pytest.param(1.0, 3, 3, 7, 0.8, id="many alerts cost no more"),
        pytest.param(0.0, 3, 3, 0, 0.5, id="no step that succeeded costs a half"),
        pytest.param(1.0, 0, 3, 0, 0.7, id="nothing healthy costs three tenths"),
        pytest.param(2 / 3, 1, 3, 0, 0.6333, id="it is rounded to four places"),
        pytest.param(0.0, 0, 1, 1, 0.0, id="nothing is well"),
    ],
)
def test_the_effectiveness_score(rate: float, healthy: int, judged: int, alerts: int, expected: float) -> None:
    """0.5 x success rate of the steps + 0.3 x share of healthy targets + 0.2 x no new alert."""
    assert score(rate, healthy=healthy, judged=judged, alerts=alerts) == expected


def an_end(*steps: Any, phase: str = "completed", outcome: str = "success", **fields: Any) -> RunState:
    """A run that ended after three seconds."""
    return a_state(*steps, phase=phase, outcome=outcome, ended_at=START + 3000, **fields)


DONE = (a_step(1, "completed"), a_step(2, "completed"))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(an_end(*DONE), {"outcome": "success"}, id="a run that was not monitored has no score"),
        pytest.param(
            an_end(phase="cancelled", outcome="cancelled", monitor=MonitorState(looks=1)),
            {"outcome": "cancelled"},
            id="nor one that ended before anything was seen",
        ),
        pytest.param(
            an_end(*DONE, monitor=MonitorState(looks=4, healthy_since=START, healthy=2, judged=2)),
            {"outcome": "success", "effectivenessScore": 1.0, "resourceHealth": "healthy", "newAlertsTriggered": False},
            id="all targets are healthy",
        ),
        pytest.param(
            an_end(*DONE, monitor=MonitorState(looks=1)),
            {"outcome": "success", "effectivenessScore": 1.0, "resourceHealth": "unknown", "newAlertsTriggered": False},
            id="there was no target, and the window passed",
        ),
        pytest.param(
            an_end(*DONE, outcome="unknown", monitor=MonitorState(looks=9, healthy=1, judged=2, message="web is down")),
            {
                "outcome": "unknown",
                "effectivenessScore": 0.85,
                "resourceHealth": "unhealthy",
                "newAlertsTriggered": False,
                "recommendedActions": ["Check the targets by hand: web is down"],
            },
            id="a target did not become healthy in time",
        ),
        pytest.param(
            an_end(
                *DONE, phase="failed", outcome="failed", monitor=MonitorState(healthy=2, judged=2, alerts=("A", "B"))
            ),
            {
                "outcome": "failed",
                "effectivenessScore": 0.8,
                "resourceHealth": "healthy",
                "newAlertsTriggered": True,
                "recommendedActions": [
                    "See to what fired while the targets were watched: A and B",
                    UNDO_BOTH,
                    AGAIN,
                ],
            },
            id="alerts fired",
        ),
    ],
)
def test_the_result_of_a_run(state: RunState, expected: dict[str, Any]) -> None:
    """A run that was monitored has a score, the health of its targets, and whether an alert fired."""
    assert shown(state)["workflowResult"] == expected


def test_metrics_count_steps_that_ran_rollbacks_and_distinct_resources() -> None:
    """A step that a person skipped does not count; one resource of two steps is one; what has no name is counted."""
    state = an_end(
        a_step(1, "rolled_back", affected=2, touched=("Deployment/shop/web", "Node//n1")),
        a_step(2, "failed", affected=1, touched=("Deployment/shop/web",)),
        a_step(3, "skipped", attempt=1),
        a_step(4, "completed", affected=3),
        phase="failed",
        rollbacks=(a_side(1), a_side(2, "skipped", reason="not_done"), a_side(4, "failed")),
    )

    assert shown(state)["executionMetrics"] == {
        "totalDuration": "3s",
        "stepSuccessRate": 0.6667,
        "rollbacksPerformed": 1,
        "resourcesAffected": 5,
    }


def test_the_plan_shows_the_digest_that_an_approval_names() -> None:
    """Who approves names what they saw."""
    state = validating(plan=PLAN.__class__(**{f: getattr(PLAN, f) for f in PLAN.__struct_fields__} | {"digest": "p1"}))

    assert shown(state)["executionPlan"]["digest"] == "p1"


def test_adjustments_are_shown() -> None:
    """What the scheduler moved by itself is told with its time and its reason."""
    state = a_state(adjustments=(Adjustment(START + 10, 1, "timeout of step 1 is 90s", "p95 is 60s", timeout=90),))

    assert shown(state)["adaptiveAdjustments"] == [
        {"timestamp": "2026-01-01T00:00:00.010Z", "adjustment": "timeout of step 1 is 90s", "reason": "p95 is 60s"}
    ]


def test_a_rollback_has_its_reason_and_its_lowest_step_is_current() -> None:
    """While it rolls back, the status says why and shows the step in flight."""
    status = shown(a_state(*DONE, phase="rolling_back", rollback_reason="no", rollbacks=(a_side(2, "executing"),)))

    assert (status["rollbackReason"], status["currentStep"], status["progress"]) == ("no", 2, "2/2")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(
            a_state(a_step(1, "waiting_retry", retries=1, reason="oom", error="x"), timers={"step:1": NOW + 1000}),
            {
                "status": "waiting_retry",
                "reason": "oom",
                "errorMessage": "retry 1 of 3 of step 1 (name-1) at 00:00:05Z, after: x",
                "retriesAttempted": 1,
            },
            id="a retry says when it comes and why",
        ),
        pytest.param(
            a_state(a_step(1, "completed"), rollbacks=(a_side(1, "executing"),)),
            {"status": "completed", "reason": "rolling_back"},
            id="a step that is being undone",
        ),
        pytest.param(
            a_state(
                a_step(1, "completed"),
                rollbacks=(a_side(1, "waiting_retry", retries=1, error="x"),),
                timers={"undo:1": NOW + 1000},
            ),
            {
                "status": "completed",
                "reason": "rolling_back",
                "errorMessage": "retry 1 of 3 of the rollback of step 1 (name-1) at 00:00:05Z, after: x",
            },
            id="a rollback that is tried again",
        ),
        pytest.param(
            a_state(a_step(1, "completed"), rollbacks=(a_side(1, "failed", error="no such node"),)),
            {"status": "completed", "reason": "rollback_failed", "errorMessage": "no such node"},
            id="a step that could not be undone",
        ),
        pytest.param(
            a_state(a_step(1, "completed"), rollbacks=(a_side(1, "skipped", reason="no_rollback_spec"),)),
            {"status": "completed", "reason": "no_rollback_spec"},
            id="a step that nothing says how to undo",
        ),
        pytest.param(
            a_state(a_step(1, "completed"), rollbacks=(a_side(1, "pending"),)),
            {"status": "completed"},
            id="a step whose rollback waits for others",
        ),
        pytest.param(
            a_state(a_step(1, "rolled_back"), rollbacks=(a_side(1),)), {"status": "rolled_back"}, id="a step undone"
        ),
        pytest.param(
            a_state(a_step(1, "failed", error="boom"), rollbacks=(a_side(1, "skipped", reason="not_done"),)),
            {"status": "failed", "errorMessage": "boom"},
            id="a step that had not been done",
        ),
    ],
)
def test_a_step_tells_of_its_retries_and_its_rollback(state: RunState, expected: dict[str, Any]) -> None:
    """What a completed step shows of its rollback never changes that it had completed, until it is undone."""
    step = shown(state)["stepStatuses"][0]
    parts = ("status", "reason", "errorMessage", "retriesAttempted")

    assert {name: step[name] for name in parts if name in step} == expected


NO_SPEC = some_words(
    StepWords(1, name="name-1", action="scale_deployment"),
    StepWords(2, name="name-2", action="restart_pod"),
    rollback_strategy="manual",
)
KEXEC = "kubectl -n shop describe kubernetesexecution restart-web-step"


@pytest.mark.parametrize(
    ("state", "words", "expected"),
    [
        pytest.param(an_end(*DONE), some_words(), [], id="nothing after a success"),
        pytest.param(
            an_end(*DONE, a_step(3, "failed"), phase="failed"),
            some_words(),
            [
                f"See why step 3 (name-3) failed: {KEXEC}-3",
                UNDO_BOTH,
                AGAIN,
            ],
            id="a failed run may be rolled back by a command",
        ),
        pytest.param(
            an_end(a_step(1, "completed", pre_image={"replicas": 1}), a_step(2, "completed"), phase="failed"),
            NO_SPEC,
            [
                "Check what was left as it is: step 2 (name-2) completed and was not undone.",
                "Undo step 1 (name-1) if that is better: kubernaut rollback restart-web -n shop",
                AGAIN,
            ],
            id="the inverse of a step is known from what it was before",
        ),
        pytest.param(
            an_end(*DONE, phase="failed"),
            some_words(rollback_strategy="none"),
            ["Check what was left as it is: step 1 (name-1) and step 2 (name-2) completed and were not undone.", AGAIN],
            id="a run without rollback is left as it is",
        ),
        pytest.param(
            an_end(
                *DONE,
                a_step(3, "rolled_back"),
                phase="failed",
                rollbacks=(
                    a_side(1, "failed", error="no such node", attempt=2),
                    a_side(2, "skipped", reason="no_rollback_spec"),
                    a_side(3),
                ),
            ),
            some_words(),
            [
                f"Undo step 1 (name-1) by hand; its rollback failed: no such node; {KEXEC}-1-rollback-retry-1",
                "Check what was left as it is: step 2 (name-2) completed without a rollbackSpec and was not undone.",
                AGAIN,
            ],
            id="what could not be undone comes first",
        ),
        pytest.param(
            an_end(
                *DONE, phase="cancelled", control=ControlState(cancel="rollback"), rollbacks=(a_side(1, "cancelled"),)
            ),
            some_words(),
            ["Undo step 1 (name-1) by hand: the rollback was ended before it was done."],
            id="a rollback that was ended",
        ),
        pytest.param(
            an_end(
                phase="failed",
                phase_times={"validating": START},
                checks=(a_check(passed=False, message="web is gone"),),
            ),
            some_words(),
            ["Mend what the health check found: web is gone", AGAIN],
            id="a check failed",
        ),
        pytest.param(
            an_end(phase="failed", phase_times={"validating": START}, dry_runs=(a_side(1, "failed"),)),
            some_words(),
            [f"See why the dry run of step 1 (name-1) failed: {KEXEC}-1-dryrun", AGAIN],
            id="a dry run failed",
        ),
        pytest.param(
            an_end(phase="failed", phase_times={"validating": START}, approval=an_approval("rejected", reason="risky")),
            some_words(approval_required=True),
            ["Ask alice what must be different: risky", AGAIN],
            id="it was rejected",
        ),
        pytest.param(
            an_end(phase="failed", phase_times={"validating": START}),
            some_words(approval_required=True),
            ["Approve the next one in time, with kubernaut approve.", AGAIN],
            id="nobody approved it",
        ),
    ],
)
def test_what_to_do_next(state: RunState, words: Definition, expected: list[str]) -> None:
    """The advice is what a person can do, the most urgent first, with the command to type."""
    assert shown(state, words)["workflowResult"].get("recommendedActions", []) == expected
