"""What a plan holds: all that the phases need, in their units; of a workflow that is refused, the reasons only."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.plan import Plan, make
from schemas.run_state import LearnedAction, PlanState
from schemas.workflow import ExecutionStrategy
from tests.scheduler.builders import a_step, a_workflow, definition_of, plan_of
from tests.scheduler.specs import ADVICE, STEPS

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LEARNED = {
    "scale_deployment": LearnedAction(runs=40, success_rate=0.5, p50=4.0, p95=20.0),
    "notify_only": LearnedAction(runs=40, success_rate=1.0, p50=1.0, p95=2.0),
}


def a_learner(*steps: dict[str, Any]) -> dict[str, Any]:
    """A workflow that asks for what earlier runs showed."""
    asked = {"learningFromHistory": True, "dynamicStepAdjustment": True}
    return a_workflow(*steps, adaptiveOrchestration={"optimizationEnabled": True, **asked})


def test_a_plan_holds_what_the_phases_need() -> None:
    """Times in ms, steps in rising order of their numbers, however they are written."""
    workflow = a_workflow(
        a_step(7, after=(2,), timeout="90s", maxRetries=0),
        a_step(2),
        executionStrategy={
            "parallelismLimit": 3,
            "maxRetries": 4,
            "workflowTimeout": "2h",
            "ttlAfterFinished": "36h",
            "monitoring": {"window": "30s", "timeout": "3m"},
        },
        definition={"variables": {"env": "prod"}},
    )
    definition = definition_of(workflow)
    plan = make(definition)

    assert definition.spec is not None
    second, seventh = reversed(definition.spec.workflow_definition.steps)
    expected = Plan(
        definition=definition,
        errors=(),
        limit=3,
        longest_first=False,
        steps=(second, seventh),
        place={2: 0, 7: 1},
        before={2: frozenset(), 7: frozenset({2})},
        after={2: (7,), 7: ()},
        remaining={2: 60.0, 7: 30.0},
        strategy=definition.spec.execution_strategy,
        variables={"env": "prod"},
        timeouts={2: 5 * MINUTE, 7: 90_000},
        budgets={2: 4, 7: 0},
        workflow_ms=2 * HOUR,
        window_ms=30_000,
        monitor_ms=3 * MINUTE,
        ttl_ms=36 * HOUR,
        learned={},
        adjustments=(),
        state=PlanState(
            strategy="sequential",
            waves=((2,), (7,)),
            critical_path=(2, 7),
            estimated_seconds=60.0,
            digest=plan.state.digest if plan.state else "",
        ),
    )
    assert expected == plan


@pytest.mark.parametrize(
    "workflow",
    [
        pytest.param(a_workflow(a_step(1, after=(9,))), id="a rule is broken"),
        pytest.param(a_workflow() | {"spec": {}}, id="it cannot be read"),
    ],
)
def test_of_a_workflow_that_is_refused_the_plan_holds_the_reasons_only(workflow: dict[str, Any]) -> None:
    """And how long its object is kept: a day when nobody says."""
    plan = plan_of(workflow)

    expected = Plan(
        definition=definition_of(workflow),
        errors=plan.errors,
        limit=0,
        longest_first=False,
        steps=(),
        place={},
        before={},
        after={},
        remaining={},
        strategy=ExecutionStrategy(),
        variables={},
        timeouts={},
        budgets={},
        workflow_ms=0,
        window_ms=0,
        monitor_ms=0,
        ttl_ms=DAY,
        learned={},
        adjustments=(),
        state=None,
    )
    assert plan.errors
    assert expected == plan


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        pytest.param("36h", 36 * HOUR, id="as it asks"),
        pytest.param("8760h", 8760 * HOUR, id="a year"),
        pytest.param("9000h", 8760 * HOUR, id="longer than a year"),
        pytest.param("36h\n", DAY, id="a line break more than a duration has"),
    ],
)
def test_the_object_of_a_refused_run_is_kept_as_it_asks(written: str, kept: int) -> None:
    """No longer than what fits the times of a state."""
    workflow = a_workflow(a_step(1, after=(9,)), executionStrategy={"ttlAfterFinished": written})

    assert kept == plan_of(workflow).ttl_ms


@pytest.mark.parametrize(
    ("steps", "places"),
    [
        pytest.param([], [f"{ADVICE}.recommendations[0].action"], id="of the recommendations alone"),
        pytest.param(
            [a_step(1, after=(9,))],
            [f"{ADVICE}.recommendations[0].action", f"{STEPS}[0].dependsOn[0]"],
            id="and of the steps beside them",
        ),
    ],
)
def test_what_is_wrong_with_recommendations_is_told_before_they_are_followed(
    steps: list[dict[str, Any]], places: list[str]
) -> None:
    """That the steps which they would bring are missing is no error. The object is kept as it asks."""
    advice = {"recommendations": [{"id": "a", "action": "undo_all", "parameters": {}}]}
    asked = {"ttlAfterFinished": "36h"}

    plan = plan_of(a_workflow(definition={"aiRecommendations": advice, "steps": steps}, executionStrategy=asked))

    assert (places, 36 * HOUR) == ([error.partition(": ")[0] for error in plan.errors], plan.ttl_ms)


def test_a_plan_goes_by_what_earlier_runs_showed_where_that_is_asked_for() -> None:
    """Of the actions that it has; durations, and what is moved."""
    plan = make(definition_of(a_learner(a_step(1), a_step(2))), LEARNED)

    assert plan.state is not None
    assert (True, {"scale_deployment": LEARNED["scale_deployment"]}) == (plan.longest_first, plan.learned)
    assert ({1: 4.0, 2: 4.0}, 4.0) == (plan.remaining, plan.state.estimated_seconds)


@pytest.mark.parametrize(
    ("enabled", "seconds"),
    [pytest.param(False, 120.0, id="in the order of the numbers"), pytest.param(True, 90.0, id="the longest first")],
)
def test_the_estimate_is_of_the_order_in_which_steps_will_start(enabled: bool, seconds: float) -> None:  # noqa: FBT001
    """Two at once, of 30 s each, and three of them one after the other."""
    steps = (a_step(1), a_step(2), a_step(3), a_step(4, after=(3,)), a_step(5, after=(4,)))
    strategy, adaptive = {"parallelismLimit": 2}, {"optimizationEnabled": enabled}
    plan = plan_of(a_workflow(*steps, executionStrategy=strategy, adaptiveOrchestration=adaptive))

    assert plan.state is not None
    assert (enabled, seconds) == (plan.longest_first, plan.state.estimated_seconds)


def test_a_plan_has_the_same_digest_in_every_version_of_the_scheduler() -> None:
    """An approval is bound to it. It differs with the spec and with what earlier runs showed."""
    message = a_step(2, action="notify_only", parameters={"message": "done"})
    workflow = a_learner(a_step(1), message)
    digests = [plan.state and plan.state.digest for plan in (plan_of(workflow), plan_of(workflow, LEARNED))]

    assert ["077cf0b2f505ce1368f4aeedecfd5005", "52f096a42da3b3d23dc434d3269c5fb8"] == digests
