"""Approvals on a real API server: whose word counts, and every way to get in without one (F57).

Each person has a token of their own; alice and bob hold the verb `approve`, carol and mallory do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pytest

from schemas.names import (
    ANNOTATION_APPROVAL,
    ANNOTATION_APPROVAL_REASON,
    ANNOTATION_APPROVED_PLAN,
    ANNOTATION_APPROVER,
)
from tests.admission.gate import a_run, succeeded
from tests.admission.people import APPLY, JSON_PATCH, MERGE, word

if TYPE_CHECKING:
    from tests.admission.gate import Gate
    from tests.schemas.api import Answer

pytestmark = pytest.mark.real
Attack = Callable[["Gate", str], "Answer"]
"""What somebody tries on the object at a path."""

NOT_YOUR_NAME: Final = "the annotation approver must be your own name, as the API server knows you: "
NO_RIGHT: Final = "may not approve or reject: that needs the verb approve on workflowexecutions"
OTHER_PLAN: Final = "the annotation approved-plan must be the digest of the plan"
NO_PLAN: Final = "there is no plan yet"
STAYS: Final = "this plan was approved or rejected already, and the word stays as it was given"
NOT_A_WORD: Final = "the annotation approval must be approved or rejected, and what was said is not taken away"
AT_CREATION: Final = "a workflow is created without an approval"
RECORDS: Final = "are the executor bridge's to write"


def applied(annotations: dict[str, str]) -> dict[str, Any]:
    """Return what a server-side apply of annotations sends."""
    kinds = {"apiVersion": "workflowexecution.kubernaut.io/v1", "kind": "WorkflowExecution"}
    return kinds | {"metadata": {"annotations": annotations}}


def json_patch(annotations: dict[str, str], *, there: bool = False) -> list[dict[str, Any]]:
    """Return the JSON patch that writes annotations; `there`: some are on the object already."""
    if not there:
        return [{"op": "add", "path": "/metadata/annotations", "value": annotations}]
    return [
        {"op": "add", "path": f"/metadata/annotations/{name.replace('/', '~1')}", "value": value}
        for name, value in annotations.items()
    ]


def replaced(gate: Gate, where: str, annotations: dict[str, str]) -> dict[str, Any]:
    """Return the whole object with other annotations."""
    body: dict[str, Any] = gate.admin.call("GET", where).object
    body["metadata"]["annotations"] = annotations
    return body


SPOOFS: Final[dict[str, tuple[Attack, str]]] = {
    "without the verb, in one's own name": (
        lambda gate, run: gate.carol.annotate(run, word(gate.carol.name)),
        NO_RIGHT,
    ),
    "without the verb, a rejection": (
        lambda gate, run: gate.carol.annotate(run, word(gate.carol.name, "rejected")),
        NO_RIGHT,
    ),
    "without the verb, in an approver's name": (
        lambda gate, run: gate.carol.annotate(run, word(gate.alice.name)),
        NOT_YOUR_NAME,
    ),
    "with a right to everything but the verb": (
        lambda gate, run: gate.mallory.annotate(run, word(gate.mallory.name)),
        NO_RIGHT,
    ),
    "an approver in another's name": (
        lambda gate, run: gate.bob.annotate(run, word(gate.alice.name)),
        NOT_YOUR_NAME,
    ),
    "an approver in nobody's name": (
        lambda gate, run: gate.bob.annotate(run, {**word(""), ANNOTATION_APPROVER: None}),
        NOT_YOUR_NAME,
    ),
    "an administrator in another's name": (
        lambda gate, run: gate.admin.annotate(run, word(gate.alice.name)),
        NOT_YOUR_NAME,
    ),
    "posing as an approver": (
        lambda gate, run: gate.carol.posing_as(gate.alice.name).annotate(run, word(gate.alice.name)),
        "cannot impersonate",
    ),
    "an administrator posing as somebody without the verb": (
        lambda gate, run: gate.admin.posing_as(gate.carol.name).annotate(run, word(gate.carol.name)),
        NO_RIGHT,
    ),
    "an administrator posing as somebody, in the own name": (
        lambda gate, run: gate.admin.posing_as(gate.alice.name).annotate(run, word(gate.admin.name)),
        NOT_YOUR_NAME,
    ),
    "with another's name as field manager": (
        lambda gate, run: gate.bob.annotate(f"{run}?fieldManager=alice", word(gate.alice.name)),
        NOT_YOUR_NAME,
    ),
    "by server-side apply": (
        lambda gate, run: gate.bob.call(
            "PATCH", f"{run}?fieldManager=alice&force=true", applied(word(gate.alice.name)), kind=APPLY
        ),
        NOT_YOUR_NAME,
    ),
    "by JSON patch": (
        lambda gate, run: gate.bob.call("PATCH", run, json_patch(word(gate.alice.name)), kind=JSON_PATCH),
        NOT_YOUR_NAME,
    ),
    "by an update of the whole object": (
        lambda gate, run: gate.bob.call("PUT", run, replaced(gate, run, word(gate.alice.name))),
        NOT_YOUR_NAME,
    ),
    "through the status": (
        lambda gate, run: gate.mallory.call(
            "PATCH",
            f"{run}/status",
            {"status": {"validationResults": {"approvalReceived": True, "approvedBy": gate.alice.name}}},
            kind=MERGE,
        ),
        RECORDS,
    ),
    "of another plan": (
        lambda gate, run: gate.alice.annotate(run, word(gate.alice.name, plan="another")),
        OTHER_PLAN,
    ),
    "of no plan": (
        lambda gate, run: gate.alice.annotate(run, word(gate.alice.name, plan=None)),
        OTHER_PLAN,
    ),
    "neither yes nor no": (
        lambda gate, run: gate.alice.annotate(run, word(gate.alice.name, "perhaps")),
        NOT_A_WORD,
    ),
    "a plan without a verdict": (
        lambda gate, run: gate.alice.annotate(run, {ANNOTATION_APPROVED_PLAN: "x"}),
        NOT_A_WORD,
    ),
}


@pytest.mark.parametrize("how", SPOOFS)
def test_a_spoof_is_refused_and_leaves_nothing(gate: Gate, how: str) -> None:
    """Whoever writes it in whatever way: the reason is told, and the object is as it was."""
    attack, why = SPOOFS[how]
    run = gate.a_waiting_run()
    before = gate.admin.call("GET", run).object

    answer = attack(gate, run)

    assert (answer.code, why in answer.message) == (403, True), answer.message
    assert before == gate.admin.call("GET", run).object


def test_annotations_do_not_come_in_with_a_status(gate: Gate) -> None:
    """Not even by who may write the status: the server keeps the metadata of a status to itself."""
    run = gate.a_waiting_run()
    before = gate.annotations(run)
    body = gate.admin.call("GET", run).object
    body["metadata"]["annotations"] = word(gate.alice.name)

    answer = gate.bridge.call("PUT", f"{run}/status", body)

    assert (200, before) == (answer.code, gate.annotations(run))


@pytest.mark.parametrize("verdict", ["approved", "rejected"])
def test_an_approver_says_it_in_his_own_name(gate: Gate, verdict: str) -> None:
    """What is written stands on the object."""
    run = gate.a_waiting_run()

    answer = gate.alice.annotate(run, word(gate.alice.name, verdict))

    assert (200, word(gate.alice.name, verdict)) == (answer.code, gate.annotations(run)), answer.message


@pytest.mark.parametrize(
    ("method", "kind"), [("PATCH", JSON_PATCH), ("PATCH", APPLY), ("PUT", "application/json")], ids=str
)
def test_the_way_of_writing_makes_no_difference(gate: Gate, method: str, kind: str) -> None:
    """What is refused in another's name is taken in one's own."""
    run, own = gate.a_waiting_run(), word(gate.alice.name)
    body = {JSON_PATCH: json_patch(own), APPLY: applied(own)}.get(kind) or replaced(gate, run, own)

    answer = gate.alice.call(method, f"{run}?fieldManager=x", body, kind=kind)

    assert (200, own) == (answer.code, gate.annotations(run)), answer.message


@pytest.mark.parametrize("by", ["alice", "admin"])
def test_a_workflow_is_not_created_with_an_approval(gate: Gate, by: str) -> None:
    """Nobody has seen a plan by then, an approver neither."""
    person = getattr(gate, by)

    answer = person.create(gate.namespace("open"), a_run(**word(person.name)))

    assert (answer.code, AT_CREATION in answer.message) == (403, True), answer.message


def test_a_workflow_is_not_created_with_an_approval_by_apply(gate: Gate) -> None:
    """A server-side apply of what is not there creates it."""
    run = gate.workflow("applied")
    body = a_run() | applied(word(gate.alice.name))
    body["metadata"]["name"] = "applied"

    answer = gate.alice.call("PATCH", f"{run}?fieldManager=x", body, kind=APPLY)

    assert (answer.code, gate.admin.call("GET", run).code) == (403, 404), answer.message
    assert AT_CREATION in answer.message


@pytest.mark.parametrize("strategy", [{}, {"approvalRequired": False}, None], ids=["nothing", "no", "no strategy"])
def test_a_namespace_can_ask_for_an_approval_of_every_workflow(gate: Gate, strategy: dict[str, Any] | None) -> None:
    """Else whoever creates a workflow could do without; elsewhere that is their choice."""
    body = a_run()
    del body["spec"]["executionStrategy"]
    if strategy is not None:
        body["spec"]["executionStrategy"] = strategy

    answer = gate.carol.create(gate.namespace("named"), body)
    elsewhere = gate.carol.create(gate.namespace("long"), body)

    assert (403, 201) == (answer.code, elsewhere.code), elsewhere.message
    assert "this namespace asks for an approval of every workflow" in answer.message


def test_there_is_nothing_to_approve_before_the_plan(gate: Gate) -> None:
    """An approval is of a plan that a person has seen."""
    made = succeeded(gate.carol.create(gate.namespace("open"), a_run()))
    run = gate.workflow(made["metadata"]["name"])

    answers = [gate.alice.annotate(run, word(gate.alice.name, plan=plan)) for plan in (None, "", "3f0c5d1e9a7b2c48")]

    assert [(answer.code, NO_PLAN in answer.message) for answer in answers] == [(403, True)] * 3


AFTERWARDS: Final[dict[str, tuple[Attack, str]]] = {
    "another approver takes it over": (
        lambda gate, run: gate.bob.annotate(run, {ANNOTATION_APPROVER: gate.bob.name}),
        STAYS,
    ),
    "another approver gives a word of his own": (
        lambda gate, run: gate.bob.annotate(run, word(gate.bob.name, "rejected")),
        STAYS,
    ),
    "the approver changes his mind": (
        lambda gate, run: gate.alice.annotate(run, word(gate.alice.name, "rejected")),
        STAYS,
    ),
    "the approver changes the reason": (
        lambda gate, run: gate.alice.annotate(run, {ANNOTATION_APPROVAL_REASON: "never said"}),
        STAYS,
    ),
    "the approver names another plan": (
        lambda gate, run: gate.alice.annotate(run, {ANNOTATION_APPROVED_PLAN: "another"}),
        OTHER_PLAN,
    ),
    "the approver takes it back": (
        lambda gate, run: gate.alice.annotate(run, dict.fromkeys(word(""), None)),
        NOT_A_WORD,
    ),
    "somebody takes it away": (
        lambda gate, run: gate.carol.call(
            "PATCH", run, [{"op": "remove", "path": "/metadata/annotations"}], kind=JSON_PATCH
        ),
        NOT_A_WORD,
    ),
    "somebody takes the name away": (
        lambda gate, run: gate.carol.annotate(run, {ANNOTATION_APPROVER: None}),
        NOT_YOUR_NAME,
    ),
    "an administrator takes the name away": (
        lambda gate, run: gate.admin.annotate(run, {ANNOTATION_APPROVER: None}),
        NOT_YOUR_NAME,
    ),
    "somebody replaces the object by one without": (
        lambda gate, run: gate.carol.call("PUT", run, replaced(gate, run, {})),
        NOT_A_WORD,
    ),
    "somebody takes the fields over by apply": (
        lambda gate, run: gate.bob.call(
            "PATCH", f"{run}?fieldManager=alice&force=true", applied(word(gate.bob.name)), kind=APPLY
        ),
        STAYS,
    ),
}


@pytest.mark.parametrize("how", AFTERWARDS)
def test_a_word_stays_as_it_was_given(gate: Gate, how: str) -> None:
    """Whatever is tried afterwards: who approved which plan, and why, is what was written then."""
    attack, why = AFTERWARDS[how]
    run = gate.an_approved_run()

    answer = attack(gate, run)

    assert (answer.code, why in answer.message) == (403, True), answer.message
    assert word(gate.alice.name) == gate.annotations(run)


def test_an_apply_without_the_word_does_not_take_it_back(gate: Gate) -> None:
    """Fields that their manager does not apply any more would go."""
    run = gate.a_waiting_run()
    succeeded(gate.alice.call("PATCH", f"{run}?fieldManager=a", applied(word(gate.alice.name)), kind=APPLY))

    answer = gate.alice.call("PATCH", f"{run}?fieldManager=a", applied({"other": "x"}), kind=APPLY)

    assert (answer.code, NOT_A_WORD in answer.message) == (403, True), answer.message
    assert word(gate.alice.name) == gate.annotations(run)


def test_what_was_approved_cannot_become_something_else(gate: Gate) -> None:
    """An approval, then another action under it."""
    run = gate.an_approved_run()
    steps = [{"stepNumber": 1, "action": "drain_node", "parameters": {"node": "n1"}}]

    answers = [
        person.call("PATCH", run, {"spec": {"workflowDefinition": {"steps": steps}}}, kind=MERGE)
        for person in (gate.alice, gate.carol, gate.admin)
    ]

    assert [(answer.code, "immutable" in answer.message) for answer in answers] == [(422, True)] * 3


def test_a_word_on_an_earlier_plan_gives_way_to_one_on_the_plan_that_is_shown(gate: Gate) -> None:
    """A run whose plan is made anew is decided on anew."""
    run = gate.an_approved_run()
    body = gate.admin.call("GET", run).object
    body["status"]["executionPlan"]["digest"] = "another"
    succeeded(gate.bridge.call("PUT", f"{run}/status", body))

    taken_away = gate.bob.annotate(run, dict.fromkeys(word(""), None))
    answer = gate.bob.annotate(run, word(gate.bob.name, plan="another"))

    assert (403, 200) == (taken_away.code, answer.code), answer.message
    assert word(gate.bob.name, plan="another") == gate.annotations(run)


@pytest.mark.parametrize("by", ["carol", "alice", "bridge"])
def test_what_is_no_word_on_the_plan_is_written_as_before(gate: Gate, by: str) -> None:
    """Pausing, other annotations and labels are nobody's approval, before one and after it."""
    person = getattr(gate, by)
    change = {"metadata": {"annotations": {"team": "web"}, "labels": {"a": "b"}}, "spec": {"control": {"paused": True}}}

    answers = [person.call("PATCH", run, change, kind=MERGE) for run in (gate.a_waiting_run(), gate.an_approved_run())]

    assert [answer.code for answer in answers] == [200, 200], answers[-1].message


def test_other_namespaces_of_the_server_are_left_alone(gate: Gate) -> None:
    """Other tests are at work in them."""
    answer = gate.admin.create("default", a_run(**word("somebody")), options="?dryRun=All")

    assert answer.code == 201, answer.message


def test_a_name_with_an_approver_s_at_its_beginning_is_another_name(gate: Gate) -> None:
    """Names are compared whole."""
    run = gate.a_waiting_run()

    answers = [
        gate.alice.annotate(run, {**word(gate.alice.name), ANNOTATION_APPROVER: name})
        for name in (gate.alice.name + " ", gate.alice.name[:-1], gate.alice.name.upper(), "alice")
    ]

    assert [(answer.code, NOT_YOUR_NAME + gate.alice.name in answer.message) for answer in answers] == [(403, True)] * 4
    assert ANNOTATION_APPROVAL not in gate.annotations(run)
