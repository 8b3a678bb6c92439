"""What of a sighting gets onto the log, as tables; reading objects; floors; pace."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.errors import GoneError, StreamBrokenError, UnavailableError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from schemas.messages import ExecutionChanged, StatusChanged, WorkflowChanged, decode
from tests.watcher.builders import a_workflow, an_execution
from watcher.changes import Message, Sighting, message_for
from watcher.floor import Floor
from watcher.known import Entry
from watcher.objects import Seen, UnreadableError, read, shard_of
from watcher.pace import Pace, reason_of
from watcher.view import View

VIEW = View(resource=WORKFLOWS)
SERVED: dict[str, Any] = {"uid": "u-1", "resourceVersion": "7", "generation": 1}


def seen(version: int = 7, *, status: Any = None, **metadata: Any) -> Seen:
    """A version of the workflow u-1."""
    body = a_workflow("w", **{**SERVED, "resourceVersion": str(version), **metadata})
    if status is not None:
        body["status"] = status
    return read(VIEW.plural, msgspec.Raw(msgspec.json.encode(body)))


def known(version: int = 5, sequence: int = 3) -> Entry:
    """What is known after version 5 without labels was published."""
    first = message_for(VIEW, None, Sighting(seen=seen(version)), floor=0)
    assert first is not None
    assert first.entry is not None
    return msgspec.structs.replace(first.entry, sequence=sequence)


def kind_of(message: Message | None) -> type | None:
    """Type of the body that would be published."""
    return None if message is None else type(decode(message.event.type, message.event.data))


@pytest.mark.parametrize(
    ("entry", "sighting", "expected"),
    [
        pytest.param(None, Sighting(seen=seen()), WorkflowChanged, id="a new object is told whole"),
        pytest.param(known(), Sighting(seen=seen(5)), None, id="the version that the log has is dropped"),
        pytest.param(known(), Sighting(seen=seen(4, labels={"a": "b"})), None, id="an older version is dropped"),
        pytest.param(known(), Sighting(seen=seen(6, status={"phase": "failed"})), StatusChanged, id="status only"),
        pytest.param(known(), Sighting(seen=seen(6)), StatusChanged, id="nothing but the version: a status write"),
        pytest.param(known(), Sighting(seen=seen(6, labels={"a": "b"})), WorkflowChanged, id="a label is no status"),
        pytest.param(known(), Sighting(seen=seen(6, finalizers=["a/b"])), WorkflowChanged, id="a finalizer is none"),
        pytest.param(
            known(), Sighting(seen=seen(6, deletionTimestamp="2026-01-01T00:00:00Z")), WorkflowChanged, id="deleting"
        ),
        pytest.param(
            known(), Sighting(seen=seen(6, managedFields=[{}])), StatusChanged, id="managedFields are nobody's"
        ),
        pytest.param(known(), Sighting(seen=seen(6), deleted=True), WorkflowChanged, id="a deletion is told whole"),
        pytest.param(known(), Sighting(seen=seen(5), deleted=True, version=6), WorkflowChanged, id="found by a list"),
        pytest.param(known(), Sighting(seen=seen(3), deleted=True, version=5), None, id="a list as old as the log"),
        pytest.param(
            msgspec.structs.replace(known(), print=""), Sighting(seen=seen(6)), StatusChanged, id="after a restart too"
        ),
    ],
)
def test_only_news_is_published(entry: Entry | None, sighting: Sighting, expected: type | None) -> None:
    """Each sighting against what the log has: the message that is missing, or none."""
    message = message_for(VIEW, entry, sighting, floor=0)

    assert kind_of(message) == expected


def test_both_subjects_of_a_workflow_are_ordered_as_one() -> None:
    """Whole changes and status changes expect the last sequence over both of their subjects."""
    status = message_for(VIEW, known(sequence=9), Sighting(seen=seen(6)), floor=0)
    whole = message_for(VIEW, known(sequence=9), Sighting(seen=seen(6, labels={"a": "b"})), floor=0)

    assert status is not None
    assert whole is not None
    assert (status.event.subject, whole.event.subject) == (
        "kubernaut.change.status.shop.u-1",
        "kubernaut.change.workflow.shop.u-1",
    )
    assert {(m.expect, m.filter) for m in (status, whole)} == {(9, "kubernaut.change.*.shop.u-1")}


@pytest.mark.parametrize(
    ("deleted", "event_id"), [(False, "workflowexecutions/u-1/7"), (True, "workflowexecutions/u-1/deleted")]
)
def test_the_same_version_always_has_the_same_id(deleted: bool, event_id: str) -> None:  # noqa: FBT001 - a table
    """Ids are made of the object and its version, not of who saw it when."""
    first = message_for(VIEW, None, Sighting(seen=seen(), deleted=deleted), floor=0)
    second = message_for(VIEW, None, Sighting(seen=seen(), deleted=deleted), floor=5)

    assert first is not None
    assert second is not None
    assert [first.event.id, second.event.id] == [event_id, event_id]
    assert first.event.data == second.event.data
    assert first.event.traceparent == second.event.traceparent


def test_a_digest_in_the_log_is_of_what_is_redacted() -> None:
    """Two objects that differ in a secret only have one digest there: it must not help to guess the secret."""
    bodies = [a_workflow("w", **SERVED) for _ in range(2)]
    for body, secret in zip(bodies, ("hunter2-hunter2", "correct-horse-battery"), strict=True):
        body["spec"]["workflowDefinition"]["steps"][0]["parameters"]["password"] = secret
    messages = [
        message_for(VIEW, None, Sighting(seen=read(VIEW.plural, msgspec.Raw(msgspec.json.encode(body)))), floor=0)
        for body in bodies
    ]

    assert len({message.event.extensions["digest"] for message in messages if message}) == 1


@pytest.mark.parametrize(
    ("execution", "workflow"),
    [
        pytest.param(an_execution(workflow_uid="u-9"), "u-9", id="named by the spec"),
        pytest.param(an_execution(workflow_uid=""), "none", id="named by nobody"),
        pytest.param(
            an_execution(workflow_uid="", ownerReferences=[{"kind": "WorkflowExecution", "uid": "u-8"}]),
            "u-8",
            id="named by the owner",
        ),
        pytest.param(an_execution(workflow_uid="a.b > *"), "x", id="no token of a subject"),
        pytest.param({"metadata": {"name": "e", "namespace": "shop"}, "spec": 5}, "none", id="no spec at all"),
    ],
)
def test_an_execution_lies_under_its_workflow(execution: dict[str, Any], workflow: str) -> None:
    """The token of the workflow is always one legal token, whatever a person wrote into the spec."""
    execution["metadata"] |= {"uid": "e-1", "resourceVersion": "3"}
    found = read(EXECUTIONS.plural, msgspec.Raw(msgspec.json.encode(execution)))
    message = message_for(View(resource=EXECUTIONS), None, Sighting(seen=found), floor=0)

    assert kind_of(message) == ExecutionChanged
    assert message is not None
    assert message.event.subject.count(".") == 5
    assert message.event.subject.split(".")[4][0] == workflow[0]
    assert workflow[0] == "x" or message.event.subject == f"kubernaut.change.execution.shop.{workflow}.e-1"


@pytest.mark.parametrize(
    "raw",
    [
        b"5",
        b"{}",
        b'{"metadata":null}',
        b'{"metadata":{"uid":"u"}}',
        b'{"metadata":{"uid":"u","resourceVersion":"seven"}}',
        b'{"metadata":{"uid":"u","resourceVersion":"-1"}}',
    ],
)
def test_what_is_no_object_is_said_to_be_unreadable(raw: bytes) -> None:
    """Anything without a uid and a number as its version is UnreadableError, never another error."""
    with pytest.raises(UnreadableError):
        read(VIEW.plural, msgspec.Raw(raw))


def test_a_name_that_could_forge_headers_is_no_correlation_id() -> None:
    """A RemediationRequest with a line break in its name is left out."""
    body = a_workflow("w", **SERVED)
    body["spec"]["remediationRequestRef"] = {"name": "rr\r\nce-deleted: true"}
    message = message_for(VIEW, None, Sighting(seen=read(VIEW.plural, msgspec.Raw(msgspec.json.encode(body)))), floor=0)

    assert message is not None
    assert message.event.correlation_id == "u-1"


def test_shares_cover_all_objects_evenly() -> None:
    """Each uid belongs to one share, and no share has much more than its part."""
    counts = [0, 0, 0]
    for number in range(3000):
        counts[shard_of(f"uid-{number}", 3)] += 1

    assert min(counts) > 900


def test_the_floor_waits_for_the_oldest() -> None:
    """Versions that are done out of order move the floor only once all before them are done."""
    floor = Floor(10)
    tickets = [floor.begin(version) for version in (11, 12, 13)]
    floors = []
    for ticket in (tickets[2], tickets[0], tickets[1]):
        floor.end(ticket)
        floors.append(floor.version)

    assert floors == [10, 11, 13]


def test_a_bookmark_does_not_overtake_what_is_on_its_way() -> None:
    """A bookmark moves the floor once everything before it is in the log."""
    floor = Floor(10)
    ticket = floor.begin(11)
    floor.reach(20)
    before = floor.version
    floor.end(ticket)

    assert (before, floor.version) == (10, 20)


def test_the_pace_slows_down_and_recovers() -> None:
    """Waits double from 0.8 to 30 s; two healthy minutes start anew; Retry-After is obeyed."""
    pace = Pace(draw=lambda: 0.0)
    trouble = UnavailableError("503")

    waits = [pace.wait(1.0, trouble) for _ in range(7)]
    asked = pace.wait(1.0, UnavailableError("429", retry_after=40.0))
    healthy = [pace.wait(200.0, None), pace.wait(1.0, trouble)]

    assert waits == [0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]
    assert asked == 40.0
    assert healthy == [0.0, 0.8]


def test_after_a_restart_of_the_api_server_the_list_is_not_put_off() -> None:
    """(F14) A version that is gone is an orderly answer: list at once, but not again and again without watching."""
    pace = Pace(draw=lambda: 0.0)
    away, gone = UnavailableError("429: storage is (re)initializing"), GoneError("too old resource version")

    first = [pace.wait(lasted, error) for lasted, error in ((60.0, None), (0.1, away), (0.1, away), (0.1, gone))]
    again = [pace.wait(0.1, gone), pace.wait(0.1, gone)]
    next_time = [pace.wait(60.0, None), pace.wait(0.1, gone)]

    assert (first, again, next_time) == ([0.8, 1.6, 3.2, 0.8], [1.6, 3.2], [6.4, 0.8])


@pytest.mark.parametrize(
    ("error", "reason"),
    [(None, "ended"), (GoneError(""), "gone"), (StreamBrokenError(""), "broken"), (UnreadableError(""), "refused")],
)
def test_reasons_are_a_closed_set(error: Exception | None, reason: str) -> None:
    """The label of the metric is one word of a few."""
    assert reason_of(error) == reason
