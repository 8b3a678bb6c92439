"""What planning and validating found, and what of a definition's words is read for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from executor_bridge import definition
from executor_bridge.definition import StepWords
from schemas.run_state import RunState
from tests.executor_bridge.builders import START, a_workflow
from tests.executor_bridge.view import a_check, a_side, an_approval, shown, validating

UNKNOWN = ("!it is known only when it runs",)
PASSED = {"type": "health", "passed": True}
BROKEN = {"type": "rbac", "passed": False, "message": "give it the right"}


def seen(state: RunState, *fields: str) -> dict[str, Any]:
    """These fields of the results; those that are left out are not in it."""
    results = shown(state).get("validationResults", {})
    return {name: results[name] for name in fields if name in results}


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        pytest.param((), {}, id="none was asked for"),
        pytest.param(
            (a_check(), a_check("rbac", passed=None)), {"checks": [PASSED]}, id="nothing is decided while one is open"
        ),
        pytest.param((a_check(),), {"safetyChecksPassed": True, "checks": [PASSED]}, id="all passed"),
        pytest.param(
            (a_check(), a_check("rbac", passed=False, message="give it the right"), a_check("network", passed=None)),
            {"safetyChecksPassed": False, "checks": [PASSED, BROKEN]},
            id="one that failed decides at once",
        ),
        pytest.param(
            (a_check(), a_check("rbac", passed=False, message="give it the right", required=False)),
            {"safetyChecksPassed": True, "checks": [PASSED, BROKEN | {"required": False}]},
            id="one that is not required decides nothing",
        ),
    ],
)
def test_checks(checks: tuple[Any, ...], expected: dict[str, Any]) -> None:
    """Each result is shown when it is there; the verdict is about the required ones."""
    assert seen(validating(checks=checks), "safetyChecksPassed", "checks") == expected


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        pytest.param((), {}, id="no dry run was asked for"),
        pytest.param((a_side(1, "executing"), a_side(2, "pending")), {}, id="none has ended"),
        pytest.param(
            (a_side(1, findings=("web: 1 -> 3 replicas",)), a_side(2, "executing")),
            {
                "dryRunResults": {
                    "overallSuccess": False,
                    "stepResults": [{"stepNumber": 1, "success": True, "message": "web: 1 -> 3 replicas"}],
                    "resourceChanges": ["web: 1 -> 3 replicas"],
                }
            },
            id="one has ended",
        ),
        pytest.param(
            (a_side(1, findings=("a changes", "! quota is short")), a_side(2), a_side(3, "skipped", findings=UNKNOWN)),
            {
                "dryRunPerformed": True,
                "dryRunResults": {
                    "overallSuccess": True,
                    "stepResults": [
                        {"stepNumber": 1, "success": True, "message": "a changes; ! quota is short"},
                        {"stepNumber": 2, "success": True},
                    ],
                    "resourceChanges": ["a changes"],
                    "potentialIssues": ["step 1: quota is short", "step 3: it is known only when it runs"],
                },
            },
            id="all have ended well",
        ),
        pytest.param(
            (a_side(1, "failed", error="denied"), a_side(2, "cancelled", reason="cancelled")),
            {
                "dryRunPerformed": True,
                "dryRunResults": {
                    "overallSuccess": False,
                    "stepResults": [
                        {"stepNumber": 1, "success": False, "message": "denied"},
                        {"stepNumber": 2, "success": False, "message": "cancelled"},
                    ],
                },
            },
            id="one failed",
        ),
    ],
)
def test_the_dry_run(sides: tuple[Any, ...], expected: dict[str, Any]) -> None:
    """What would change and what may go wrong are told apart; it was performed once all have ended."""
    assert seen(validating(dry_runs=sides), "dryRunPerformed", "dryRunResults") == expected


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (
            "approved",
            {"approvalReceived": True, "approvedBy": "alice", "approvalTimestamp": "2026-01-01T00:00:02.000Z"},
        ),
        ("rejected", {"approvedBy": "alice", "approvalTimestamp": "2026-01-01T00:00:02.000Z"}),
    ],
)
def test_the_word_of_a_person(verdict: str, expected: dict[str, Any]) -> None:
    """Who said it and when is shown for a rejection as well, which is no approval."""
    state = validating(approval=an_approval(verdict))

    assert seen(state, "approvalReceived", "approvedBy", "approvalTimestamp") == expected


def test_long_lists_are_cut_and_counted() -> None:
    """However much dry runs find, the object stays small enough, and says how much is left out."""
    sides = tuple(a_side(n, findings=(*(f"change {i}" for i in range(10)), "!" + "x" * 5000)) for n in range(1, 31))

    results = shown(validating(dry_runs=sides))["validationResults"]["dryRunResults"]

    assert results["resourceChanges"][199:] == ["change 9", "100 more changes are in the decision on the log"]
    assert {len(issue) for issue in results["potentialIssues"]} == {1024}


def test_an_approver_of_any_length_is_shown() -> None:
    """The limit of the definition of the resource is kept."""
    state = validating(approval=an_approval(by="a" * 1000), started_at=START)

    assert len(shown(state)["validationResults"]["approvedBy"]) == 256


def read(**spec: Any) -> definition.Definition:
    """The words of the three steps of the builder's workflow, with more of a spec."""
    body = a_workflow()
    body["spec"]["workflowDefinition"]["aiRecommendations"] = spec.pop("recommendations", None)
    body["spec"] |= spec
    found = definition.read(msgspec.json.encode(body))
    assert found is not None
    return found


def recommended(*ones: dict[str, Any]) -> dict[str, Any]:
    """What an analysis recommended."""
    return {"overallConfidence": 0.9, "recommendations": list(ones)}


def test_what_a_definition_leaves_out_has_its_default() -> None:
    """A definition with nothing but steps waits for nobody, retries nothing, and is rolled back on demand."""
    found = read()

    assert (found.approval_required, found.rollback_strategy, found.priority, found.window) == (
        False,
        "manual",
        "normal",
        30.0,
    )
    assert found.steps[2] == StepWords(2, name="name-2", action="restart_pod")


def test_retries_and_rollbacks_of_a_step_are_read() -> None:
    """The default of retries is the strategy's; a step's own number goes before it."""
    body = a_workflow()
    first, second, _third = body["spec"]["workflowDefinition"]["steps"]
    first["maxRetries"] = 0
    second["rollbackSpec"] = {"action": "notify_only", "parameters": {"message": "m"}}
    body["spec"]["executionStrategy"] = {"maxRetries": 4, "monitoring": {"window": "2m"}}

    found = definition.read(msgspec.json.encode(body))

    assert found is not None
    assert [(s.retries, s.has_rollback) for s in found.steps.values()] == [(0, False), (4, True), (4, False)]
    assert found.window == 120.0


def test_recommendations_are_steps_after_the_highest_number() -> None:
    """Each has the number of its place after the last step, its id as a name, and retries by its priority."""
    found = read(
        recommendations=recommended(
            {"id": "grow", "action": "scale_deployment", "priority": "critical", "rollbackSpec": {"action": "x"}},
            {"id": "tell", "action": "notify_only"},
        )
    )

    assert [found.steps[number] for number in (4, 5)] == [
        StepWords(4, name="grow", action="scale_deployment", retries=3, has_rollback=True),
        StepWords(5, name="tell", action="notify_only", retries=1),
    ]
    assert (found.approval_required, found.rollback_strategy) == (False, "manual")


def test_a_definition_of_recommendations_alone_has_its_words_too() -> None:
    """No step is written; the first recommendation is step 1."""
    body = a_workflow()
    advised = recommended({"id": "tell", "action": "notify_only"})
    body["spec"]["workflowDefinition"] = {"name": "n", "version": "1", "aiRecommendations": advised}

    found = definition.read(msgspec.json.encode(body))

    assert found is not None
    assert {1: StepWords(1, name="tell", action="notify_only", retries=1)} == found.steps


def test_a_recommendation_of_high_risk_asks_for_an_approval() -> None:
    """The highest risk of all counts for the run: it is approved by a person and rolled back automatically."""
    found = read(
        recommendations=recommended({"id": "a", "action": "drain_node", "risk": "high"}, {"id": "b", "action": "x"}),
        executionStrategy={"rollbackStrategy": "none"},
    )

    assert (found.approval_required, found.rollback_strategy) == (True, "automatic")


def test_a_window_that_is_no_duration_is_the_default() -> None:
    """Planning refuses it; the status of that run is shown all the same."""
    assert read(executionStrategy={"monitoring": {"window": "soon"}}).window == 30.0
