"""What the bridge decides without I/O: what is still wanted, what is created, what was found, what people are told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from executor_bridge.decide import is_wanted, needs_last_decision, refusal_reason
from executor_bridge.execution import body_of, judge
from executor_bridge.kube_events import events_of
from schemas.execution import KubernetesExecution, KubernetesExecutionSpec, WorkflowExecutionRef
from schemas.messages import (
    Command,
    DeleteExecution,
    DeleteWorkflow,
    HoldWorkflow,
    Refusal,
    ReleaseExecution,
    ReleaseWorkflow,
    RunCheck,
    Transition,
)
from schemas.names import FINALIZER, NAME_LIMIT
from schemas.run_state import CheckState, MonitorState, RunState
from tests.executor_bridge.builders import UID, WORKFLOW, a_create, a_decision, a_side, a_state, a_step

CREATE = a_create(1)
DRY = a_create(1, purpose="dry_run")
UNDO = a_create(1, purpose="rollback")
CHECK = RunCheck(check="check-1", type="health")
LOOK = RunCheck(check="monitor-3", type="monitor")
AUDITED = RunCheck(check="audit-2", type="audit")
OPEN = CheckState("check-1", "health", required=True)
DONE = CheckState("check-1", "health", required=True, passed=True)
OURS: dict[str, Any] = body_of(CREATE, WORKFLOW, {}, "trace")


@pytest.mark.parametrize(
    ("command", "last", "wanted"),
    [
        pytest.param(CREATE, a_state(a_step(1, "executing")), True, id="the step waits for its execution"),
        pytest.param(CREATE, a_state(a_step(1, "executing", execution_uid="u")), False, id="it was observed already"),
        pytest.param(CREATE, a_state(a_step(1, "executing", attempt=2)), False, id="a later attempt is running"),
        pytest.param(CREATE, a_state(a_step(1, "completed")), False, id="the step has completed"),
        pytest.param(CREATE, a_state(a_step(1, "cancelled")), False, id="the step was cancelled"),
        pytest.param(CREATE, a_state(a_step(2, "executing")), False, id="there is no such step"),
        pytest.param(CREATE, a_state(a_step(1, "executing"), gone=True), False, id="the workflow is gone"),
        pytest.param(CREATE, a_state(a_step(1, "executing", ending="cancelled")), False, id="its end was commanded"),
        pytest.param(CREATE, a_state(a_step(1, "executing", abandoned=1)), False, id="it was given up unseen"),
        pytest.param(DRY, a_state(a_step(1), dry_runs=(a_side(1),)), True, id="the dry run waits"),
        pytest.param(DRY, a_state(a_step(1, "executing")), False, id="a step that executes is no dry run"),
        pytest.param(DRY, a_state(dry_runs=(a_side(1, execution_uid="u"),)), False, id="the dry run was observed"),
        pytest.param(DRY, a_state(dry_runs=(a_side(1, ending="cancelled"),)), False, id="the dry run is to end"),
        pytest.param(DRY, a_state(dry_runs=(a_side(1, phase="failed"),)), False, id="the dry run was over in time"),
        pytest.param(DRY, a_state(rollbacks=(a_side(1),)), False, id="a rollback is no dry run"),
        pytest.param(UNDO, a_state(a_step(1, "completed"), rollbacks=(a_side(1),)), True, id="the rollback waits"),
        pytest.param(UNDO, a_state(rollbacks=(a_side(1, attempt=2),)), False, id="the rollback is retried"),
        pytest.param(UNDO, a_state(rollbacks=(a_side(1),), gone=True), False, id="nothing is left to roll back"),
        pytest.param(HoldWorkflow(), a_state(), True, id="the run is to be recorded"),
        pytest.param(HoldWorkflow(), a_state(held=False), False, id="it was let go already"),
        pytest.param(HoldWorkflow(), a_state(deleting=True), False, id="the API takes no finalizer on what is going"),
        pytest.param(HoldWorkflow(), a_state(gone=True), False, id="nothing is there to hold"),
        pytest.param(ReleaseWorkflow(), a_state(held=False), True, id="letting go is harmless to repeat"),
        pytest.param(ReleaseExecution(name="x", uid="u", step=1), a_state(), True, id="so is releasing an execution"),
        pytest.param(DeleteExecution(name="x", uid="u", step=1), a_state(), True, id="so is deleting by uid"),
        pytest.param(CHECK, a_state(phase="validating", checks=(OPEN,)), True, id="the check is open"),
        pytest.param(CHECK, a_state(phase="validating", checks=(DONE,)), False, id="its result is known"),
        pytest.param(CHECK, a_state(phase="validating"), False, id="there is no such check"),
        pytest.param(CHECK, a_state(phase="failed", checks=(OPEN,)), False, id="the run ended without it"),
        pytest.param(CHECK, a_state(phase="validating", checks=(OPEN,), gone=True), False, id="nobody waits for it"),
        pytest.param(LOOK, a_state(phase="monitoring", monitor=MonitorState(looks=3)), True, id="the newest look"),
        pytest.param(LOOK, a_state(phase="monitoring", monitor=MonitorState(looks=4)), False, id="an older look"),
        pytest.param(LOOK, a_state(phase="completed", monitor=MonitorState(looks=3)), False, id="monitoring is over"),
        pytest.param(LOOK, a_state(phase="monitoring"), False, id="nothing was looked at yet"),
        pytest.param(AUDITED, a_state(phase="completed", audit_looks=2), True, id="the newest question"),
        pytest.param(AUDITED, a_state(phase="completed", audit_looks=3), False, id="it was asked again since"),
        pytest.param(AUDITED, a_state(phase="completed", audit_looks=2, gone=True), False, id="it was deleted by hand"),
        pytest.param(DeleteWorkflow(), a_state(phase="completed", audit_looks=1), True, id="ended and audited"),
        pytest.param(DeleteWorkflow(), a_state(phase="completed"), False, id="nobody asked for the audit"),
        pytest.param(
            DeleteWorkflow(), a_state(phase="completed", audit_looks=1, owned=True), False, id="a request owns it now"
        ),
        pytest.param(DeleteWorkflow(), a_state(audit_looks=1), False, id="a run that goes on is never deleted"),
        pytest.param(DeleteWorkflow(), a_state(phase="failed", audit_looks=1, gone=True), False, id="it is gone"),
    ],
)
def test_a_command_is_carried_out_only_while_the_last_decision_asks_for_it(
    command: Command,
    last: RunState,
    wanted: bool,  # noqa: FBT001
) -> None:
    """A create or a hold that comes late is void; what goes by uid is not."""
    assert is_wanted(command, last) is wanted


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        (CREATE, True),
        (HoldWorkflow(), True),
        (CHECK, True),
        (DeleteWorkflow(), True),
        (ReleaseWorkflow(), False),
        (DeleteExecution(name="x", uid="u", step=1), False),
    ],
)
def test_the_last_decision_is_read_for_commands_that_can_be_void(command: Command, needed: bool) -> None:  # noqa: FBT001
    """Only a command that may be void costs a read of the log."""
    assert needs_last_decision((ReleaseExecution(name="x", uid="u", step=1), command)) is needed


def test_the_execution_says_whose_it_is_and_what_is_to_be_done() -> None:
    """The object has the contract's fields, a controller that blocks its owner's deletion, and labels to find it by."""
    command = a_create(2, attempt=3, hold=True, target_cluster="east")
    body = body_of(command, WORKFLOW, {"pod": "web-1"}, "00-aa-bb-01")
    read = msgspec.convert(body, KubernetesExecution)

    assert read.spec == KubernetesExecutionSpec(
        workflow_execution_ref=WorkflowExecutionRef(name="restart-web", namespace="shop", uid=UID),
        step_number=2,
        attempt=3,
        action="restart_pod",
        parameters={"pod": "web-1"},
        target_cluster="east",
        idempotency_key=command.idempotency_key,
    )
    assert body["metadata"] == {
        "name": "restart-web-step-2-retry-2",
        "namespace": "shop",
        "labels": {
            "workflowexecution.kubernaut.io/workflow-uid": UID,
            "workflowexecution.kubernaut.io/step": "2",
        },
        "annotations": {"workflowexecution.kubernaut.io/traceparent": "00-aa-bb-01"},
        "ownerReferences": [
            {
                "apiVersion": "workflowexecution.kubernaut.io/v1",
                "kind": "WorkflowExecution",
                "name": "restart-web",
                "uid": UID,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        "finalizers": [FINALIZER],
    }


def test_an_approval_is_passed_on_to_the_executor() -> None:
    """What a person approved is said so on each execution."""
    body = body_of(a_create(1, approved=True), WORKFLOW, {}, "trace")

    assert (OURS["spec"]["approvalReceived"], body["spec"]["approvalReceived"]) == (False, True)


def test_every_field_of_the_contract_is_written() -> None:
    """The executor never has to know a default of ours."""
    written = {field.encode_name for field in msgspec.structs.fields(KubernetesExecutionSpec)}

    assert set(OURS["spec"]) == written


def test_an_execution_that_may_be_done_twice_is_not_held() -> None:
    """Only what must not be done twice carries our finalizer."""
    assert "finalizers" not in OURS["metadata"]


def found(**changes: Any) -> dict[str, Any]:
    """An object under our name, changed from ours."""
    body: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(OURS))
    body["metadata"] |= changes.get("metadata", {})
    body["spec"] |= changes.get("spec", {})
    return body


OTHER_OWNER = {"ownerReferences": [{"uid": "another", "controller": True}]}
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        pytest.param(found(), "ours", id="our owner and our key"),
        pytest.param(found(metadata=GOING), "ours", id="ours, deleted by hand: the watcher tells"),
        pytest.param(found(spec={"idempotencyKey": "another"}), "foreign", id="our owner, another key"),
        pytest.param(found(spec={"idempotencyKey": "another"}, metadata=GOING), "leaving", id="another key, going"),
        pytest.param(found(metadata=OTHER_OWNER), "leaving", id="a workflow of before, which may be collected"),
        pytest.param(found(metadata={"ownerReferences": []}), "foreign", id="nobody's: it stays"),
        pytest.param(
            found(metadata={"ownerReferences": [{"uid": UID}]}), "foreign", id="we own it but did not make it"
        ),
        pytest.param({}, "foreign", id="an object with nothing in it"),
    ],
)
def test_an_object_under_our_name_is_ours_only_by_owner_and_key(body: dict[str, Any], verdict: str) -> None:
    """A name proves nothing: owner and key do."""
    assert judge(body, WORKFLOW, CREATE.idempotency_key) == verdict


@pytest.mark.parametrize(
    ("reason", "message", "expected"),
    [
        ("forbidden", "denied by a policy", "forbidden"),
        ("unauthorized", "the credentials are not accepted", "forbidden"),
        ("", "no", "invalid"),
        ("invalid", "no", "invalid"),
        ("forbidden", "unable to create new content in namespace x because it is being terminated", "gone"),
    ],
)
def test_refusals_have_one_of_four_words(reason: str, message: str, expected: str) -> None:
    """The word for programs comes from the error; a namespace that is going is gone."""
    assert refusal_reason(reason, message) == expected


def moved(before: str, after: str, message: str = "") -> Transition:
    """A run went from one phase to the next."""
    return Transition(entity="workflow", what="moved", before=before, after=after, message=message)


def test_phases_that_one_decision_runs_through_are_one_event() -> None:
    """A run that goes straight into executing writes one Event, which names the way."""
    transitions = (moved("", "planning"), moved("planning", "validating"), moved("validating", "executing"))
    (event,) = events_of(a_decision(1, a_state(), transitions=transitions))

    assert {
        name: event[name] for name in ("type", "reason", "message", "source", "firstTimestamp", "involvedObject")
    } == {
        "type": "Normal",
        "reason": "Executing",
        "message": "The run went new -> planning -> validating -> executing.",
        "source": {"component": "kubernaut-workflow"},
        "firstTimestamp": "2026-01-01T00:00:01.000Z",
        "involvedObject": {
            "apiVersion": "workflowexecution.kubernaut.io/v1",
            "kind": "WorkflowExecution",
            "namespace": "shop",
            "name": "restart-web",
            "uid": UID,
        },
    }


def test_failures_and_refusals_are_warnings() -> None:
    """A failed step, a failed run and a refused request are each told as a warning; a completed step is not told."""
    decision = a_decision(
        7,
        a_state(phase="failed"),
        transitions=(
            Transition(entity="step", what="completed", before="executing", after="completed", step=1),
            Transition(
                entity="step",
                what="failed",
                before="executing",
                after="failed",
                step=2,
                attempt=1,
                action="restart_pod",
                message="out of memory",
            ),
            moved("executing", "failed", "step 2 failed"),
        ),
        refusals=(Refusal(operation="cancel", message="cancel is refused: it has ended"),),
    )

    assert [(e["type"], e["reason"], e["message"]) for e in events_of(decision)] == [
        ("Warning", "Failed", "step 2 failed (executing -> failed)"),
        ("Warning", "StepFailed", "Step 2 (restart_pod) failed in attempt 1: out of memory"),
        ("Warning", "CancelRefused", "cancel is refused: it has ended"),
    ]


def test_a_decision_without_anything_to_see_has_no_events() -> None:
    """Steps that start, and workflows that are gone, write nothing."""
    started = Transition(entity="step", what="ready", before="pending", after="executing", step=1)
    gone = a_decision(2, a_state(gone=True), transitions=(moved("executing", "cancelled"),))

    assert events_of(a_decision(1, a_state(), transitions=(started,))) == ()
    assert events_of(gone) == ()


def test_events_are_named_by_their_decision() -> None:
    """A repeat of a decision has the same names, another decision others; the longest workflow name fits."""
    workflow = msgspec.structs.replace(WORKFLOW, name="w" * NAME_LIMIT)
    names = [
        event["metadata"]["name"]
        for version in (1, 1, 2)
        for event in events_of(
            a_decision(version, a_state(), transitions=(moved("executing", "failed"),), workflow=workflow)
        )
    ]

    assert names[0] == names[1] != names[2]
    assert max(map(len, names)) <= NAME_LIMIT


def test_a_long_message_is_cut_to_what_the_api_takes() -> None:
    """The limit of an Event's message is 1024 bytes, whatever the letters are."""
    refusal = Refusal(operation="cancel", message="ü" * 2000)
    (event,) = events_of(a_decision(1, a_state(), refusals=(refusal,)))

    assert event["message"] == "ü" * 512
