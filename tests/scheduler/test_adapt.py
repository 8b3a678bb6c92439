"""What earlier runs and an analysis change in a plan: only what was asked for, and every change is said."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.plan import Plan
from schemas.run_state import Adjustment, LearnedAction
from tests.scheduler.builders import Run, a_step, a_workflow, plan_of

LEARNING = {"adaptiveOrchestration": {"learningFromHistory": True}}
DYNAMIC = {"adaptiveOrchestration": {"dynamicStepAdjustment": True}}
OPTIMIZED = {"adaptiveOrchestration": {"optimizationEnabled": True}}
POD = {"action": "restart_pod", "parameters": {"pod": "a", "namespace": "b"}}


def figures(*, runs: int = 20, rate: float = 1.0, p50: float = 7.0, p95: float = 9.0) -> LearnedAction:
    """What earlier runs showed of an action."""
    return LearnedAction(runs, rate, p50, p95)


def planned(*steps: dict[str, Any], learned: LearnedAction | None = None, action: str = "", **spec: Any) -> Plan:
    """A plan with these figures of an action; of scaling when none is named."""
    known = {action or "scale_deployment": learned} if learned else {}
    return plan_of(a_workflow(*(steps or (a_step(1),)), **spec), known)


def seconds(plan: Plan) -> float:
    """The estimate."""
    assert plan.state is not None
    return plan.state.estimated_seconds


@pytest.mark.parametrize(
    ("spec", "learned", "expected"),
    [
        pytest.param(LEARNING, figures(runs=5), 7.0, id="the median of enough runs"),
        pytest.param(LEARNING, figures(runs=4), 30.0, id="too few runs: what is typical"),
        pytest.param(LEARNING, None, 30.0, id="nothing is known"),
        pytest.param(DYNAMIC, figures(), 30.0, id="not asked for an estimate"),
        pytest.param({}, figures(), 30.0, id="nothing asked for"),
    ],
)
def test_an_estimate_is_made_of_what_was_learned_where_that_is_asked_for(
    spec: dict[str, Any], learned: LearnedAction | None, expected: float
) -> None:
    """Scaling takes 30 s typically."""
    assert expected == seconds(planned(learned=learned, **spec))


@pytest.mark.parametrize(
    ("spec", "used"),
    [
        pytest.param(LEARNING, True, id="for estimates"),
        pytest.param(DYNAMIC, True, id="for timeouts and budgets"),
        pytest.param(OPTIMIZED, False, id="for the order only"),
        pytest.param({}, False, id="for nothing"),
    ],
)
def test_figures_that_a_plan_was_made_with_stand_in_its_state(spec: dict[str, Any], used: bool) -> None:  # noqa: FBT001
    """Those of its own actions, so that it can be made again; they are part of what an approval is about."""
    learned = {"scale_deployment": figures(), "restart_pod": figures()}
    plan, without = plan_of(a_workflow(**spec), learned), plan_of(a_workflow(**spec))

    assert ({"scale_deployment": figures()} if used else {}) == plan.learned
    assert plan.state is not None
    assert without.state is not None
    assert used == (plan.state.digest != without.state.digest)


def test_what_was_learned_decides_which_path_is_the_longest() -> None:
    """So that it goes first."""
    spec = {"adaptiveOrchestration": {"learningFromHistory": True, "optimizationEnabled": True}}
    plan = planned(a_step(1), a_step(2, **POD), learned=figures(p50=90.0), action="restart_pod", **spec)

    assert {1: 30.0, 2: 90.0} == plan.remaining


@pytest.mark.parametrize(
    ("p95", "runs", "step", "expected"),
    [
        pytest.param(200.0, 20, {}, 400_000, id="twice the slow ones"),
        pytest.param(150.0, 20, {}, 300_000, id="no more than it has already"),
        pytest.param(150.5, 20, {}, 301_000, id="a little more"),
        pytest.param(9000.0, 20, {}, 1_200_000, id="at most four times the default"),
        pytest.param(200.0, 19, {}, 300_000, id="too few runs"),
        pytest.param(200.0, 20, {"timeout": "1m"}, 60_000, id="somebody wrote one"),
        pytest.param(1.0, 20, {}, 300_000, id="never less"),
    ],
)
def test_a_timeout_is_raised_for_what_is_usually_slow(
    p95: float, runs: int, step: dict[str, Any], expected: int
) -> None:
    """Only where the user left it open."""
    plan = planned(a_step(1, **step), learned=figures(p95=p95, runs=runs), **DYNAMIC)

    moved = expected not in {300_000, 60_000}
    assert ({1: expected}, moved) == (plan.timeouts, bool(plan.adjustments))


@pytest.mark.parametrize(
    ("rate", "runs", "step", "strategy", "expected"),
    [
        pytest.param(0.89, 20, {}, {}, 1, id="one retry more"),
        pytest.param(0.9, 20, {}, {}, 0, id="good enough"),
        pytest.param(0.1, 19, {}, {}, 0, id="too few runs"),
        pytest.param(0.1, 20, {"maxRetries": 0}, {}, 0, id="somebody wrote how many"),
        pytest.param(0.1, 20, {}, {"maxRetries": 2}, 3, id="one more than the strategy has"),
        pytest.param(0.1, 20, {}, {"maxRetries": 3}, 3, id="but not more than three"),
        pytest.param(0.1, 20, POD, {}, 0, id="never of an action that may not be repeated"),
    ],
)
def test_a_shaky_action_gets_one_retry_more(
    rate: float, runs: int, step: dict[str, Any], strategy: dict[str, Any], expected: int
) -> None:
    """Where it may be repeated and the user left it open."""
    learned = {name: figures(rate=rate, runs=runs) for name in ("scale_deployment", "restart_pod")}

    plan = plan_of(a_workflow(a_step(1, **step), executionStrategy=strategy, **DYNAMIC), learned)

    before = strategy.get("maxRetries", 0)
    assert ({1: expected}, expected != before) == (plan.budgets, bool(plan.adjustments))


def test_what_was_moved_is_said_with_the_figures() -> None:
    """Both, in order of steps."""
    plan = planned(a_step(2), a_step(1), learned=figures(p95=200.0, rate=0.5, runs=40), **DYNAMIC)

    assert [
        Adjustment(
            at=0,
            step=number,
            adjustment=f"timeout of step {number} from 5m to 6m40s",
            reason="95 % of the last 40 scale_deployment took up to 3m20s",
            timeout=400.0,
        )
        if kind == "timeout"
        else Adjustment(
            at=0,
            step=number,
            adjustment=f"retries of step {number} from 0 to 1",
            reason="50% of the last 40 scale_deployment succeeded",
            retries=1,
        )
        for number in (1, 2)
        for kind in ("timeout", "retries")
    ] == list(plan.adjustments)
    assert ({1: 400_000, 2: 400_000}, {1: 1, 2: 1}) == (plan.timeouts, plan.budgets)


def test_nothing_is_moved_that_was_not_asked_for() -> None:
    """Learning alone only estimates."""
    slow = figures(p95=200.0, rate=0.1)

    assert [(), (), ()] == [planned(learned=slow, **spec).adjustments for spec in (LEARNING, OPTIMIZED, {})]


def advised(*entries: dict[str, Any], learned: LearnedAction | None = None, **spec: Any) -> Plan:
    """A plan with optimizations of an analysis."""
    return planned(
        a_step(1),
        a_step(2),
        learned=learned,
        definition={"aiRecommendations": {"stepOptimizations": list(entries)}},
        **spec,
    )


@pytest.mark.parametrize(
    ("entry", "adjustment", "reason", "timeout", "retries"),
    [
        pytest.param(
            {"timeout": "90s", "reason": "it is quick"},
            "timeout of step 2 to 1m30s",
            "it is quick",
            90_000,
            0,
            id="a timeout, also a shorter one",
        ),
        pytest.param(
            {"maxRetries": 2}, "retries of step 2 to 2", "recommended by the analysis", 300_000, 2, id="retries"
        ),
        pytest.param(
            {"timeout": "10m", "maxRetries": 0},
            "timeout of step 2 to 10m and retries of step 2 to 0",
            "recommended by the analysis",
            600_000,
            0,
            id="both",
        ),
    ],
)
def test_an_analysis_moves_what_it_names(
    entry: dict[str, Any], adjustment: str, reason: str, timeout: int, retries: int
) -> None:
    """Where optimizations are asked for; its reason is quoted."""
    plan = advised({"stepNumber": 2} | entry, **OPTIMIZED)

    moved = Adjustment(
        at=0,
        step=2,
        adjustment=adjustment,
        reason=reason,
        timeout=timeout / 1000 if "timeout" in entry else 0.0,
        retries=entry.get("maxRetries", -1),
    )
    assert (moved,) == plan.adjustments
    assert ({1: 300_000, 2: timeout}, {1: 0, 2: retries}) == (plan.timeouts, plan.budgets)


def test_an_analysis_moves_nothing_that_was_not_asked_for() -> None:
    """It is only shown."""
    assert () == advised({"stepNumber": 2, "timeout": "90s"}).adjustments


def test_where_both_would_move_the_same_the_analysis_has_the_word() -> None:
    """It knows this case; both are said."""
    spec = {"adaptiveOrchestration": {"optimizationEnabled": True, "dynamicStepAdjustment": True}}
    slow = figures(p95=200.0, rate=0.5)

    plan = advised({"stepNumber": 1, "timeout": "7m", "maxRetries": 0}, learned=slow, **spec)

    assert ({1: 420_000, 2: 400_000}, {1: 0, 2: 1}) == (plan.timeouts, plan.budgets)
    assert [1, 1, 1, 2, 2] == [each.step for each in plan.adjustments]


def test_an_adjustment_is_dated_by_the_decision_that_made_it() -> None:
    """And is what the run goes by."""
    run = Run(a_workflow(**DYNAMIC), learned={"scale_deployment": figures(p95=200.0)})

    assert [run.last.now] == [each.at for each in run.state.adjustments]
    assert "6m40s" == run.create_of(1).timeout
