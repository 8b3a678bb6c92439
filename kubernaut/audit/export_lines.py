"""The form of an export: what each line is, as NDJSON and as CSV. Pure.

A sealed range comes before its messages, so that whoever reads it can judge each message as it comes. The last line
says how many there were, so that an export that was cut shows it.
"""

from __future__ import annotations

import csv
import io
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from auditor.archive import Kept
from auditor.chain import Seal
from auditor.records import FIELDS, event_key
from runtime.errors import KubernautError
from schemas.subjects import LOG

FORM: Final = "kubernaut.audit.export.1"
FORMATS: Final = ("ndjson", "csv")
COLUMNS: Final = ("kind", "kept_in", *FIELDS, "payload")
_NUMBERS: Final = frozenset({"stream_sequence", "time_us", "step_number", "attempt", "version"})
_TEXTS: Final = frozenset({"stream", "event_id", "subject", "type", "source", "sha256"})
"""Never null, so that an empty cell of them is an empty text."""
Line = dict[str, Any]


class ExportError(KubernautError):
    """The file is no export, or no line of one."""


def head(first: int, last: int) -> Line:
    """Return the first line."""
    return {"kind": "export", "form": FORM, "stream": LOG.name, "from": first, "to": last}


def of_seal(seal: Seal) -> Line:
    """Return the line of a sealed range."""
    return {"kind": "checkpoint", **msgspec.structs.asdict(seal), "leaves": b64encode(seal.leaves).decode()}


def of_message(one: Kept) -> Line:
    """Return the line of a message."""
    payload = b64encode(one.raw or b"").decode()
    return {"kind": "message", "kept_in": one.kept_in, **one.fields, "payload": payload}


def tail(messages: int) -> Line:
    """Return the last line."""
    return {"kind": "end", "messages": messages}


def seal_of(line: Line) -> Seal:
    """Return the sealed range that a line tells. Raises ExportError."""
    try:
        leaves = b64decode(line["leaves"], validate=True)
        return Seal(**{name: line[name] for name in Seal.__struct_fields__} | {"leaves": leaves})
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"a sealed range cannot be read: {error!r}") from error


def message_of(line: Line) -> Kept:
    """Return the message that a line tells. Raises ExportError."""
    try:
        fields = {name: line[name] for name in FIELDS}
        raw = b64decode(line["payload"], validate=True)
        int(fields["stream_sequence"])
        key = event_key(fields["event_id"]) if fields["event_id"] is not None else ""
        return Kept(kept_in=line["kept_in"], event_key=key, fields=fields, raw=raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(f"a message cannot be read: {error!r}") from error


def written(line: Line, form: str) -> str:
    """Return a line of a file, with its end."""
    if form == "ndjson":
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
    if line["kind"] != "message":
        return _csv([line["kind"], *[""] * len(FIELDS), "", b64encode(json.dumps(line).encode()).decode()])
    return _csv([_cell(name, line[name]) for name in COLUMNS])


def header(form: str) -> str:
    """Return what stands before the first line."""
    return _csv(COLUMNS) if form == "csv" else ""


def read_lines(text: Iterable[str]) -> Iterator[Line]:
    """Yield the lines of a file in either form. Raises ExportError, which names the line."""
    lines = iter(text)
    first = next(lines, "")
    if first.startswith("kind,"):
        yield from _from_csv(lines)
        return
    number = 0
    for number, each in enumerate(_chained(first, lines), start=1):
        try:
            line = json.loads(each)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict) or "kind" not in line:
            raise ExportError(f"line {number} is no line of an export")
        yield line


def _from_csv(lines: Iterator[str]) -> Iterator[Line]:
    for number, cells in enumerate(csv.reader(lines), start=2):
        try:
            line = dict(zip(COLUMNS, cells, strict=True))
            if line["kind"] != "message":
                yield dict(json.loads(b64decode(line["payload"], validate=True)))
            else:
                yield {name: _value(name, cell) for name, cell in line.items()}
        except ValueError:
            raise ExportError(f"line {number} is no line of an export") from None


def _chained(first: str, rest: Iterable[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _csv(cells: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in {"headers", "redacted"}:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def _value(name: str, cell: str) -> Any:
    if cell == "" and name not in _TEXTS:
        return "" if name == "payload" else None
    if name in _NUMBERS:
        return int(cell)
    return json.loads(cell) if name in {"headers", "redacted"} else cell
