"""Turns a message of the log into the row that the audit keeps of it. Pure and total: no message makes it fail.

What is known of a message is read from its headers and subject first, because those are there even when the body is
broken; the body adds names, step and phase.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from auditor import records
from auditor.told import phase_of, spec_of, told_in, version_of, workflow_in, workflow_of
from schemas.cloudevents import JSON, MESSAGE_ID, SPEC_VERSION, attribute
from schemas.messages import TYPE_OF, DeadLettered, Decision, encode
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
_DEAD_LETTER: Final = TYPE_OF[DeadLettered]
_COLUMN_HEADERS: Final = frozenset(
    {"ce-id", "ce-type", "ce-source", "ce-correlationid", "ce-causationid", "ce-traceparent"}
)
_USUAL: Final = {"content-type": JSON, "ce-datacontenttype": JSON, "ce-specversion": SPEC_VERSION}
"""What every message of ours carries. The server's own headers (Nats-...) are about the publishing, not the message."""


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


def read(message: Stored) -> Row:
    """Return the row of a message, with whatever is secret taken out of it."""
    raw, redacted = _redacted(message)
    told, is_json = told_in(raw)
    headers = message.headers
    event_type = _text(attribute(headers, "ce-type"))
    uid, namespace = workflow_in(told.subject if event_type == _DEAD_LETTER else message.subject)
    workflow, spec = workflow_of(told, event_type), spec_of(told)
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
        workflow_uid=_text(uid) or _text(workflow.uid),
        workflow_namespace=_text(namespace) or _text(workflow.namespace),
        workflow_name=_text(workflow.name),
        step_number=spec.step_number if told.step is None else told.step,
        attempt=spec.attempt if told.attempt is None else told.attempt,
        action=_text(spec.action),
        version=version_of(told, event_type),
        phase=_text(phase_of(told)),
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


def _further_headers(message: Stored, event_id: str) -> str | None:
    further = {
        clean(name): clean(value)
        for name, value in message.headers.items()
        if name not in _COLUMN_HEADERS
        and _USUAL.get(name) != value
        and not (name.startswith("Nats-") and (name != MESSAGE_ID or value == event_id))
    }
    return redact_json(msgspec.json.encode(further)).decode() if further else None
