"""Which actions a namespace takes: in workflows as they are created, and in each execution as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from schemas.names import ANNOTATION_CREATED_BY
from schemas.workflow import STEPS_LIMIT
from tests.admission.gate import a_run
from tests.admission.people import MERGE
from tests.schemas.api import EXECUTIONS
from tests.schemas.builders import a_step, an_execution

if TYPE_CHECKING:
    from tests.admission.gate import Gate

pytestmark = pytest.mark.real
ALLOWED: Final = "notify_only, scale_deployment"
UNDO: Final = {"rollbackSpec": {"action": "cordon_node", "parameters": {"node": "n1"}}}


def a_recommendation(action: str, **more: Any) -> dict[str, Any]:
    """Return one of those that become steps."""
    needed = {"id": "r", "parameters": {}, "priority": "low", "risk": "low", "dependsOn": [], "reasoning": "r"}
    return needed | {"action": action} | more


def a_workflow_of(steps: list[dict[str, Any]], *recommended: dict[str, Any]) -> dict[str, Any]:
    """Return a workflow of steps and recommendations."""
    body = a_run()
    definition = body["spec"]["workflowDefinition"]
    definition["steps"] = steps
    if recommended:
        needed = {"overallConfidence": 1, "recommendationSource": "analysis", "generatedAt": "2026-01-01T00:00:00Z"}
        definition["aiRecommendations"] = needed | {"recommendations": list(recommended)}
    return body


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(a_workflow_of([a_step(1), a_step(2, action="cordon_node")]), id="in a step"),
        pytest.param(a_workflow_of([a_step(1), a_step(2, **UNDO)]), id="in the undoing of a step"),
        pytest.param(a_workflow_of([], a_recommendation("cordon_node")), id="in a recommendation"),
        pytest.param(a_workflow_of([a_step(1)], a_recommendation("notify_only", **UNDO)), id="in its undoing"),
    ],
)
def test_an_action_that_is_not_listed_is_refused_wherever_it_is(gate: Gate, body: dict[str, Any]) -> None:
    """The answer names the action and what the namespace takes."""
    body["metadata"]["annotations"] = {ANNOTATION_CREATED_BY: gate.carol.name}

    answer = gate.carol.create(gate.namespace("strict"), body)
    elsewhere = gate.carol.create(gate.namespace("open"), body)

    assert (403, 201) == (answer.code, elsewhere.code), elsewhere.message
    assert f"does not allow the action cordon_node; it allows only: [{ALLOWED}]" in answer.message


def test_actions_that_are_listed_are_taken(gate: Gate) -> None:
    """With the spaces around their names in the list, and in every place of a workflow."""
    undo = {"rollbackSpec": {"action": "scale_deployment", "parameters": {}}}
    body = a_workflow_of([a_step(1, **undo)], a_recommendation("scale_deployment", **undo))
    body["metadata"]["annotations"] = {ANNOTATION_CREATED_BY: gate.carol.name}

    answer = gate.carol.create(gate.namespace("strict"), body)

    assert answer.code == 201, answer.message


@pytest.mark.parametrize("action", ["", "notify", "notify_only,", "NOTIFY_ONLY"])
def test_a_name_is_compared_whole(gate: Gate, action: str) -> None:
    """What is only alike is another action."""
    body = a_workflow_of([a_step(1, action=action)])

    answers = [gate.admin.create(gate.namespace(short), body) for short in ("strict", "closed")]

    assert all(answer.code in {403, 422} for answer in answers), answers[0].message


def test_an_empty_list_takes_nothing(gate: Gate) -> None:
    """It is not the same as none."""
    answer = gate.admin.create(gate.namespace("closed"), a_run())

    assert (answer.code, "does not allow the action notify_only; it allows only: []" in answer.message) == (403, True)


def test_a_workflow_as_large_as_can_be_is_looked_through(gate: Gate) -> None:
    """Every action there is in the list, the most steps there may be, each with its undoing, and the last is wrong."""
    steps = [a_step(number, rollbackSpec={"action": "custom"}) for number in range(1, STEPS_LIMIT)]
    body = a_workflow_of([*steps, a_step(STEPS_LIMIT, action="cordon_node")])

    answer = gate.admin.create(gate.namespace("long"), body)
    steps.append(a_step(STEPS_LIMIT))
    allowed = gate.admin.create(gate.namespace("long"), a_workflow_of(steps))

    assert (answer.code, "does not allow the action cordon_node" in answer.message) == (403, True), answer.message
    assert allowed.code == 201, allowed.message


@pytest.mark.parametrize(("short", "action", "code"), [("strict", "cordon_node", 403), ("strict", "notify_only", 201)])
def test_the_list_holds_for_executions_too(gate: Gate, short: str, action: str, code: int) -> None:
    """Whoever creates them: so a list that has become shorter holds for runs that are under way."""
    body = an_execution(f"of-{action.replace('_', '-')}")
    body["spec"]["action"] = action

    answer = gate.bridge.call("POST", EXECUTIONS.format(gate.namespace(short)), body)

    assert (answer.code, code == 201 or f"it allows only: [{ALLOWED}]" in answer.message) == (code, True), (
        answer.message
    )


def test_a_workflow_under_way_is_steered_whatever_the_list_says(gate: Gate) -> None:
    """The list is asked when something begins; pausing must always be possible."""
    run = gate.workflow("older", "strict")

    answer = gate.admin.call("PATCH", run, {"spec": {"control": {"paused": True}}}, kind=MERGE)

    assert answer.code == 200, answer.message
