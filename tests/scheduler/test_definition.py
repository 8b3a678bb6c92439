"""What is read of a workflow object, whatever it holds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scheduler.definition import Approval, Definition, control_of, read
from schemas.messages import WorkflowChanged, WorkflowRef
from schemas.names import (
    ANNOTATION_APPROVAL,
    ANNOTATION_APPROVAL_REASON,
    ANNOTATION_APPROVED_PLAN,
    ANNOTATION_APPROVER,
    ANNOTATION_RERUN_OF,
    FINALIZER,
)
from schemas.workflow import Control, RemediationRequestRef
from tests.scheduler.builders import a_workflow, definition_of
from tests.scheduler.specs import a_spec, a_written_step

A_REQUEST = {"apiVersion": "remediation.kubernaut.io/v1", "kind": "RemediationRequest", "name": "oom-7", "uid": "r-1"}
APPROVED = {
    ANNOTATION_APPROVAL: "approved",
    ANNOTATION_APPROVER: "alice",
    ANNOTATION_APPROVAL_REASON: "CHG-1042",
    ANNOTATION_APPROVED_PLAN: "ab12",
}
AN_APPROVAL = Approval(verdict="approved", by="alice", reason="CHG-1042", plan="ab12")


def read_object(found: Any, *, version: str = "5") -> Definition:
    """Read an object that came under a subject with the namespace `shop` and the uid `u-1`."""
    raw = msgspec.Raw(found if isinstance(found, bytes) else msgspec.json.encode(found))
    return read(WorkflowChanged(resource_version=version, object=raw), uid="u-1", namespace="shop", sequence=7)


def with_metadata(**metadata: Any) -> Definition:
    """Read a workflow with this metadata."""
    return definition_of(a_workflow(metadata=metadata))


def test_all_that_the_scheduler_needs_is_read() -> None:
    """From the metadata, the spec and the status."""
    found = {
        "metadata": {
            "name": "leak",
            "namespace": "till",
            "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:01Z",
            "finalizers": ["other", FINALIZER],
            "annotations": {**APPROVED, ANNOTATION_RERUN_OF: "u-0"},
            "ownerReferences": [A_REQUEST],
        },
        "spec": {
            "remediationRequestRef": {"name": "oom-7"},
            "workflowDefinition": {"name": "leak", "version": "1", "steps": [a_written_step()]},
        },
        "status": {"phase": "completed", "sequence": 12},
    }
    definition = read_object(found, version="42")

    request = RemediationRequestRef(name="oom-7")
    expected = Definition(
        ref=WorkflowRef(namespace="till", name="leak", uid="u-1"),
        correlation_id="oom-7",
        sequence=7,
        version=42,
        generation=3,
        deleted=False,
        deleting=False,
        held=True,
        spec=msgspec.structs.replace(a_spec(a_written_step()), remediation_request_ref=request),
        spec_hash=definition.spec_hash,
        size=len(msgspec.json.encode(found)),
        decided=12,
        finished=True,
        approval=AN_APPROVAL,
        owned=True,
        created_at=1_767_225_601_000,
        rerun_of="u-0",
        errors=(),
    )
    assert expected == definition


@pytest.mark.parametrize(
    ("found", "error"),
    [
        pytest.param({}, "the object cannot be read: Object missing required field `spec`", id="an empty object"),
        pytest.param(
            {"spec": "text"}, "the object cannot be read: Expected `object`, got `str`", id="a spec that is text"
        ),
        pytest.param([], "the object cannot be read: Expected `object`, got `array`", id="a list"),
        pytest.param(b"{", "the object cannot be read: Input data was truncated", id="half an object"),
    ],
)
def test_of_what_cannot_be_read_the_subject_is_known(found: Any, error: str) -> None:
    """So that its run fails under its own name, and nothing is guessed."""
    definition = read_object(found)

    expected = Definition(
        ref=WorkflowRef(namespace="shop", name="u-1", uid="u-1"),
        correlation_id="u-1",
        sequence=7,
        version=5,
        generation=0,
        deleted=False,
        deleting=False,
        held=False,
        spec=None,
        spec_hash="",
        size=len(found if isinstance(found, bytes) else msgspec.json.encode(found)),
        decided=0,
        finished=False,
        approval=None,
        owned=False,
        created_at=0,
        rerun_of="",
        errors=(),
    )
    assert expected == msgspec.structs.replace(definition, spec_hash="", errors=())
    assert [True] == [told.startswith(error) for told in definition.errors]


def test_nobody_asks_for_anything_on_an_object_that_cannot_be_read() -> None:
    """Its control is the plain one."""
    assert Control() == control_of(read_object({}))


@pytest.mark.parametrize(("written", "version"), [("42", 42), ("", 0), ("4x", 0)])
def test_a_version_that_is_no_number_is_older_than_any(written: str, version: int) -> None:
    """Kubernetes has numbers there, but promises none."""
    assert version == read_object(a_workflow(), version=written).version


def test_a_run_without_a_request_is_its_own_correlation() -> None:
    """Its uid tells its messages from others."""
    assert "u-1" == read_object(a_workflow()).correlation_id


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param(APPROVED, AN_APPROVAL, id="all that can be said"),
        pytest.param(
            {ANNOTATION_APPROVAL: "rejected"},
            Approval(verdict="rejected", by="", reason="", plan=""),
            id="a bare word, by nobody who is named",
        ),
        pytest.param(
            dict.fromkeys(APPROVED, "x" * 300),
            Approval(verdict="x" * 64, by="x" * 256, reason="x" * 256, plan="x" * 64),
            id="more than is kept",
        ),
        pytest.param(APPROVED | {ANNOTATION_APPROVAL: ""}, None, id="an empty word"),
        pytest.param({ANNOTATION_APPROVER: "alice"}, None, id="a name without a word"),
    ],
)
def test_what_stands_on_the_object_about_its_approval(annotations: dict[str, str], expected: Approval | None) -> None:
    """As it was written, up to a length."""
    assert expected == with_metadata(annotations=annotations).approval


def test_the_run_before_is_named_by_a_uid() -> None:
    """What is longer is none, and is cut."""
    assert "x" * 64 == with_metadata(annotations={ANNOTATION_RERUN_OF: "x" * 65}).rerun_of


@pytest.mark.parametrize(
    ("owner", "owned"),
    [
        pytest.param(A_REQUEST, True, id="a request"),
        pytest.param(A_REQUEST | {"apiVersion": "remediation.kubernaut.io/v2"}, True, id="one of another version"),
        pytest.param(A_REQUEST | {"apiVersion": "others.io/v1"}, False, id="one of another group"),
        pytest.param(A_REQUEST | {"kind": "Deployment"}, False, id="another kind of the group"),
        pytest.param({"kind": "RemediationRequest"}, False, id="one that names no group"),
        pytest.param({}, False, id="nothing that is named"),
    ],
)
def test_an_object_is_owned_by_a_remediation_request_only(owner: dict[str, Any], owned: bool) -> None:  # noqa: FBT001
    """Whatever else owns it beside."""
    beside = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c-1"}

    assert owned == with_metadata(ownerReferences=[beside, owner]).owned


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("2026-01-01T00:00:01Z", 1_767_225_601_000, id="a time"),
        pytest.param("2026-01-01T01:00:01.5+01:00", 1_767_225_601_500, id="with a zone and a fraction"),
        pytest.param(None, 0, id="none"),
        pytest.param("yesterday", 0, id="a word"),
    ],
)
def test_when_an_object_was_created(written: str | None, expected: int) -> None:
    """In ms; 0 where nobody knows."""
    assert expected == with_metadata(creationTimestamp=written).created_at


def test_a_spec_has_the_same_digest_in_any_order_and_under_any_control() -> None:
    """And in every version of the scheduler, which compares it with what the one before kept."""
    digests = {
        read_object(b'{"spec": {"b": 1, "a": 2}}').spec_hash,
        read_object(b'{"spec": {"a": 2, "control": {"paused": true}, "b": 1}}').spec_hash,
    }

    assert {"a07524cf6eb9b50d4d37c41da38f3ebd"} == digests


def test_a_spec_that_cannot_be_read_has_no_digest() -> None:
    """It is like no other, and like no spec of an earlier version."""
    assert "" == read_object({"spec": "text"}).spec_hash


def test_any_two_approvals_differ_in_their_mark() -> None:
    """In whatever they differ."""
    fields = ("verdict", "by", "reason", "plan")
    others = [msgspec.structs.replace(AN_APPROVAL, **{field: "other"}) for field in fields]

    assert 5 == len({AN_APPROVAL.mark, *(other.mark for other in others)})


def test_an_approval_has_the_same_mark_in_every_version_of_the_scheduler() -> None:
    """A state keeps the mark of one that came too early, and another scheduler must know it again."""
    assert "6a313a16971c658247ce683934eda51b" == AN_APPROVAL.mark
