"""What stays as it was created, also where the resource definitions have no say."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, Final

import pytest

from schemas.crds import execution_crd, workflow_crd
from schemas.names import (
    ANNOTATION_RERUN_FROM,
    ANNOTATION_RERUN_OF,
    EXECUTION_GROUP,
    LABEL_STEP,
    LABEL_WORKFLOW,
    WORKFLOW_GROUP,
)
from tests.admission.gate import LABEL, Gate, Seen, a_run, succeeded, until
from tests.admission.manifests import Manifest, only_where, shipped
from tests.admission.people import MERGE
from tests.schemas.api import CRDS, EXECUTIONS
from tests.schemas.builders import a_full_workflow, an_execution

pytestmark = pytest.mark.real
ORIGINS: Final = {ANNOTATION_RERUN_OF: "0b9c", ANNOTATION_RERUN_FROM: "2"}
LABELS: Final = {LABEL_WORKFLOW: "0b9c", LABEL_STEP: "2"}


@pytest.mark.parametrize("name", [ANNOTATION_RERUN_OF, ANNOTATION_RERUN_FROM])
@pytest.mark.parametrize("value", ["9", None], ids=["changed", "taken away"])
def test_what_a_run_is_the_rerun_of_stays(gate: Gate, name: str, value: str | None) -> None:
    """The history of a run would lead elsewhere."""
    made = succeeded(gate.carol.create(gate.namespace("open"), a_run(**ORIGINS)))
    run = gate.workflow(made["metadata"]["name"])

    answers = [person.annotate(run, {name: value}) for person in (gate.carol, gate.bridge, gate.admin)]

    assert [(answer.code, "never changed" in answer.message) for answer in answers] == [(422, True)] * 3
    assert ORIGINS == gate.annotations(run)


def test_a_run_does_not_become_a_rerun_later(gate: Gate) -> None:
    """What is not there is not added."""
    run = gate.a_waiting_run()

    answer = gate.carol.annotate(run, ORIGINS)

    assert (answer.code, {}) == (422, gate.annotations(run)), answer.message


@pytest.mark.parametrize("name", [LABEL_WORKFLOW, LABEL_STEP])
@pytest.mark.parametrize("value", ["9", None], ids=["changed", "taken away"])
def test_which_step_an_execution_is_of_stays(gate: Gate, name: str, value: str | None) -> None:
    """It could be taken for another step's."""
    body = an_execution("") | {"metadata": {"generateName": "step-", "labels": LABELS}}
    made = succeeded(gate.bridge.call("POST", EXECUTIONS.format(gate.namespace("open")), body))
    where = gate.execution(made["metadata"]["name"])

    answers = [
        person.call("PATCH", where, {"metadata": {"labels": {name: value}}}, kind=MERGE)
        for person in (gate.mallory, gate.bridge, gate.admin)
    ]
    other = gate.mallory.call("PATCH", where, {"metadata": {"labels": {"team": "web"}}}, kind=MERGE)

    assert [(answer.code, "never changed" in answer.message) for answer in answers] == [(422, True)] * 3
    assert (200, LABELS | {"team": "web"}) == (other.code, other.object["metadata"].get("labels")), other.message


class Edited:
    """Both resource definitions without a rule in them, under groups of the test's own, and the policies on those."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._groups = {group: f"{gate.mark}.{group}" for group in (WORKFLOW_GROUP, EXECUTION_GROUP)}

    def install(self) -> None:
        """Make the definitions, and put the policies in force."""
        for definition in (workflow_crd(), execution_crd()):
            self._define(_without_rules(definition))
        for manifest in shipped("immutability.yaml"):
            self._gate.put(self._moved(only_where(manifest, LABEL, self._gate.mark)))
        for plural, body in (
            ("workflowexecutions", a_full_workflow("probe")),
            ("kubernetesexecutions", an_execution("probe")),
        ):
            where = self.put(plural, body)
            until(partial(self._refused, where), f"immutability of {plural}")

    def put(self, plural: str, body: dict[str, Any]) -> str:
        """Create an object and return where it is."""
        group = next(moved for group, moved in self._groups.items() if group.startswith(plural[:-1]))
        path = f"/apis/{group}/v1/namespaces/{self._gate.namespace('open')}/{plural}"
        made = succeeded(self._gate.admin.call("POST", path, body | {"apiVersion": f"{group}/v1"}))
        return f"{path}/{made['metadata']['name']}"

    def _define(self, definition: Manifest) -> None:
        spec, meta = definition["spec"], definition["metadata"]
        spec["group"] = self._groups[spec["group"]]
        spec["names"] = {name: word for name, word in spec["names"].items() if name not in {"shortNames", "categories"}}
        meta["name"] = f"{spec['names']['plural']}.{spec['group']}"
        self._gate.put_at(f"{CRDS}/{meta['name']}", definition)
        path = f"/apis/{spec['group']}/v1/namespaces/{self._gate.namespace('open')}/{spec['names']['plural']}"
        until(lambda: _established(self._gate, f"{CRDS}/{meta['name']}"), f"the definition of {meta['name']}")
        until(lambda: _served(self._gate, path), path)

    def _moved(self, manifest: Manifest) -> Manifest:
        manifest["metadata"]["name"] += ".edited"
        spec = manifest["spec"]
        if "policyName" in spec:
            spec["policyName"] += ".edited"
            return manifest
        for rule in spec["matchConstraints"]["resourceRules"]:
            rule["apiGroups"] = [self._groups[group] for group in rule["apiGroups"]]
        return manifest

    def _refused(self, where: str) -> Seen:
        change = {"metadata": {"annotations": {ANNOTATION_RERUN_OF: "x"}, "labels": {LABEL_STEP: "x"}}}
        answer = self._gate.admin.call("PATCH", f"{where}?dryRun=All", change, kind=MERGE)
        return answer.code == 422, answer


def _established(gate: Gate, path: str) -> Seen:
    answer = gate.admin.call("GET", path)
    conditions = answer.object.get("status", {}).get("conditions") or ()
    return any((one["type"], one["status"]) == ("Established", "True") for one in conditions), answer


def _served(gate: Gate, path: str) -> Seen:
    answer = gate.admin.call("GET", path)
    return answer.code == 200, answer


def _without_rules(definition: Manifest) -> Manifest:
    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: stripped(one) for name, one in value.items() if name != "x-kubernetes-validations"}
        return [stripped(one) for one in value] if isinstance(value, list) else value

    bare: Manifest = stripped(copy.deepcopy(definition))
    return bare


@pytest.fixture(scope="module")
def edited(gate: Gate) -> Edited:
    """Definitions that somebody has taken the rules out of."""
    made = Edited(gate)
    made.install()
    return made


SPEC: Final[dict[str, Any]] = {
    "remediationRequestRef": {"remediationRequestRef": {"name": "another"}},
    "workflowDefinition": {"workflowDefinition": {"version": "2"}},
    "executionStrategy": {"executionStrategy": {"approvalRequired": True}},
    "executionStrategy, taken away": {"executionStrategy": None},
    "adaptiveOrchestration": {"adaptiveOrchestration": {"optimizationEnabled": False}},
    "the steps of workflowDefinition": {"workflowDefinition": {"steps": [{"stepNumber": 1, "action": "drain_node"}]}},
}


@pytest.mark.parametrize("part", SPEC)
def test_the_spec_of_a_workflow_stays_when_the_definition_does_not_hold_it(
    gate: Gate, edited: Edited, part: str
) -> None:
    """Every part but control, whoever asks."""
    body = a_full_workflow("") | {"metadata": {"generateName": "full-"}}
    where = edited.put("workflowexecutions", body)
    before = gate.admin.call("GET", where).object

    answer = gate.admin.call("PATCH", where, {"spec": SPEC[part]}, kind=MERGE)
    control = gate.admin.call("PATCH", where, {"spec": {"control": {"paused": False}}}, kind=MERGE)

    assert (answer.code, "everything in spec but control is immutable" in answer.message) == (422, True)
    assert (200, before["spec"] | {"control": {"paused": False}}) == (control.code, control.object["spec"])


@pytest.mark.parametrize(
    "change", [{"action": "drain_node"}, {"approvalReceived": False}, {"parameters": {"text": "b"}}]
)
def test_the_spec_of_an_execution_stays_when_the_definition_does_not_hold_it(
    gate: Gate, edited: Edited, change: dict[str, Any]
) -> None:
    """All of it."""
    body = an_execution("") | {"metadata": {"generateName": "full-"}}
    where = edited.put("kubernetesexecutions", body)

    answer = gate.admin.call("PATCH", where, {"spec": change}, kind=MERGE)

    assert (answer.code, "the spec of an execution is immutable" in answer.message) == (422, True), answer.message
