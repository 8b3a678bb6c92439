"""What the API server keeps as it was at creation, tried on a real one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tests.schemas.api import EXECUTIONS, WORKFLOWS, Api
from tests.schemas.builders import a_full_workflow, a_step, a_workflow, an_execution

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real
Path = tuple[str | int, ...]


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value, the inner ones first."""
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(entry, (*path, key))
    if path:
        yield path


def at(value: Any, path: Path) -> Any:
    """What is at a place."""
    for key in path:
        value = value[key]
    return value


def changed(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case None:
            return "x"
        case _:
            return [*value, copy.deepcopy(value[0])]


WORKFLOW_SPEC = {name: part for name, part in a_full_workflow("w")["spec"].items() if name != "control"}
PARAMETERS: Path = ("workflowDefinition", "steps", 0, "parameters")
EXECUTION_SPEC = an_execution("e")["spec"]


def refused(api: Api, path: str, body: dict[str, Any]) -> str:
    """Try to replace an object; return why it was refused and make sure that it is as it was."""
    where = f"{path}/{body['metadata']['name']}"
    before = api.call("GET", where).object
    body["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
    answer = api.call("PUT", where, body)
    after = api.call("GET", where).object
    assert (answer.code, before["spec"], before["metadata"]["generation"]) == (
        422,
        after["spec"],
        after["metadata"]["generation"],
    )
    return answer.message


@pytest.fixture(scope="module")
def workflow(api: Api) -> str:
    """A full workflow on the server."""
    answer = api.call("POST", WORKFLOWS, a_full_workflow("full"))
    assert answer.code == 201, answer.message
    return "full"


@pytest.fixture(scope="module")
def execution(api: Api) -> str:
    """An execution on the server."""
    answer = api.call("POST", EXECUTIONS, an_execution("full"))
    assert answer.code == 201, answer.message
    return "full"


def places(spec: Any, free: set[Path]) -> list[Any]:
    """Each place of a spec and what is tried there; `free` are objects that take any name, others drop it unseen."""
    tried = [(path, "remove") for path in leaves(spec)]
    tried += [(path, "change") for path in leaves(spec) if not isinstance(at(spec, path), dict)]
    tried += [(path, "add") for path in sorted(free, key=str)]
    words = {"remove": "is not taken away", "change": "is not changed", "add": "gets nothing more"}
    return [pytest.param(path, how, id=f"{'.'.join(map(str, path))} {words[how]}") for path, how in tried]


def broken(spec: Any, path: Path, how: str) -> Any:
    """A spec in which one place is changed, taken away or has something more in it."""
    spec = copy.deepcopy(spec)
    parent = at(spec, path[:-1])
    if how == "remove":
        del parent[path[-1]]
    elif how == "add":
        parent[path[-1]]["another"] = 1
    else:
        parent[path[-1]] = changed(parent[path[-1]])
    return spec


_FREE_FORM = {PARAMETERS, (*PARAMETERS, "object"), (*PARAMETERS, "object", "deeper")}
_FREE_FORM_OF_EXECUTION: set[Path] = {("parameters",), ("parameters", "object")}


@pytest.mark.parametrize(("path", "how"), places(WORKFLOW_SPEC, _FREE_FORM))
def test_no_part_of_a_workflow_but_control_can_be_changed(api: Api, workflow: str, path: Path, how: str) -> None:
    """Whatever is changed, taken away or added anywhere in the spec, the server refuses it."""
    body = a_full_workflow(workflow)
    body["spec"] = broken(WORKFLOW_SPEC, path, how)

    message = refused(api, WORKFLOWS, body)

    assert any(words in message for words in ("immutable", "Invalid value", "Required value", "Unsupported value"))


@pytest.mark.parametrize(
    ("path", "how"),
    [place for place in places(WORKFLOW_SPEC, _FREE_FORM) if place.values[0][: len(PARAMETERS)] == PARAMETERS],
)
def test_parameters_are_immutable_although_their_values_have_no_schema(
    api: Api, workflow: str, path: Path, how: str
) -> None:
    """Equality must look into values of any type: this is what a wrong schema would let through."""
    body = a_full_workflow(workflow)
    body["spec"] = broken(WORKFLOW_SPEC, path, how)

    message = refused(api, WORKFLOWS, body)

    assert "workflowDefinition is immutable after creation; only control may be changed" in message


@pytest.mark.parametrize("path", [("parameters",), ("parameters", "object")])
def test_a_parameter_cannot_be_replaced_by_another_of_the_same_count(api: Api, execution: str, path: Path) -> None:
    """Two objects of the same size with different names are different."""
    body = an_execution(execution)
    parent = at(body["spec"], path)
    name = next(iter(parent))
    parent["other"] = parent.pop(name)

    message = refused(api, EXECUTIONS, body)

    assert "the spec of an execution is immutable" in message


@pytest.mark.parametrize(("path", "how"), places(EXECUTION_SPEC, _FREE_FORM_OF_EXECUTION))
def test_no_part_of_the_spec_of_an_execution_can_be_changed(api: Api, execution: str, path: Path, how: str) -> None:
    """Whatever is changed, taken away or added anywhere in the spec, the server refuses it."""
    body = an_execution(execution)
    body["spec"] = broken(EXECUTION_SPEC, path, how)

    message = refused(api, EXECUTIONS, body)

    assert any(words in message for words in ("immutable", "Invalid value", "Required value", "Unsupported value"))


def test_the_order_of_steps_in_the_list_is_kept(api: Api) -> None:
    """What is in the log is what the object holds, to the byte."""
    api.call("POST", WORKFLOWS, a_workflow("ordered", [a_step(1), a_step(2)]))

    answer = api.patch(f"{WORKFLOWS}/ordered", a_workflow("ordered", [a_step(2), a_step(1)]))

    assert "workflowDefinition is immutable after creation" in answer.message


SKIP = {"stepNumber": 1, "operation": "skip", "reason": "known"}
RETRY = {"stepNumber": 1, "operation": "retry"}
ONCE = "is given once: it cannot be changed or taken back"
APPEND = "control.overrides is append only: keep what is there and add at the end"


@pytest.mark.parametrize(
    ("before", "patch", "message"),
    [
        pytest.param({}, {"paused": True}, "", id="a run is paused"),
        pytest.param({"paused": True}, {"paused": False}, "", id="a run is resumed"),
        pytest.param({"paused": True}, None, "", id="a run is resumed by taking control away"),
        pytest.param({}, {"cancel": {"mode": "stop"}}, "", id="a run is cancelled"),
        pytest.param({"cancel": {"mode": "stop"}}, {"paused": True}, "", id="a cancelled run may be paused"),
        pytest.param({"cancel": {}}, {"cancel": {"mode": "terminate"}}, f"control.cancel {ONCE}", id="cancel is once"),
        pytest.param({"cancel": {}}, {"cancel": None}, f"control.cancel {ONCE}", id="cancel is not taken back"),
        pytest.param({"cancel": {}}, None, f"control.cancel {ONCE}", id="cancel is not taken back with control"),
        pytest.param({}, {"rollback": {"reason": "bad"}}, "", id="a rollback is asked for"),
        pytest.param(
            {"rollback": {}}, {"rollback": {"reason": "x"}}, f"control.rollback {ONCE}", id="rollback is once"
        ),
        pytest.param({"rollback": {}}, {"rollback": None}, f"control.rollback {ONCE}", id="rollback is not taken back"),
        pytest.param({}, {"overrides": [SKIP]}, "", id="a first override"),
        pytest.param({"overrides": [SKIP]}, {"overrides": [SKIP, RETRY]}, "", id="an override is added"),
        pytest.param({"overrides": [SKIP]}, {"overrides": [SKIP, SKIP]}, "", id="the same override is added again"),
        pytest.param({"overrides": [SKIP]}, {"overrides": [RETRY]}, APPEND, id="an override is not changed"),
        pytest.param({"overrides": [SKIP, SKIP]}, {"overrides": [SKIP, RETRY]}, APPEND, id="the second neither"),
        pytest.param({"overrides": [SKIP]}, {"overrides": [RETRY, SKIP]}, APPEND, id="none is put before it"),
        pytest.param({"overrides": [SKIP]}, {"overrides": []}, APPEND, id="overrides are not taken back"),
        pytest.param({"overrides": [SKIP]}, {"overrides": None}, APPEND, id="overrides are not taken away"),
        pytest.param({"overrides": [SKIP]}, None, APPEND, id="overrides are not taken away with control"),
        pytest.param({"overrides": [SKIP] * 255}, {"overrides": [SKIP] * 255 + [RETRY]}, "", id="the 256th is added"),
        pytest.param(
            {"overrides": [SKIP] * 256}, {"overrides": [SKIP] * 255 + [RETRY]}, APPEND, id="the 256th is not changed"
        ),
    ],
)
def test_control_is_changed_as_people_may(
    api: Api, request: pytest.FixtureRequest, before: dict[str, Any], patch: dict[str, Any] | None, message: str
) -> None:
    """Pausing is free; cancel and rollback are given once; overrides are only added."""
    body = a_workflow("control-")
    body["metadata"] = {"generateName": "control-"}
    body["spec"]["control"] = before
    name = api.call("POST", WORKFLOWS, body).object["metadata"]["name"]

    answer = api.patch(f"{WORKFLOWS}/{name}", {"spec": {"control": patch}})

    assert (message in answer.message, answer.code) == (True, 422 if message else 200)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param(WORKFLOWS, a_workflow("both-at-once"), {"phase": "executing", "sequence": 7}, id="workflow"),
        pytest.param(EXECUTIONS, an_execution("both-at-once"), {"phase": "executing"}, id="execution"),
    ],
)
def test_a_changed_status_does_not_open_the_spec(
    api: Api, path: str, body: dict[str, Any], status: dict[str, Any]
) -> None:
    """The rules are not looked at in writes of the status; those keep the spec, and other writes keep the status."""
    made = api.call("POST", path, copy.deepcopy(body)).object
    where = f"{path}/{body['metadata']['name']}"
    first = copy.deepcopy(made) | {"status": status}
    assert api.call("PUT", f"{where}/status", first).code == 200
    kept = api.call("GET", where).object

    forged = copy.deepcopy(body) | {"status": status | {"sequence": 8, "phase": "completed"}}
    forged["spec"] |= {"executionStrategy": {"priority": "high"}} if path == WORKFLOWS else {"action": "drain_node"}
    message = refused(api, path, forged)
    forged["metadata"]["resourceVersion"] = kept["metadata"]["resourceVersion"]
    through_status = api.call("PUT", f"{where}/status", forged)

    assert "immutable" in message
    assert (200, kept["spec"]) == (through_status.code, api.call("GET", where).object["spec"])
