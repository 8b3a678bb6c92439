"""Turns a message of the log into the row that the audit keeps of it. Pure and total: no message makes it fail.

What is known of a message is read from its headers and subject first, because those are there even when the body is
broken; the body adds names, step and phase.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from auditor import records
from schemas import subjects
from schemas.cloudevents import JSON, MESSAGE_ID, SPEC_VERSION, attribute
from schemas.messages import TYPE_OF, DeadLettered, Decision, QueueDecided, StatusChanged, WorkflowChanged, encode
from schemas.names import digest
from schemas.redaction import redact_json
from schemas.workflow_status import TERMINAL_PHASES

if TYPE_CHECKING:
    from runtime.ports import Stored

TEXT_LIMIT: Final = 512
"""Characters that a column for filtering keeps: longer than any name the product makes, and fit for an index."""
_LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, which PostgreSQL and every reader can still write down."""
_DECISION: Final = TYPE_OF[Decision]
_QUEUE_DECISION: Final = TYPE_OF[QueueDecided]
_STATUS: Final = TYPE_OF[StatusChanged]
_WORKFLOW: Final = TYPE_OF[WorkflowChanged]
_DEAD_LETTER: Final = TYPE_OF[DeadLettered]
_COLUMN_HEADERS: Final = frozenset(
    {"ce-id", "ce-type", "ce-source", "ce-correlationid", "ce-causationid", "ce-traceparent"}
)
_USUAL: Final = {"content-type": JSON, "ce-datacontenttype": JSON, "ce-specversion": SPEC_VERSION}
"""What every message of ours carries. The server's own headers (Nats-...) are about the publishing, not the message."""
_TOKENS: Final = tuple(
    (pattern.removesuffix(">"), namespace, uid)
    for pattern, namespace, uid in (
        (subjects.WORKFLOW_CHANGES, 0, 1),
        (subjects.STATUS_CHANGES, 0, 1),
        (subjects.EXECUTION_CHANGES, 0, 1),
        (subjects.DECISIONS, None, 0),
        (subjects.OUTCOMES, None, 0),
        (subjects.SIGNALS, None, 0),
        (subjects.SHADOW_STORY, None, 1),
        # Not on the log, but in the dead letters about it.
        (subjects.TIMERS_DUE, None, 0),
    )
)
"""Which tokens after the start of a subject are the namespace and the workflow's uid."""
_QUEUE: Final = subjects.decision(subjects.QUEUE)
"""Where the queue of runs stands for a workflow: it is none."""
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message as the audit keeps it; None where something is not known. The order is that of the statement."""

    event_key: str
    """First 128 bits of the SHA-256 of `event_id`, in hexadecimal."""
    stream: str
    stream_sequence: int
    time_ms: int
    """When the broker stored it, in ms since 1970."""
    event_id: str
    subject: str
    type: str
    source: str
    correlation_id: str | None
    causation_id: str | None
    traceparent: str | None
    workflow_uid: str | None
    workflow_namespace: str | None
    workflow_name: str | None
    step_number: int | None
    attempt: int | None
    action: str | None
    version: int | None
    phase: str | None
    headers: str | None
    """Headers that no other field holds, as JSON."""
    sha256: bytes
    """Of `raw`."""
    redacted: bool
    raw: bytes
    is_json: bool
    """Whether the body is believed to be JSON that PostgreSQL can hold; PostgreSQL has the last word."""

    @property
    def place(self) -> tuple[str, str, int]:
        """What is the same for every delivery of one message and different for any other message."""
        return self.event_key, self.stream, self.stream_sequence

    @property
    def record(self) -> bytes:
        """What seals are made over; kept as it is where the table has fewer columns."""
        return records.record(records.fields_of(self))

    @property
    def finishes(self) -> bool:
        """Whether it looks like a decision after which the run is over."""
        return self.type == _DECISION and self.phase in TERMINAL_PHASES

    def without_body(self) -> Row:
        """Return the row with the payload as bytes only."""
        return msgspec.structs.replace(self, is_json=False, headers=None)


Natural = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Version = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Workflow(msgspec.Struct, frozen=True):
    namespace: str = ""
    name: str = ""
    uid: str = ""


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    workflow_execution_ref: _Workflow | None = None
    step_number: Natural | None = None
    attempt: Natural | None = None
    action: str = ""


class _Phase(msgspec.Struct, frozen=True):
    phase: str = ""


class _Object(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    spec: _Spec | None = None
    status: _Phase | None = None


class _Known(msgspec.Struct, frozen=True):
    """What the bodies of all types hold, as far as it has a column; everything else is skipped, not decoded."""

    workflow: _Workflow | None = None
    object: _Object | None = None
    state: _Phase | None = None
    version: Version | None = None
    sequence: Version | None = None
    phase: str = ""
    step: Natural | None = None
    attempt: Natural | None = None
    subject: str = ""
    """Of a dead letter: the subject of the message that it holds."""


_DECODER: Final = msgspec.json.Decoder(_Known)
_NOTHING: Final = _Known()
_NO_SPEC: Final = _Spec()
_NO_WORKFLOW: Final = _Workflow()


def read(message: Stored) -> Row:
    """Return the row of a message, with whatever is secret taken out of it."""
    raw, redacted = _redacted(message)
    known, is_json = _body(raw)
    headers = message.headers
    event_type = _text(attribute(headers, "ce-type"))
    uid, namespace = _from_subject(known.subject if event_type == _DEAD_LETTER else message.subject)
    workflow, spec = _workflow(known, event_type), (known.object and known.object.spec) or _NO_SPEC
    event_id = clean(attribute(headers, "ce-id")) or _derived_id(message)
    return Row(
        event_key=digest(event_id),
        stream=clean(message.stream),
        stream_sequence=message.sequence,
        time_ms=min(max(message.time_ms, 0), _LATEST_MS),
        event_id=event_id,
        subject=clean(message.subject),
        type=event_type or "",
        source=_text(attribute(headers, "ce-source")) or "",
        correlation_id=_text(attribute(headers, "ce-correlationid")),
        causation_id=_text(attribute(headers, "ce-causationid")),
        traceparent=_text(attribute(headers, "ce-traceparent")),
        workflow_uid=uid or _text(workflow.uid),
        workflow_namespace=namespace or _text(workflow.namespace),
        workflow_name=_text(workflow.name),
        step_number=spec.step_number if known.step is None else known.step,
        attempt=spec.attempt if known.attempt is None else known.attempt,
        action=_text(spec.action),
        version=_version(known, event_type),
        phase=_text(_phase(known)),
        headers=_further_headers(message, event_id),
        sha256=hashlib.sha256(raw).digest(),
        redacted=redacted,
        raw=raw,
        is_json=is_json,
    )


def clean(value: str) -> str:
    """Return a text that PostgreSQL can hold: without NUL (U+FFFD instead) and lone surrogates (`?` instead)."""
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode()
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _text(value: str | None) -> str | None:
    return clean(value[:TEXT_LIMIT]) if value else None


def _derived_id(message: Stored) -> str:
    # The hash is part of it because a damaged stream can use a sequence again.
    content = hashlib.sha256(message.data).hexdigest()[:32]
    return f"unidentified/{clean(message.stream)}/{message.sequence}/{content}"


def _redacted(message: Stored) -> tuple[bytes, bool]:
    """Return the payload without secrets and whether that changed it."""
    raw = message.data
    if message.headers.get("ce-type") == _DEAD_LETTER:
        raw = _redacted_inside(raw)
    raw = redact_json(raw)
    return raw, raw != message.data


def _redacted_inside(raw: bytes) -> bytes:
    """Redact the message that a dead letter holds in base64, so that only what is secret in it is lost."""
    try:
        letter = msgspec.json.decode(raw, type=DeadLettered)
    except (msgspec.DecodeError, RecursionError):
        return raw
    inner = redact_json(letter.data)
    return raw if inner == letter.data else encode(msgspec.structs.replace(letter, data=inner))


def _body(raw: bytes) -> tuple[_Known, bool]:
    """Return what the body tells, and whether it is JSON that jsonb should take."""
    known = _NOTHING
    try:
        known = _DECODER.decode(raw)
    except msgspec.ValidationError:
        # No body of ours; whether the rest of it is JSON is not known yet.
        if not _is_json(raw):
            return _NOTHING, False
    except (msgspec.DecodeError, RecursionError):
        return _NOTHING, False
    # The plain search is far faster than the pattern, and nearly always enough.
    return known, not (b"\\u0000" in raw and _NUL.search(raw))


def _is_json(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _from_subject(subject: str) -> tuple[str | None, str | None]:
    """Return the workflow's uid and its namespace, as far as the subject names them."""
    if subject == _QUEUE:
        return None, None
    for prefix, namespace, uid in _TOKENS:
        if subject.startswith(prefix):
            tokens = subject[len(prefix) :].split(".")
            if uid < len(tokens):
                return _text(tokens[uid]), _text(tokens[namespace]) if namespace is not None else None
    return None, None


def _workflow(known: _Known, event_type: str | None) -> _Workflow:
    if known.workflow is not None:
        return known.workflow
    if known.object is None:
        return _NO_WORKFLOW
    if event_type == _WORKFLOW:
        return _Workflow(name=known.object.metadata.name)
    return (known.object.spec and known.object.spec.workflow_execution_ref) or _NO_WORKFLOW


def _version(known: _Known, event_type: str | None) -> int | None:
    if event_type in {_DECISION, _QUEUE_DECISION}:
        return known.version
    return known.sequence if event_type == _STATUS else None


def _phase(known: _Known) -> str:
    if known.state is not None:
        return known.state.phase
    if known.object is not None and known.object.status is not None:
        return known.object.status.phase
    return known.phase


def _further_headers(message: Stored, event_id: str) -> str | None:
    further = {
        clean(name): clean(value)
        for name, value in message.headers.items()
        if name not in _COLUMN_HEADERS
        and _USUAL.get(name) != value
        and not (name.startswith("Nats-") and (name != MESSAGE_ID or value == event_id))
    }
    return redact_json(msgspec.json.encode(further)).decode() if further else None
