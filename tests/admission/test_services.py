"""What the services and the commands write passes the policies; the same from anybody else does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner

from executor_bridge.execution import body_of
from kubernaut.__main__ import main
from runtime.cluster_errors import of_answer
from runtime.errors import ForbiddenError
from schemas.messages import CreateExecution, WorkflowRef
from schemas.names import (
    ANNOTATION_APPROVAL,
    ANNOTATION_APPROVAL_REASON,
    ANNOTATION_APPROVED_PLAN,
    ANNOTATION_APPROVER,
    ANNOTATION_CREATED_BY,
    FINALIZER,
    idempotency_key,
)
from tests.admission.gate import a_run, succeeded
from tests.admission.people import APPLY, DIGEST, JSON_PATCH, MERGE, word
from tests.schemas.api import EXECUTIONS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.admission.gate import Gate

pytestmark = pytest.mark.real
RECORDS: Final = "are the executor bridge's to write"
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def an_execution_of(gate: Gate, where: str) -> dict[str, Any]:
    """Return the execution that the bridge creates for the first step of a workflow, held until it is recorded."""
    meta = gate.admin.call("GET", where).object["metadata"]
    command = CreateExecution(
        step=1,
        attempt=1,
        purpose="execute",
        name=f"{meta['name']}-step-1",
        action="notify_only",
        parameters={"message": "hello"},
        timeout="1m",
        approved=True,
        idempotency_key=idempotency_key(meta["uid"], 1, 1),
        hold=True,
    )
    ref = WorkflowRef(namespace=meta["namespace"], name=meta["name"], uid=meta["uid"])
    return body_of(command, ref, command.parameters, TRACE)


def kubernaut(gate: Gate, by: str, verb: str, where: str, *words: str) -> tuple[int, str]:
    """Run a command of kubernaut as somebody; return its exit code and what it printed."""
    *_, namespace, _, name = where.split("/")
    place = ["-n", namespace, "--kubeconfig", gate.kubeconfigs[by], "--no-wait"]
    result = CliRunner().invoke(main, [verb, name, *words, *place])
    return result.exit_code, result.output


@pytest.mark.parametrize(("verb", "verdict"), [("approve", "approved"), ("reject", "rejected")])
def test_the_commands_decide_as_the_calling_user(gate: Gate, verb: str, verdict: str) -> None:
    """They write the name that the server knows, and the plan that was shown."""
    run = gate.a_waiting_run("strict", by="carol")

    code, told = kubernaut(gate, "alice", verb, run, "--reason", "CHG-1", "--yes")

    written = {
        ANNOTATION_APPROVAL: verdict,
        ANNOTATION_APPROVER: gate.alice.name,
        ANNOTATION_APPROVAL_REASON: "CHG-1",
        ANNOTATION_APPROVED_PLAN: DIGEST,
        ANNOTATION_CREATED_BY: gate.carol.name,
    }
    assert (0, written) == (code, gate.annotations(run)), told


def test_the_command_tells_who_may_not_approve_why(gate: Gate) -> None:
    """The sentence of the policy is what a person sees."""
    run = gate.a_waiting_run()

    code, told = kubernaut(gate, "carol", "approve", run, "--yes")

    assert (code, "may not approve or reject: that needs the verb approve" in told) == (1, True), told


def test_the_command_tells_that_four_eyes_are_asked_for(gate: Gate) -> None:
    """So that the person asks a colleague and does not look for a right that is missing."""
    run = gate.a_waiting_run("strict", by="alice")

    code, told = kubernaut(gate, "alice", "approve", run, "--yes")

    assert (code, "this namespace asks for four eyes" in told) == (1, True), told


def test_the_commands_create_as_the_calling_user(gate: Gate, tmp_path: Path) -> None:
    """Where four eyes are asked for and nobody else writes down who creates: a run, and a rerun of another's."""
    file = tmp_path / "workflow.yaml"
    file.write_text(json.dumps(a_run() | {"metadata": {"name": "by-command"}}))
    first, again = gate.workflow("by-command", "strict"), gate.workflow("by-command-again", "strict")
    place = ["-n", gate.namespace("strict"), "--kubeconfig"]

    run = CliRunner().invoke(main, ["run", str(file), "--detach", *place, gate.kubeconfigs["alice"]])
    gate.show_a_plan(first, phase="failed")
    rerun = ["rerun", "by-command", "--name", "by-command-again", *place, gate.kubeconfigs["bob"]]
    after = CliRunner().invoke(main, rerun)

    assert (0, 0) == (run.exit_code, after.exit_code), run.output + after.output
    assert gate.alice.name == gate.annotations(first)[ANNOTATION_CREATED_BY]
    assert gate.bob.name == gate.annotations(again)[ANNOTATION_CREATED_BY]


def test_nobody_creates_in_another_s_name_by_command(gate: Gate, tmp_path: Path) -> None:
    """What a file says stays, and is refused."""
    file = tmp_path / "workflow.yaml"
    named = {"name": "by-another", "annotations": {ANNOTATION_CREATED_BY: gate.bob.name}}
    file.write_text(json.dumps(a_run() | {"metadata": named}))

    place = ["-n", gate.namespace("strict"), "--kubeconfig", gate.kubeconfigs["alice"]]
    run = CliRunner().invoke(main, ["run", str(file), "--detach", *place])

    assert (1, True) == (run.exit_code, "created-by must be your own name" in run.output), run.output


@pytest.mark.parametrize(
    ("verb", "words"), [("pause", ()), ("skip", ("1", "--reason", "by hand")), ("cancel", ("--mode", "stop"))]
)
def test_the_commands_steer_as_before(gate: Gate, verb: str, words: tuple[str, ...]) -> None:
    """By people without the verb approve, on a run that was approved."""
    code, told = kubernaut(gate, "carol", verb, gate.an_approved_run(), *words)

    assert code == 0, told


def test_the_bridge_writes_all_that_it_has_to(gate: Gate) -> None:
    """A finalizer, statuses, an execution that is held, and the ends of both; the executor its status."""
    run = gate.an_approved_run()
    execution = an_execution_of(gate, run)
    where = gate.execution(execution["metadata"]["name"])
    let_go = [
        {"op": "test", "path": "/metadata/finalizers", "value": [FINALIZER]},
        {"op": "remove", "path": "/metadata/finalizers"},
    ]

    held = gate.bridge.call("PATCH", run, {"metadata": {"finalizers": [FINALIZER]}}, kind=MERGE)
    shown = held.object | {"status": held.object["status"] | {"phase": "executing", "sequence": 2}}
    told = gate.bridge.call("PUT", f"{run}/status", shown)
    created = gate.bridge.call("POST", EXECUTIONS.format(gate.namespace("open")), execution)
    ended = gate.mallory.call("PATCH", f"{where}/status", {"status": {"phase": "completed"}}, kind=MERGE)
    recorded = [gate.bridge.call("PATCH", each, let_go, kind=JSON_PATCH) for each in (where, run)]
    gone = gate.bridge.call("DELETE", where)

    answers = [held, told, created, ended, *recorded, gone]
    assert [answer.code for answer in answers] == [200, 200, 201, 200, 200, 200, 200], [a.message for a in answers]


@pytest.mark.parametrize("way", ["create", "apply"])
def test_nobody_else_creates_an_execution(gate: Gate, way: str) -> None:
    """One that says that it was approved would be carried out without anybody's word."""
    execution = an_execution_of(gate, gate.a_waiting_run())
    path = EXECUTIONS.format(gate.namespace("open"))
    where = gate.execution(execution["metadata"]["name"])

    if way == "create":
        answer = gate.mallory.call("POST", path, execution)
    else:
        answer = gate.mallory.call("PATCH", f"{where}?fieldManager=bridge", execution, kind=APPLY)

    assert (answer.code, gate.admin.call("GET", where).code) == (403, 404), answer.message
    assert RECORDS in answer.message


@pytest.mark.parametrize("kind", ["application/json", MERGE, APPLY])
def test_nobody_else_writes_the_status_of_a_workflow(gate: Gate, kind: str) -> None:
    """With a right to the subresource, too: it tells what was decided, and the plan that people approve."""
    run = gate.a_waiting_run()
    before = gate.admin.call("GET", run).object
    body = before | {"status": before["status"] | {"phase": "executing", "sequence": 9}}
    if kind == APPLY:
        body = {name: body[name] for name in ("apiVersion", "kind", "status")}
    method, options = {
        "application/json": ("PUT", ""),
        MERGE: ("PATCH", ""),
        APPLY: ("PATCH", "?fieldManager=bridge&force=true"),
    }[kind]

    answer = gate.mallory.call(method, f"{run}/status{options}", body, kind=kind)

    assert (answer.code, RECORDS in answer.message) == (403, True), answer.message
    assert before == gate.admin.call("GET", run).object


def test_the_missing_verb_is_a_missing_right_to_the_bridge(gate: Gate) -> None:
    """It tries again for a while, as with any right, where the refusal of a policy is final."""
    path = EXECUTIONS.format(gate.namespace("open"))
    execution = an_execution_of(gate, gate.a_waiting_run())
    own = gate.a_waiting_run("strict", by="alice")

    missing = gate.mallory.call("POST", path, execution)
    refused = gate.alice.annotate(own, word(gate.alice.name))

    errors = [of_answer(answer.code, answer.raw, what="x") for answer in (missing, refused)]
    assert [True, False] == [isinstance(error, ForbiddenError) for error in errors], errors
    assert f'User "{gate.mallory.name}" cannot record workflowexecutions' in missing.message


def test_nobody_else_takes_the_finalizer_off(gate: Gate) -> None:
    """Deleted with it, a run ends as it should; without, nobody would know how it ended."""
    run = gate.a_waiting_run()
    succeeded(gate.bridge.call("PATCH", run, {"metadata": {"finalizers": [FINALIZER, "test/other"]}}, kind=MERGE))

    alone = gate.carol.call("PATCH", run, {"metadata": {"finalizers": [FINALIZER]}}, kind=MERGE)
    answers = [
        gate.carol.call("PATCH", run, {"metadata": {"finalizers": other}}, kind=MERGE)
        for other in (None, [], ["test/other"])
    ]
    recorded = gate.bridge.call("PATCH", run, {"metadata": {"finalizers": None}}, kind=MERGE)

    assert [(answer.code, RECORDS in answer.message) for answer in answers] == [(403, True)] * 3
    assert (200, 200) == (alone.code, recorded.code), recorded.message


def test_nobody_else_lets_an_execution_go(gate: Gate) -> None:
    """One whose action is not idempotent stays until the log holds how it ended."""
    execution = an_execution_of(gate, gate.a_waiting_run())
    where = gate.execution(execution["metadata"]["name"])
    succeeded(gate.bridge.call("POST", EXECUTIONS.format(gate.namespace("open")), execution))

    answer = gate.mallory.call("PATCH", where, {"metadata": {"finalizers": None}}, kind=MERGE)
    recorded = gate.bridge.call("PATCH", where, {"metadata": {"finalizers": None}}, kind=MERGE)

    assert (answer.code, RECORDS in answer.message) == (403, True), answer.message
    assert recorded.code == 200, recorded.message


def test_an_administrator_still_helps(gate: Gate) -> None:
    """Whoever holds every verb can take a finalizer off by hand, for a product that is not there any more."""
    made = succeeded(gate.carol.create(gate.namespace("open"), a_run()))
    run = gate.workflow(made["metadata"]["name"])
    succeeded(gate.bridge.call("PATCH", run, {"metadata": {"finalizers": [FINALIZER]}}, kind=MERGE))

    answer = gate.admin.call("PATCH", run, {"metadata": {"finalizers": None}}, kind=MERGE)

    assert answer.code == 200, answer.message
