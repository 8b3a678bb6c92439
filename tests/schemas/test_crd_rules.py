"""The rules, limits and looks of both resources on a real API server."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from schemas.docs import field_docs
from schemas.execution import KubernetesExecution
from schemas.workflow import STEPS_LIMIT, WorkflowExecution
from tests.schemas.api import EXECUTIONS, WORKFLOWS, Api
from tests.schemas.builders import a_full_workflow, a_step, a_workflow, an_execution

pytestmark = pytest.mark.real


A_RECOMMENDATION = {
    "id": "cordon",
    "action": "cordon_node",
    "parameters": {"node": "n1"},
    "priority": "critical",
    "risk": "high",
    "dependsOn": [],
    "rollbackSpec": {"action": "uncordon_node", "parameters": {"node": "n1"}, "timeout": "1m"},
    "reasoning": "it is out of memory",
}


def chain(steps: int, dependencies: int, **fields: Any) -> list[dict[str, Any]]:
    """Steps of which each depends on the ones just before it."""
    return [
        a_step(1000 + i, dependsOn=[1000 + j for j in range(max(0, i - dependencies), i)], **fields)
        for i in range(steps)
    ]


def test_a_workflow_with_every_field_comes_back_as_it_was_written(api: Api) -> None:
    """Nothing is pruned, nulls in parameters included, and nothing is added by defaults."""
    body = a_full_workflow("whole")

    answer = api.call("POST", f"{WORKFLOWS}?fieldValidation=Strict", body)

    assert (answer.code, answer.object.get("spec")) == (201, body["spec"]), answer.message


def test_an_execution_with_every_field_comes_back_as_it_was_written(api: Api) -> None:
    """Nothing is pruned and nothing is added by defaults."""
    body = an_execution("whole")

    answer = api.call("POST", f"{EXECUTIONS}?fieldValidation=Strict", body)

    assert (answer.code, answer.object.get("spec")) == (201, body["spec"]), answer.message


@pytest.mark.parametrize(
    ("steps", "definition", "message"),
    [
        pytest.param(
            [a_step(1), a_step(1)],
            {},
            "two steps have the same stepNumber; each must be unique in the workflow",
            id="a number twice",
        ),
        pytest.param([a_step(0)], {}, "should be greater than or equal to 1", id="a step number of 0"),
        pytest.param([], {}, "there is nothing to do: write at least one step", id="no step"),
        pytest.param(
            [], {"aiRecommendations": {"recommendations": []}}, "there is nothing to do", id="no recommendation"
        ),
        pytest.param(
            [],
            {"aiRecommendations": {"recommendations": [A_RECOMMENDATION]}, "dependencies": {"1": []}},
            "dependencies has a key that is not the stepNumber of a step",
            id="dependencies of no step",
        ),
        pytest.param(
            [a_step(n + 1) for n in range(257)], {}, "Too many: 257: must have at most 256 items", id="257 steps"
        ),
        pytest.param(
            [a_step(1, dependsOn=[7])],
            {},
            "spec.workflowDefinition.steps: Invalid value: a step's dependsOn names a stepNumber that no step has",
            id="dependsOn names no step",
        ),
        pytest.param(
            [a_step(1)],
            {"dependencies": {"one": [1]}},
            'dependencies has a key that is not the stepNumber of a step; write it as text, such as "3": [1, 2]',
            id="a key of dependencies is no number",
        ),
        pytest.param(
            [a_step(1)], {"dependencies": {"2": [1]}}, "a key that is not the stepNumber", id="a key names no step"
        ),
        pytest.param(
            [a_step(1)],
            {"dependencies": {"1": [2]}},
            "dependencies lists a stepNumber that no step has",
            id="dependencies names no step",
        ),
        pytest.param([a_step(1, timeout="5 minutes")], {}, "timeout in body should match", id="a duration in words"),
        pytest.param([a_step(1, action="")], {}, "should be at least 1 chars long", id="an action without a name"),
        pytest.param([a_step(1, maxRetries=11)], {}, "should be less than or equal to 10", id="eleven retries"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    api: Api, steps: list[dict[str, Any]], definition: dict[str, Any], message: str
) -> None:
    """The server itself refuses at apply, and says what is wrong and where."""
    body = a_workflow("senseless", **definition)
    body["spec"]["workflowDefinition"]["steps"] = steps

    answer = api.call("POST", WORKFLOWS, body)

    assert (answer.code, message in answer.message) == (422, True), answer.message


@pytest.mark.parametrize("left", ["empty", "out"])
def test_recommendations_alone_are_a_workflow(api: Api, left: str) -> None:
    """They become steps; none need be written. What they say is kept as it is."""
    body = a_workflow("", aiRecommendations={"recommendations": [A_RECOMMENDATION]})
    body["metadata"] = {"generateName": "recommended-"}
    if left == "out":
        del body["spec"]["workflowDefinition"]["steps"]
    else:
        body["spec"]["workflowDefinition"]["steps"] = []

    answer = api.call("POST", f"{WORKFLOWS}?fieldValidation=Strict", body)

    assert (answer.code, answer.object.get("spec")) == (201, body["spec"]), answer.message
    assert msgspec.json.decode(answer.raw, type=WorkflowExecution).spec.workflow_definition.steps == ()


@pytest.mark.parametrize("field", ["parallelismLimit", "maxRetries"])
def test_limits_of_the_strategy_are_kept(api: Api, field: str) -> None:
    """Neither 11 in flight nor 11 retries."""
    body = a_workflow("strategy")
    body["spec"]["executionStrategy"] = {field: 11}

    answer = api.call("POST", WORKFLOWS, body)

    assert (answer.code, f"{field} in body should be less than or equal to 10" in answer.message) == (422, True)


@pytest.mark.parametrize(
    ("name", "steps", "dependencies"),
    [
        pytest.param("edges-8", chain(STEPS_LIMIT, 8), {}, id="256 steps with 8 dependencies each, all looked up"),
        pytest.param("edges-10", chain(STEPS_LIMIT, 10), {}, id="256 steps just past what is looked up"),
        pytest.param(
            "edges-64",
            chain(STEPS_LIMIT, 64, description="d" * 1000, parameters={"message": "m" * 2000, "deep": [{"a": 1}] * 20}),
            {str(1000 + i): [1000 + j for j in range(max(0, i - 64), i)] for i in range(STEPS_LIMIT)},
            id="256 steps with 64 dependencies each, twice over, in an object of more than 1 MB",
        ),
    ],
)
def test_the_largest_workflows_stay_within_the_budget_of_the_rules(
    api: Api, name: str, steps: list[dict[str, Any]], dependencies: dict[str, list[int]]
) -> None:
    """Rules cost time at the server; no workflow within the limits is refused for that, nor a change of control."""
    made = api.call("POST", WORKFLOWS, a_workflow(name, steps, dependencies=dependencies))
    overrides = [{"stepNumber": 1000, "operation": "retry", "reason": "r" * 1000}] * STEPS_LIMIT

    first = api.patch(f"{WORKFLOWS}/{name}", {"spec": {"control": {"overrides": overrides[:-1]}}})
    second = api.patch(f"{WORKFLOWS}/{name}", {"spec": {"control": {"overrides": overrides, "cancel": {}}}})

    assert (made.code, first.code, second.code) == (201, 200, 200), made.message + first.message + second.message


def test_a_change_deep_in_the_largest_workflow_is_seen(api: Api) -> None:
    """The rule of immutability reads all of it."""
    api.call("POST", WORKFLOWS, a_workflow("deep-change", chain(STEPS_LIMIT, 64, parameters={"a": {"b": [1, 2]}})))
    changed = chain(STEPS_LIMIT, 64, parameters={"a": {"b": [1, 2]}})
    changed[-1]["parameters"] = {"a": {"b": [1, 3]}}

    answer = api.patch(f"{WORKFLOWS}/deep-change", {"spec": {"workflowDefinition": {"steps": changed}}})

    assert "workflowDefinition is immutable after creation; only control may be changed" in answer.message


def test_server_side_apply_takes_control_from_another_manager_and_leaves_the_spec(api: Api) -> None:
    """A person pauses by apply with nothing but control in hand."""
    api.call("POST", WORKFLOWS, a_workflow("applied", [a_step(1), a_step(2, dependsOn=[1])]))
    patch = {
        "apiVersion": "workflowexecution.kubernaut.io/v1",
        "kind": "WorkflowExecution",
        "spec": {"control": {"paused": True}},
    }

    answer = api.call("PATCH", f"{WORKFLOWS}/applied?fieldManager=person", patch, kind="application/apply-patch+yaml")

    assert (answer.code, len(answer.object.get("spec", {})["workflowDefinition"]["steps"])) == (200, 2), answer.message


def test_the_status_of_a_workflow_is_written_apart_from_its_spec(api: Api) -> None:
    """A write of the object leaves the status, a write of the status leaves the spec and the generation."""
    body = a_workflow("apart")
    body["status"] = {"phase": "completed"}
    made = api.call("POST", WORKFLOWS, body).object
    made["status"] = {"phase": "executing", "sequence": 3, "stepStatuses": [{"stepNumber": 1, "status": "pending"}]}
    made["spec"]["workflowDefinition"]["name"] = "other"

    stored = api.call("PUT", f"{WORKFLOWS}/apart/status", made)

    assert (
        stored.object["status"]["sequence"],
        stored.object["spec"]["workflowDefinition"]["name"],
        stored.object["metadata"]["generation"],
    ) == (3, "d", 1)


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"phase": "teleporting"}, id="a phase that nobody knows"),
        pytest.param({"phase": "executing", "mood": {"level": [1, None]}}, id="a field that nobody knows"),
        pytest.param(
            {"phase": "completed", "executionResults": {"success": True, "scaleResult": {"replicas": 3}}},
            id="a result that only the executor knows",
        ),
        pytest.param(
            {"phase": "failed", "failure": {"reason": "x", "detail": {"code": 7}}}, id="a detail of a failure"
        ),
    ],
)
def test_what_only_the_executor_knows_is_kept(api: Api, status: dict[str, Any]) -> None:
    """The status of an execution is the executor's: nothing of it is pruned, and we can read it."""
    made = api.call("POST", EXECUTIONS, an_execution("") | {"metadata": {"generateName": "status-"}}).object
    made["status"] = status

    stored = api.call("PUT", f"{EXECUTIONS}/{made['metadata']['name']}/status", made)

    decoded = msgspec.json.decode(stored.raw, type=KubernetesExecution)
    assert (stored.object["status"], decoded.status is not None and decoded.status.phase) == (status, status["phase"])


def test_a_status_is_found_by_its_condition(api: Api) -> None:
    """`kubectl wait --for=condition=Succeeded` is how scripts wait for a run."""
    made = api.call("POST", WORKFLOWS, a_workflow("waited")).object
    condition = {"type": "Succeeded", "status": "True", "reason": "done", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    made["status"] = {"phase": "completed", "conditions": [condition]}
    api.call("PUT", f"{WORKFLOWS}/waited/status", made)

    printed = api.kubectl("wait", "wfe/waited", "--for=condition=Succeeded", "--timeout=10s")

    assert printed.strip().endswith("condition met")


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("wfe.spec.workflowDefinition.steps.dependsOn", "Numbers of the steps that must have ended before this one"),
        ("wfe.spec.executionStrategy.parallelismLimit", "How many steps may be in flight at once. Default: 5."),
        ("wfe.spec.workflowDefinition.steps.criticalStep", "Whether a failure of this step ends the run."),
        ("wfe.status.waitingFor", "What the run waits for."),
        ("kexec.spec.idempotencyKey", "The same for every repeat of the same command"),
        ("kexec.status.failure", "Why it failed."),
    ],
)
def test_kubectl_explains_fields(api: Api, field: str, words: str) -> None:
    """What a field means is told where people ask for it."""
    printed = api.kubectl("explain", field)

    assert words in " ".join(printed.split())


def test_kubectl_shows_what_people_look_for(api: Api) -> None:
    """Columns, short names and the category."""
    api.call("POST", WORKFLOWS, a_full_workflow("shown"))
    api.call("POST", EXECUTIONS, an_execution("shown"))

    headers = [
        api.kubectl("get", *what).splitlines()[0].split()
        for what in (("wfe",), ("wfe", "-o", "wide"), ("kexec",), ("kexec", "-o", "wide"))
    ]
    category = api.kubectl("get", "kubernaut", "-o", "name").split()

    assert headers == [
        ["NAME", "PHASE", "PROGRESS", "OUTCOME", "AGE"],
        ["NAME", "PHASE", "PROGRESS", "OUTCOME", "CURRENT", "WAITING", "REMEDIATION", "DURATION", "AGE"],
        ["NAME", "PHASE", "ACTION", "STEP", "WORKFLOW", "AGE"],
        ["NAME", "PHASE", "ACTION", "STEP", "WORKFLOW", "ATTEMPT", "PURPOSE", "REASON", "AGE"],
    ]
    assert {
        "workflowexecution.workflowexecution.kubernaut.io/shown",
        "kubernetesexecution.kubernetesexecution.kubernaut.io/shown",
    } <= set(category)


def test_objects_are_selected_by_phase(api: Api) -> None:
    """Whoever watches running workflows only asks the server for those."""
    made = api.call("POST", WORKFLOWS, a_workflow("selected")).object
    made["status"] = {"phase": "rolling_back"}
    api.call("PUT", f"{WORKFLOWS}/selected/status", made)

    printed = api.kubectl("get", "wfe", "--field-selector=status.phase=rolling_back", "-o", "name")

    assert printed.split() == ["workflowexecution.workflowexecution.kubernaut.io/selected"]


@pytest.mark.parametrize("struct", [WorkflowExecution, KubernetesExecution])
def test_every_field_below_the_top_is_documented(struct: type[msgspec.Struct]) -> None:
    """Fields of the two kinds themselves are the API machinery's; all below them say what they are."""
    undocumented: list[str] = []
    waiting = [f.type for f in msgspec.inspect.type_info(struct).fields if f.name in {"spec", "status"}]  # type: ignore[attr-defined]
    while waiting:
        kind = waiting.pop()
        waiting += [t for name in ("type", "item_type", "value_type") if (t := getattr(kind, name, None)) is not None]
        waiting += list(getattr(kind, "types", ()))
        if isinstance(kind, msgspec.inspect.StructType):
            docs = field_docs(kind.cls)
            undocumented += [f"{kind.cls.__name__}.{f.name}" for f in kind.fields if not docs.get(f.name)]
            waiting += [f.type for f in kind.fields]

    assert undocumented == []


def test_the_server_drops_no_field_that_it_knows_and_names_one_that_it_does_not(api: Api) -> None:
    """A typing error is told by name to whoever asks for strict validation, as kubectl does."""
    body = json.loads(json.dumps(a_workflow("typing")))
    body["spec"]["executionStrategy"] = {"paralelismLimit": 3}

    answer = api.call("POST", f"{WORKFLOWS}?fieldValidation=Strict", body)

    assert 'unknown field "spec.executionStrategy.paralelismLimit"' in answer.message
