"""Namespaces that ask for four eyes: who created a workflow is written down truly, and decides on another's only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from schemas.names import ANNOTATION_CREATED_BY
from tests.admission.gate import a_run, succeeded
from tests.admission.people import MERGE, word

if TYPE_CHECKING:
    from tests.admission.gate import Gate

pytestmark = pytest.mark.real
FOUR_EYES: Final = "this namespace asks for four eyes"
OWN_NAME: Final = "created-by must be your own name: "
NEVER_CHANGED: Final = "created-by is never changed"


@pytest.mark.parametrize("verdict", ["approved", "rejected"])
def test_nobody_decides_on_a_workflow_of_their_own(gate: Gate, verdict: str) -> None:
    """Alice may approve there, but not this one."""
    run = gate.a_waiting_run("strict", by="alice")

    answer = gate.alice.annotate(run, word(gate.alice.name, verdict))

    assert (answer.code, FOUR_EYES in answer.message) == (403, True), answer.message


def test_another_approver_decides(gate: Gate) -> None:
    """Two people have looked at it then."""
    run = gate.a_waiting_run("strict", by="alice")

    answer = gate.bob.annotate(run, word(gate.bob.name))

    assert answer.code == 200, answer.message


def test_the_creator_decides_where_four_eyes_are_not_asked_for(gate: Gate) -> None:
    """As in a namespace that says nothing of it."""
    run = gate.a_waiting_run("open", by="alice")

    answer = gate.alice.annotate(run, word(gate.alice.name))

    assert answer.code == 200, answer.message


@pytest.mark.parametrize("short", ["open", "strict", "named"])
@pytest.mark.parametrize("named", ["bob", "nobody"])
def test_nobody_creates_in_another_s_name(gate: Gate, short: str, named: str) -> None:
    """Whether four eyes are asked for or not: what is written there can be believed."""
    name = gate.bob.name if named == "bob" else ""

    answer = gate.alice.create(gate.namespace(short), a_run(**{ANNOTATION_CREATED_BY: name}))

    assert (answer.code, OWN_NAME + gate.alice.name in answer.message) == (403, True), answer.message


def test_a_creator_must_be_named_where_four_eyes_are_asked_for(gate: Gate) -> None:
    """The answer says which annotation is missing, and what must be in it."""
    answer = gate.alice.create(gate.namespace("strict"), a_run())

    assert (answer.code, OWN_NAME + gate.alice.name in answer.message) == (403, True), answer.message


@pytest.mark.parametrize("annotations", [{}, {"team": "web"}], ids=["alone", "beside others"])
def test_the_server_writes_down_who_creates(gate: Gate, annotations: dict[str, str]) -> None:
    """With creator.yaml nobody has to do it; then nobody decides on a workflow of their own there."""
    made = succeeded(gate.alice.create(gate.namespace("named"), a_run(**annotations)))
    run = gate.workflow(made["metadata"]["name"], "named")
    gate.show_a_plan(run)

    answer = gate.alice.annotate(run, word(gate.alice.name))

    assert annotations | {ANNOTATION_CREATED_BY: gate.alice.name} == gate.annotations(run)
    assert (answer.code, FOUR_EYES in answer.message) == (403, True), answer.message


@pytest.mark.parametrize("name", ["bob", "nobody"])
def test_a_creator_cannot_become_another(gate: Gate, name: str) -> None:
    """Neither before the approval nor together with it, and by an administrator neither."""
    run = gate.a_waiting_run("strict", by="alice")
    another = {ANNOTATION_CREATED_BY: gate.bob.name if name == "bob" else None}

    answers = [
        gate.alice.annotate(run, another),
        gate.admin.annotate(run, another),
        gate.carol.annotate(run, another),
    ]
    together = gate.alice.annotate(run, {**another, **word(gate.alice.name)})

    assert [(answer.code, NEVER_CHANGED in answer.message) for answer in answers] == [(403, True)] * 3
    assert (403, {ANNOTATION_CREATED_BY: gate.alice.name}) == (together.code, gate.annotations(run))


def test_a_creator_is_not_named_later(gate: Gate) -> None:
    """A workflow from before the policies cannot get one, and so nobody can decide on it."""
    run = gate.workflow("older", "strict")
    gate.show_a_plan(run)

    named = gate.alice.annotate(run, {ANNOTATION_CREATED_BY: gate.alice.name})
    answers = [gate.alice.annotate(run, word(gate.alice.name)), gate.bob.annotate(run, word(gate.bob.name))]

    assert (403, True) == (named.code, NEVER_CHANGED in named.message), named.message
    assert [(answer.code, FOUR_EYES in answer.message) for answer in answers] == [(403, True)] * 2


def test_who_writes_workflows_does_not_change_what_a_namespace_asks(gate: Gate) -> None:
    """The annotations of a namespace are not among what people may write in it."""
    path = f"/api/v1/namespaces/{gate.namespace('strict')}"

    codes = [
        gate.people[name].call("PATCH", path, {"metadata": {"annotations": None}}, kind=MERGE).code
        for name in gate.people
    ]

    assert codes == [403] * len(gate.people)
