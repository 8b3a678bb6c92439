"""Recommendations become steps, optimizations become settings; what makes no sense is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.recommend import expand, optimizations, problems
from schemas.workflow import ExecutionStrategy, RollbackSpec, Step
from tests.scheduler.specs import ADVICE, a_spec, a_written_step


def a_recommendation(name: str, **fields: Any) -> dict[str, Any]:
    """One that cordons a node."""
    return {"id": name, "action": "cordon_node", "parameters": {"node": name}} | fields


def recommended(*entries: dict[str, Any], steps: tuple[dict[str, Any], ...] = (), **strategy: Any) -> Any:
    """A spec with these recommendations."""
    return a_spec(*steps, advice={"recommendations": list(entries)}, strategy=strategy)


def test_recommendations_become_steps_behind_those_that_are_written() -> None:
    """In their order, with what they say; ids become numbers."""
    undo = {"action": "uncordon_node", "parameters": {"node": "a"}}
    spec = recommended(
        a_recommendation("a", priority="critical", dependsOn=["b", "b"], reasoning="it leaks", rollbackSpec=undo),
        a_recommendation("b", targetCluster="east"),
        steps=(a_written_step(7), a_written_step(3)),
    )

    found = expand(spec)

    made = (
        Step(
            step_number=8,
            name="a",
            description="it leaks",
            action="cordon_node",
            parameters={"node": "a"},
            depends_on=(9,),
            max_retries=3,
            rollback_spec=RollbackSpec(action="uncordon_node", parameters={"node": "a"}),
        ),
        Step(
            step_number=9,
            name="b",
            action="cordon_node",
            parameters={"node": "b"},
            max_retries=1,
            target_cluster="east",
        ),
    )
    assert (*spec.workflow_definition.steps, *made) == found.workflow_definition.steps


def test_recommendations_alone_are_a_workflow() -> None:
    """Their steps are numbered from 1."""
    found = expand(recommended(a_recommendation("a"), a_recommendation("b")))

    assert [1, 2] == [step.step_number for step in found.workflow_definition.steps]


@pytest.mark.parametrize(("priority", "retries"), [("critical", 3), ("high", 2), ("medium", 1), ("low", 0)])
def test_priority_sets_retries(priority: str, retries: int) -> None:
    """Whatever the strategy's default is."""
    found = expand(recommended(a_recommendation("a", priority=priority), maxRetries=5))

    assert retries == found.workflow_definition.steps[0].max_retries


CAREFUL = ExecutionStrategy(dry_run_first=True, approval_required=True, rollback_strategy="automatic")


@pytest.mark.parametrize(
    ("risks", "strategy", "expected"),
    [
        pytest.param(["low"], {}, ExecutionStrategy(), id="low changes nothing"),
        pytest.param(["low", "medium"], {}, ExecutionStrategy(dry_run_first=True), id="medium: a dry run"),
        pytest.param(["medium", "high", "low"], {}, CAREFUL, id="high: approval and rollback too, whatever the others"),
        pytest.param(
            ["high"], {"rollbackStrategy": "none"}, CAREFUL, id="high: rollback even where none was asked for"
        ),
        pytest.param(
            ["low"],
            {"approvalRequired": True, "dryRunFirst": True, "rollbackStrategy": "automatic"},
            CAREFUL,
            id="what was asked for is never weakened",
        ),
        pytest.param(
            ["medium"],
            {"approvalRequired": True, "priority": "high"},
            ExecutionStrategy(dry_run_first=True, approval_required=True, priority="high"),
            id="the rest stays as it is",
        ),
    ],
)
def test_the_highest_risk_decides_how_careful_the_run_is(
    risks: list[str], strategy: dict[str, Any], expected: ExecutionStrategy
) -> None:
    """For the whole of it."""
    entries = [a_recommendation(f"n{place}", risk=risk) for place, risk in enumerate(risks)]

    assert expected == expand(recommended(*entries, **strategy)).execution_strategy


def test_a_workflow_without_recommendations_stays_as_it_is() -> None:
    """The same object."""
    spec = a_spec(a_written_step(), advice={"riskFactors": ["none"]})

    assert expand(spec) is spec


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param(
            [a_recommendation("a", action="reboot_world")],
            [f"{ADVICE}.recommendations[0].action: unknown action 'reboot_world'"],
            id="an unknown action",
        ),
        pytest.param(
            [a_recommendation("a", parameters={})],
            [f"{ADVICE}.recommendations[0].parameters.node: missing"],
            id="a parameter is missing",
        ),
        pytest.param(
            [a_recommendation("a"), a_recommendation("b"), a_recommendation("a")],
            [f"{ADVICE}.recommendations: the id 'a' is used by entries 0, 2; give each its own"],
            id="an id twice",
        ),
        pytest.param(
            [a_recommendation("a", dependsOn=["b", "c"]), a_recommendation("b")],
            [f"{ADVICE}.recommendations[0].dependsOn[1]: there is no recommendation 'c'; the ids are a, b"],
            id="an unknown id",
        ),
        pytest.param(
            [a_recommendation("x"), a_recommendation("a", dependsOn=["b"]), a_recommendation("b", dependsOn=["a"])],
            [f"{ADVICE}.recommendations[1].dependsOn: recommendations depend on each other in a cycle: a -> b -> a"],
            id="a cycle, named",
        ),
        pytest.param(
            [a_recommendation("a", dependsOn=["a"], action="x")],
            [
                f"{ADVICE}.recommendations[0].dependsOn: recommendations depend on each other in a cycle: a -> a",
                f"{ADVICE}.recommendations[0].action: unknown action 'x'",
            ],
            id="all at once",
        ),
    ],
)
def test_recommendations_that_make_no_sense_are_refused(entries: list[dict[str, Any]], expected: list[str]) -> None:
    """By name, with the field path."""
    found = list(problems(recommended(*entries)))

    assert len(expected) == len(found)
    assert all(error.startswith(words) for error, words in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param(
            [a_written_step(n + 1) for n in range(255)],
            "with them there are 257 steps; the limit is 256, so leave some out",
            id="too many steps",
        ),
        pytest.param(
            [a_written_step(999_999)],
            "their steps would be numbered past 1000000; give written steps lower numbers",
            id="numbers that are too high",
        ),
    ],
)
def test_recommendations_that_do_not_fit_are_refused(steps: list[dict[str, Any]], expected: str) -> None:
    """Beside the steps that are written."""
    found = list(problems(recommended(a_recommendation("a"), a_recommendation("b"), steps=tuple(steps))))

    assert [f"{ADVICE}.recommendations: {expected}"] == found


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([a_written_step(n + 1) for n in range(254)], id="256 steps with them"),
        pytest.param([a_written_step(999_998)], id="numbered up to 1000000"),
    ],
)
def test_recommendations_that_just_fit_are_taken(steps: list[dict[str, Any]]) -> None:
    """The limits themselves are allowed."""
    assert list(problems(recommended(a_recommendation("a"), a_recommendation("b"), steps=tuple(steps)))) == []


def optimized(*entries: dict[str, Any]) -> Any:
    """A spec of two written steps and a recommended one, 3, with these optimizations."""
    advice = {"recommendations": [a_recommendation("a")], "stepOptimizations": list(entries)}
    return a_spec(a_written_step(1), a_written_step(2), advice=advice)


def test_optimizations_are_read() -> None:
    """Of written and of recommended steps, before and after these became steps."""
    spec = optimized(
        {"stepNumber": 2, "timeout": "90s", "maxRetries": 2, "reason": "slow"}, {"stepNumber": 3, "maxRetries": 0}
    )

    assert list(problems(spec)) == []
    assert ((2, 90.0, 2, "slow"), (3, None, 0, "")) == optimizations(spec) == optimizations(expand(spec))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param({"maxRetries": 10}, (None, 10, ""), id="ten retries"),
        pytest.param({"timeout": "8760h"}, (31_536_000.0, None, ""), id="a year"),
        pytest.param({"timeout": "500ms"}, (0.5, None, ""), id="half a second"),
        pytest.param({"maxRetries": 1, "reason": "x" * 1024}, (None, 1, "x" * 1024), id="a reason of 1024 characters"),
    ],
)
def test_optimizations_at_a_limit_are_taken(entry: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """The limits themselves are allowed."""
    spec = optimized({"stepNumber": 1} | entry)

    assert ([], ((1, *expected),)) == (list(problems(spec)), optimizations(spec))


def test_an_optimization_of_a_number_that_no_step_has_is_refused() -> None:
    """Steps need not be numbered without gaps: 3 is none here, the recommended one is 5."""
    advice = {
        "recommendations": [a_recommendation("a")],
        "stepOptimizations": [{"stepNumber": number, "maxRetries": 1} for number in (3, 5)],
    }

    found = list(problems(a_spec(a_written_step(2), a_written_step(4), advice=advice)))

    assert [f"{ADVICE}.stepOptimizations[0].stepNumber: must be the number of a step"] == found


def test_a_field_that_is_not_known_is_refused_with_those_that_are() -> None:
    """So that a wrong word is easily put right."""
    found = list(problems(optimized({"stepNumber": 1, "maxRetries": 1, "retries": 1})))

    expected = "'retries' is not known; the fields are stepNumber, timeout, maxRetries, reason"
    assert [f"{ADVICE}.stepOptimizations[0]: {expected}"] == found


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param({}, [".stepNumber: must be the number of a step", ": changes nothing"], id="nothing"),
        pytest.param({"stepNumber": 9, "maxRetries": 1}, [".stepNumber: must be the number"], id="no such step"),
        pytest.param({"stepNumber": True, "maxRetries": 1}, [".stepNumber: must be the number"], id="no number"),
        pytest.param({"stepNumber": 1, "timeout": "5 minutes"}, [".timeout: must be a duration"], id="no duration"),
        pytest.param({"stepNumber": 1, "timeout": "0s"}, [".timeout: must be a duration of more than 0"], id="no time"),
        pytest.param({"stepNumber": 1, "timeout": 90}, [".timeout: must be a duration"], id="a number as a duration"),
        pytest.param({"stepNumber": 1, "timeout": "9000h"}, [".timeout: must be a duration"], id="over a year"),
        pytest.param({"stepNumber": 1, "maxRetries": 11}, [".maxRetries: must be a whole number from 0"], id="eleven"),
        pytest.param({"stepNumber": 1, "maxRetries": 1.5}, [".maxRetries: must be a whole number"], id="a fraction"),
        pytest.param({"stepNumber": 1, "maxRetries": 1, "reason": 7}, [".reason: must be text"], id="no reason"),
        pytest.param(
            {"stepNumber": 1, "maxRetries": 1, "reason": "x" * 1025},
            [".reason: must be text of at most 1024"],
            id="long",
        ),
        pytest.param({"stepNumber": 1, "retries": 1}, [": 'retries' is not known", ": changes nothing"], id="a field"),
    ],
)
def test_optimizations_that_make_no_sense_are_refused(entry: dict[str, Any], expected: list[str]) -> None:
    """By their place; the ones beside them are still read."""
    spec = optimized({"stepNumber": 2, "timeout": "1m"}, entry)

    found = list(problems(spec))

    assert len(expected) == len(found)
    for error, words in zip(found, expected, strict=True):
        assert error.startswith(f"{ADVICE}.stepOptimizations[1]{words}"), error
    assert ((2, 60.0, None, ""),) == optimizations(spec)


def test_two_optimizations_of_one_step_are_refused() -> None:
    """Nobody could tell which counts."""
    found = list(problems(optimized({"stepNumber": 1, "timeout": "1m"}, {"stepNumber": 1, "maxRetries": 2})))

    assert [
        f"{ADVICE}.stepOptimizations[1].stepNumber: step 1 is in an earlier entry already; put both into one"
    ] == found
