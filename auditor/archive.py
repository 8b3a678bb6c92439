"""A row of the audit as it is read back: to seal it, to verify it, to export it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from auditor.records import Fields, event_key, fields_in, leaf, read_record, record
from auditor.rows import Row

_EXACT: Final = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)
_US: Final = 1000
_SHARED: Final = ("stream", "stream_sequence", "time_us", "sha256", "redacted")
_OF_A_REPEAT: Final = (*_SHARED, "event_id", "subject", "headers")
ASIDE: Final = {"repeat": _OF_A_REPEAT, "quarantine": _SHARED}
"""Which fields the tables have that keep fewer columns than a message has."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One message as the audit keeps it."""

    kept_in: str
    """message, repeat or quarantine."""
    event_key: str
    """32 hexadecimal digits."""
    fields: Fields
    raw: bytes | None
    """None when it was not asked for."""
    body: str | None = None
    identified: bool = True
    """Whether its event id is noted at this place."""
    fits: bool = True
    """Whether the columns say what its record says; only of what is kept aside."""

    @property
    def sequence(self) -> int:
        """Where it is in the log."""
        return int(self.fields["stream_sequence"])

    @property
    def leaf(self) -> bytes:
        """Digest of its record."""
        return leaf(record(self.fields))


def kept(row: Mapping[str, Any]) -> Kept:
    """Return what a row of `audit_rows.sql` says."""
    fields, fits = fields_in(row), True
    if row["kept_in"] in ASIDE and row["record"] is not None:
        whole = read_record(row["record"])
        fits = whole is not None and all(whole[name] == fields[name] for name in ASIDE[row["kept_in"]])
        fields = whole if whole is not None and fits else fields
    return Kept(
        kept_in=row["kept_in"],
        event_key=row["event_key"].replace("-", ""),
        fields=fields,
        raw=None if row["raw"] is None else bytes(row["raw"]),
        body=row["body"],
        identified=row["identified"],
        fits=fits,
    )


def flaw(one: Kept) -> str:
    """Return what contradicts itself in a row that was read with its payload; empty when nothing does."""
    fields = one.fields
    if one.raw is not None and hashlib.sha256(one.raw).hexdigest() != fields["sha256"]:
        return "its payload does not have the hash that stands beside it"
    if fields["event_id"] is not None and event_key(fields["event_id"]) != one.event_key:
        return "its event key is not that of its event id"
    if not one.fits:
        return "its columns are not what its record says"
    if not one.identified:
        return "its event id is not noted in audit_identity, or at another place"
    if one.raw is not None and one.body is not None and same_json(one.raw, one.body) is False:
        return "its body is not what its payload says"
    return ""


def same_json(raw: bytes, body: str) -> bool | None:
    """Tell whether two JSON texts say the same, numbers exactly; None when only PostgreSQL can tell (depth)."""
    try:
        return bool(_EXACT.decode(raw.decode()) == _EXACT.decode(body))
    except RecursionError:
        return None
    except ValueError:
        return False


def row_of(fields: Fields, raw: bytes) -> Row:
    """Return the row that a record and a payload make, to be stored."""
    headers = fields["headers"]
    values = {name: fields[name] for name in Row.__struct_fields__ if name in fields}
    values |= {
        "event_key": event_key(fields["event_id"]),
        "time_ms": fields["time_us"] // _US,
        "headers": None if headers is None else json.dumps(headers, ensure_ascii=False),
        "sha256": bytes.fromhex(fields["sha256"]),
        "raw": raw,
        "is_json": _is_json(raw),
    }
    return Row(**values)


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return b"\\u0000" not in raw
