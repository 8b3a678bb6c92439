"""What is allowed and probably not meant: each warning at its field, and none where there is nothing to say."""

from __future__ import annotations

from typing import Any

import pytest

from kubernaut.cli.linting.checking import check
from kubernaut.cli.planned import Undo, undo_of
from scheduler.inverse import inverse
from schemas.actions import ACTIONS
from schemas.workflow import RollbackSpec, Step
from tests.cli.linted import SOUND, a_file_of, changed

STEP = "spec.workflowDefinition.steps"
STRATEGY = "spec.executionStrategy"
DATABASE = {"database": "d", "namespace": "s"}
POD = {"pod": "p", "namespace": "s"}


def a_step(number: int, *needs: int, **fields: Any) -> dict[str, Any]:
    """Return a step that warns of nothing."""
    step = {"stepNumber": number, "action": "notify_only", "parameters": {"message": "hi"}}
    return step | ({"dependsOn": list(needs)} if needs else {}) | fields


def warnings(text: str) -> dict[str, str]:
    """Return the warnings of a text that has no errors, by path."""
    findings = check(text).findings
    assert [] == [each for each in findings if each.severity == "error"]
    return {each.path: each.message for each in findings if each.severity == "warning"}


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"runIf": "steps[1].status == 'completed'"}, "runIf", "step 3 does not depend on step 1"),
        ({"skipIf": "size(steps[1].result) == 0"}, "skipIf", "add 1 to dependsOn"),
        (
            {"preConditions": [{"expression": "true"}, {"expression": "steps[1].status == 'completed'"}]},
            "preConditions[1].expression",
            "add 1",
        ),
        (
            {"postConditions": [{"expression": "steps[1].status == 'completed'"}]},
            "postConditions[0].expression",
            "add 1",
        ),
        ({"parameters": {"message": "it gave {{ steps[1].result }}"}}, "parameters.message", "add 1"),
        ({"runIf": "steps[3].status == 'completed'"}, "runIf", "the step's own result is never there"),
        ({"runIf": "steps[4].status == 'completed'"}, "runIf", "step 4 waits for step 3, so its result is never there"),
    ],
    ids=["runIf", "skipIf", "a precondition", "a postcondition", "a template", "itself", "a later step"],
)
def test_an_expression_about_a_step_that_may_not_have_ended_is_warned_of(
    fields: dict[str, Any], path: str, words: str
) -> None:
    """Steps 1 and 3 run side by side; 4 comes after 3."""
    found = warnings(a_file_of(a_step(1), a_step(2), a_step(3, 2, **fields), a_step(4, 3)))

    assert [f"{STEP}[2].{path}"] == list(found)
    assert words in found[f"{STEP}[2].{path}"]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"runIf": "steps[1].status == 'completed'"}, id="a dependency of a dependency"),
        pytest.param({"postConditions": [{"expression": "steps[3].status == 'completed'"}]}, id="its own, afterwards"),
        pytest.param({"runIf": "variables.x == 'steps[4]'"}, id="the words in a text"),
        pytest.param(
            {"rollbackSpec": {"action": "notify_only", "parameters": {"message": "{{ steps[4].error }}"}}},
            id="any step, once the run rolls back",
        ),
    ],
)
def test_an_expression_about_a_step_that_has_ended_is_fine(fields: dict[str, Any]) -> None:
    """However long the way to it is."""
    steps = [a_step(1), a_step(2, 1), a_step(3, 2, **fields), a_step(4)]

    assert {} == warnings(a_file_of(*steps, definition={"variables": {"x": "1"}}))


@pytest.mark.parametrize(
    ("step", "strategy", "path", "words"),
    [
        ({"action": "repair_database", "parameters": DATABASE}, {}, f"{STEP}[0].timeout", "typically takes 30m"),
        ({"timeout": "11m"}, {}, f"{STEP}[0].timeout", "11m are more than the whole run may take (10m)"),
        (
            {"action": "repair_database", "parameters": DATABASE, "timeout": "40m"},
            {"workflowTimeout": "20m"},
            f"{STRATEGY}.workflowTimeout",
            "longest path 1: 30m",
        ),
        (
            {"action": "restart_pod", "parameters": POD, "maxRetries": 2},
            {},
            f"{STEP}[0].maxRetries",
            "restart_pod may not be done twice",
        ),
        (
            {"action": "restart_pod", "parameters": POD},
            {"maxRetries": 2},
            f"{STRATEGY}.maxRetries",
            "step 1 (restart_pod) may not be done twice",
        ),
        ({"retryPolicy": {"multiplier": 3}}, {}, f"{STEP}[0].retryPolicy", "the step is never retried"),
        (
            {"action": "restart_pod", "parameters": POD},
            {"rollbackStrategy": "automatic"},
            f"{STRATEGY}.rollbackStrategy",
            "step 1 (restart_pod) cannot be undone",
        ),
        (
            {"rollbackSpec": {"action": "notify_only", "parameters": {"message": "x"}}},
            {"rollbackStrategy": "none"},
            f"{STEP}[0].rollbackSpec",
            "never used",
        ),
        ({}, {"approvalRequired": True, "priority": "critical"}, f"{STRATEGY}.approvalRequired", "within 5m"),
        ({}, {"approvalRequired": True, "priority": "high"}, None, ""),
        ({"action": "restart_pod", "parameters": POD, "maxRetries": 0}, {"maxRetries": 2}, None, ""),
        ({"action": "cordon_node", "parameters": {"node": "n"}}, {"rollbackStrategy": "automatic"}, None, ""),
        ({"timeout": "5m"}, {}, None, ""),
    ],
    ids=[
        "an action that is longer than its limit",
        "a step longer than the run",
        "a run longer than its limit",
        "retries of what is not idempotent",
        "inherited retries of what is not idempotent",
        "a policy without retries",
        "no way back",
        "a way back that nobody takes",
        "a critical run that waits for a person",
        "a run that may wait",
        "no retries of what is not idempotent",
        "a way back that can be derived",
        "time enough",
    ],
)
def test_what_is_probably_not_meant_is_warned_of(
    step: dict[str, Any], strategy: dict[str, Any], path: str | None, words: str
) -> None:
    """One step, one thing about it; None: nothing to say."""
    found = warnings(a_file_of(a_step(1, **step), executionStrategy=strategy))

    assert (words in found.get(path, "")) if path else found == {}


@pytest.mark.parametrize(
    ("change", "line", "column", "words"),
    [
        ((16, "        dependsOn: [1, 1]"), 16, 24, "named twice"),
        ((16, "        timeout:"), 16, 9, "counts as left out"),
        ((18, "  control: {paused: true}"), 18, 21, "starts paused"),
        ((18, "status: {phase: queued}"), 18, 9, "what stands here is dropped"),
    ],
    ids=["a dependency twice", "a field without a value", "a run that starts paused", "a status"],
)
def test_a_warning_stands_at_its_line(change: tuple[int, str], line: int, column: int, words: str) -> None:
    """As an error does."""
    text = changed((17, ""), (18, ""), change) if change[0] == 18 else changed(change)

    assert [(line, column)] == [each.at for each in check(text).findings if words in each.message]


def test_a_recommendation_is_warned_of_as_a_whole() -> None:
    """It has no timeout of its own that could be pointed to."""
    ask = {"id": "fix", "action": "repair_database", "parameters": DATABASE, "priority": "low"}

    found = warnings(a_file_of(a_step(1), definition={"aiRecommendations": {"recommendations": [ask]}}))

    assert (
        "repair_database typically takes 30m" in found["spec.workflowDefinition.aiRecommendations.recommendations[0]"]
    )


def test_there_is_no_advice_while_there_are_errors() -> None:
    """It would be about a workflow that nobody wrote."""
    text = changed((14, "        action: x"), (16, "        dependsOn: [1, 1]"))

    assert [] == [each for each in check(text).findings if each.severity == "warning"]


def test_a_way_back_is_promised_only_where_the_scheduler_can_derive_one() -> None:
    """Held against the scheduler's own derivation, for every action."""
    before = {
        "replicas": 9,
        "unschedulable": False,
        "minReplicas": 1,
        "maxReplicas": 9,
        "taint": {"key": "k", "effect": "NoSchedule"},
    }
    parameters = {
        "deployment": "d",
        "statefulset": "d",
        "hpa": "d",
        "namespace": "s",
        "node": "n",
        "key": "k",
        "replicas": 3,
        "minReplicas": 2,
        "maxReplicas": 3,
        "value": "v",
    }
    images = (before, before | {"unschedulable": True})
    derived = {action for action in ACTIONS if any(inverse(action, parameters, image) for image in images)}

    assert derived == {action for action in ACTIONS if undo_of(Step(step_number=1, action=action)) is Undo.DERIVED}


def test_a_rollback_spec_goes_before_an_inverse() -> None:
    """The user's word counts."""
    step = Step(step_number=1, action="cordon_node", rollback_spec=RollbackSpec(action="notify_only"))

    assert undo_of(step) is Undo.SPEC


def test_the_sound_workflow_is_not_warned_of() -> None:
    """The one that all changes are made to."""
    assert {} == warnings(SOUND)
