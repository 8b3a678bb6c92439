from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.rows import read
from runtime.ports import Stored
from schemas import subjects
from schemas.cloudevents import Event, to_headers
from schemas.messages import (
    AlertFired,
    CheckFinding,
    CheckReported,
    CommandRefused,
    DeadLettered,
    QueueDecided,
    WatchTold,
)
from schemas.names import digest
from schemas.queue_state import QueueState
from tests.auditor.builders import (
    TIME_MS,
    UID,
    WORKFLOW,
    a_decision,
    a_status_change,
    a_workflow_change,
    an_event,
    an_execution_change,
    poison,
    stored,
)

KNOWN = ("workflow_uid", "workflow_namespace", "workflow_name", "step_number", "attempt", "action", "version", "phase")
REFUSAL = CommandRefused(
    workflow=WORKFLOW, command_id=f"{UID}/3/0", command="create_execution", step=2, attempt=1, reason="forbidden"
)
LETTER = DeadLettered(
    consumer="scheduler", stream="KUBERNAUT", sequence=9, subject=subjects.outcome(UID), data=b"{", error="broken"
)
CHECK = CheckReported(
    workflow=WORKFLOW,
    command_id=f"{UID}/3/0",
    check="check-1",
    type="health",
    passed=False,
    message="Deployment/shop/checkout is not available",
    findings=(CheckFinding(subject="Deployment/shop/checkout", state="failed"),),
)
QUEUE = QueueDecided(version=12, now=TIME_MS, causes=(), admitted=(UID,), state=QueueState(active=(UID,)))
QUEUE_SUBJECT = subjects.decision(subjects.QUEUE)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(
            a_workflow_change(),
            (UID, "shop", "fix-checkout", None, None, None, None, None),
            id="a workflow's change tells which workflow",
        ),
        pytest.param(
            a_status_change(7),
            (UID, "shop", None, None, None, None, 7, "executing"),
            id="a status tells the decision that it shows",
        ),
        pytest.param(
            an_execution_change(),
            (UID, "shop", "fix-checkout", 2, 1, "notify_only", None, "completed"),
            id="an execution tells its step and how far it is",
        ),
        pytest.param(
            a_decision(4),
            (UID, "shop", "fix-checkout", None, None, None, 4, "completed"),
            id="a decision tells its version and the phase after it",
        ),
        pytest.param(
            an_event(REFUSAL, subjects.outcome(UID)),
            (UID, "shop", "fix-checkout", 2, 1, None, None, None),
            id="an outcome tells its step",
        ),
        pytest.param(
            an_event(CHECK, subjects.outcome(UID)),
            (UID, "shop", "fix-checkout", None, None, None, None, None),
            id="what a check found is about a workflow and no step of it",
        ),
        pytest.param(
            an_event(QUEUE, subjects.decision(subjects.QUEUE)),
            (None, None, None, None, None, None, 12, None),
            id="a decision of the queue tells its version and is about no one workflow",
        ),
        pytest.param(
            an_event(AlertFired(workflow=WORKFLOW, alert="HighLatency"), f"kubernaut.signal.{UID}.alert"),
            (UID, "shop", "fix-checkout", None, None, None, None, None),
            id="a signal tells its workflow",
        ),
        pytest.param(
            an_event(msgspec.structs.replace(LETTER, subject=QUEUE_SUBJECT), subjects.dead_letter("bridge")),
            (None, None, None, None, None, None, None, None),
            id="a dead letter about the queue is about no workflow",
        ),
        pytest.param(
            an_event(
                msgspec.structs.replace(LETTER, subject=subjects.timer_due(UID, 7)), subjects.dead_letter("timers")
            ),
            (UID, None, None, None, None, None, None, None),
            id="a dead letter about a timer tells the workflow that it was for",
        ),
        pytest.param(
            an_event(LETTER, subjects.dead_letter("scheduler")),
            (UID, None, None, None, None, None, None, None),
            id="a dead letter tells the workflow of the message in it",
        ),
        pytest.param(
            an_event(WatchTold(resource="workflowexecutions", what="started"), subjects.watch_story("x")),
            (None, None, None, None, None, None, None, None),
            id="the watcher's story is about no workflow",
        ),
    ],
)
def test_a_row_holds_what_is_known_of_the_message(event: Event, expected: tuple[Any, ...]) -> None:
    """A row holds what subject and body tell about the workflow and the step."""
    row = read(stored(event))

    assert expected == tuple(getattr(row, name) for name in KNOWN)


def test_a_row_says_where_and_when_the_message_is_in_the_log() -> None:
    """Identity, place, time, headers, bytes and hash are those of the message in the log."""
    event = a_decision()

    row = read(stored(event, sequence=12))

    assert (digest(event.id), event.id, "KUBERNAUT", 12, TIME_MS) == (
        row.event_key,
        row.event_id,
        row.stream,
        row.stream_sequence,
        row.time_ms,
    )
    assert (event.subject, event.type, event.source) == (row.subject, row.type, row.source)
    assert ("rr-7", "what-led-to-it", None, None) == (
        row.correlation_id,
        row.causation_id,
        row.traceparent,
        row.headers,
    )
    assert (event.data, hashlib.sha256(event.data).digest(), True, False) == (
        row.raw,
        row.sha256,
        row.is_json,
        row.redacted,
    )


def test_headers_that_have_no_column_are_kept() -> None:
    """What a stranger put into the headers is kept; what the server needed for publishing is not."""
    event = a_decision()
    headers = {
        **to_headers(event),
        "ce-tenant": "blue",
        "Nats-Expected-Last-Subject-Sequence": "3",
        "Nats-Msg-Id": "another",
        "content-type": "text/plain",
    }

    row = read(msgspec.structs.replace(stored(event), headers=headers))

    assert row.headers is not None
    assert {"ce-tenant": "blue", "Nats-Msg-Id": "another", "content-type": "text/plain"} == msgspec.json.decode(
        row.headers
    )


@pytest.mark.parametrize("headers", [{}, {"ce-id": ""}, {"Nats-Msg-Id": "only-that"}])
def test_a_message_without_an_id_gets_one_from_its_place_and_content(headers: dict[str, str]) -> None:
    """Each message without an event id is an event of its own, the same one at every delivery."""
    first, again = read(poison(b"{}", 3, headers=headers)), read(poison(b"{}", 3, headers=headers))
    elsewhere, other = read(poison(b"{}", 4, headers=headers)), read(poison(b"[]", 3, headers=headers))

    assert first == again
    assert first.event_id.startswith("unidentified/KUBERNAUT/3/")
    assert len({first.event_key, elsewhere.event_key, other.event_key}) == 3


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'{"a": 1}', True, id="an object"),
        pytest.param(b"[1, 2]", True, id="an array"),
        pytest.param(b'{"state": "a text where an object belongs"}', True, id="JSON of another shape"),
        pytest.param(b'{"version": -1}', True, id="a number that no column takes"),
        pytest.param(b'{"a": "\\\\u0000"}', True, id="a backslash before the letters u0000"),
        pytest.param(b'{"a": "\\u0000"}', False, id="NUL"),
        pytest.param(b'{"a": "\\\\\\u0000"}', False, id="a backslash and NUL"),
        pytest.param(b'{"state": 1, "a": }', False, id="another shape and broken"),
        pytest.param(b"", False, id="nothing"),
        pytest.param(b"\xff\xfe", False, id="no text"),
        pytest.param(b'{"a": 1', False, id="a truncated object"),
    ],
)
def test_what_jsonb_cannot_hold_is_found_before_the_database_is_asked(data: bytes, *, expected: bool) -> None:
    """A batch is not risked on a body that is certain to be refused."""
    assert expected == read(poison(data)).is_json


def test_secrets_are_taken_out_before_anything_is_stored() -> None:
    """A row with something secret holds the redacted bytes, says so, and its hash is that of what it holds."""
    row = read(poison(b'{"parameters": {"password": "hunter2-hunter2"}}'))

    assert row.redacted
    assert b"hunter2" not in row.raw
    assert hashlib.sha256(row.raw).digest() == row.sha256


def test_secrets_are_taken_out_of_the_message_in_a_dead_letter() -> None:
    """What a dead letter carries in base64 is redacted as any other message is."""
    letter = msgspec.structs.replace(LETTER, data=b'{"parameters": {"password": "hunter2-hunter2"}}')

    row = read(stored(an_event(letter, subjects.dead_letter("scheduler"))))

    assert row.redacted
    assert b"hunter2" not in base64.b64decode(msgspec.json.decode(row.raw)["data"])


def test_secrets_are_taken_out_of_headers() -> None:
    """A header without a column is redacted too."""
    row = read(poison(b"{}", headers={"X-Password": "hunter2-hunter2"}))

    assert "hunter2" not in str(row.headers)


def as_json(value: Any) -> bytes:
    """Return JSON, of half a surrogate pair where the value has one."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return b'"\\ud800"'


messages = st.builds(
    Stored,
    stream=st.just("KUBERNAUT"),
    sequence=st.integers(1, 2**63 - 1),
    time_ms=st.integers(),
    subject=st.one_of(st.text(), st.sampled_from([subjects.decision(UID), "kubernaut.change.workflow.", "a"])),
    headers=st.dictionaries(
        st.sampled_from(["ce-id", "ce-type", "ce-source", "ce-correlationid", "x"]),
        st.one_of(st.text(), st.sampled_from(sorted({a_decision().type, an_event(LETTER, "").type}))),
    ),
    data=st.one_of(
        st.binary(),
        st.recursive(
            st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["object", "spec", "state", "phase", "step", "workflow", "version", "uid", "a"]),
                    inner,
                    max_size=3,
                )
            ),
        ).map(as_json),
    ),
)


@settings(deadline=None)
@given(messages)
def test_any_message_whatever_becomes_a_row_whose_texts_the_database_can_hold(message: Stored) -> None:
    """No message makes it fail, and no text in a row holds what PostgreSQL refuses."""
    row = read(message)

    texts = [value for value in msgspec.structs.astuple(row) if isinstance(value, str)]
    assert not any("\0" in text for text in texts)
    assert all(text.encode() for text in texts if text)
    assert message.sequence == row.stream_sequence
