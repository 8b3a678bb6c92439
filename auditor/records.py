"""What the audit's seals are made over: each message as one record, and one digest of it. Pure.

A record holds what the message is, never where the audit keeps it: a database that is made again from the log has the
same records, whichever of its tables a message went to.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from schemas.names import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditor.rows import Row

LEAF_BYTES: Final = 32
ABSENT: Final = bytes(LEAF_BYTES)
"""Stands for a sequence that the log had lost before the audit had it."""
FIELDS: Final = (
    "stream",
    "stream_sequence",
    "time_us",
    "event_id",
    "subject",
    "type",
    "source",
    "correlation_id",
    "causation_id",
    "traceparent",
    "workflow_uid",
    "workflow_namespace",
    "workflow_name",
    "step_number",
    "attempt",
    "action",
    "version",
    "phase",
    "headers",
    "sha256",
    "redacted",
)
"""In this order; the event key and the body are not among them because they follow from the id and the payload."""
Fields = dict[str, Any]
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def fields_of(row: Row) -> Fields:
    """Return the fields of a message's record."""
    fields = {name: getattr(row, name, None) for name in FIELDS}
    return fields | {
        "time_us": row.time_ms * 1000,
        "headers": _headers(row.headers),
        "sha256": row.sha256.hex(),
    }


def fields_in(row: Mapping[str, Any]) -> Fields:
    """Return the same fields of a row of the database; a value that no message has stays as odd as it is."""
    fields = {name: row[name] for name in FIELDS}
    return fields | {"headers": _headers(row["headers"]), "sha256": bytes(row["sha256"]).hex()}


def record(fields: Fields) -> bytes:
    """Return the record: a JSON list of the values."""
    return _ENCODER.encode([fields[name] for name in FIELDS])


def read_record(data: bytes) -> Fields | None:
    """Return the fields of a record; None when it is none."""
    try:
        values = msgspec.json.decode(data, type=list[Any])
    except (msgspec.DecodeError, RecursionError):
        return None
    return dict(zip(FIELDS, values, strict=True)) if len(values) == len(FIELDS) else None


def leaf(data: bytes) -> bytes:
    """Return the digest of a record, of `LEAF_BYTES` bytes."""
    return hashlib.sha256(data).digest()


def event_key(event_id: str) -> str:
    """Return the key of an event id, as the tables have it: 32 hexadecimal digits."""
    return digest(event_id)


def _headers(text: str | None) -> dict[str, Any] | None:
    # jsonb has an order of its own.
    return None if text is None else msgspec.json.decode(text)
