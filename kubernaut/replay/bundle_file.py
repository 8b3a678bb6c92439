"""The file that holds one recorded run: NDJSON, gzipped where its name ends in .gz. Pure: bytes in, bytes out.

Format 1. The first line is the head: `{"format": "kubernaut-bundle", "version": 1, "uid", "versions", "notes"}`. Every
other line has a `kind`: `message` (of the log), `timer`, `event` (public) with stream, sequence, timeMs, subject,
headers and the payload as `data`, exactly as it was, or as `base64` where it is no JSON; or `cluster_event` with the
Kubernetes Event as `object`. A reader passes over kinds and fields that it does not know; what changes the meaning of
one gets a new version, which an older reader refuses.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

import msgspec

from kubernaut.replay.recording import Recording, RecordingError
from runtime.ports import Stored
from schemas.redaction import redact, redact_json

FORMAT: Final = "kubernaut-bundle"
VERSION: Final = 1
LONGEST: Final = 1 << 30
"""Bytes of an unpacked bundle: more is no run of ours but an attack on whoever opens it."""
_GZIP: Final = b"\x1f\x8b"


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    version: int
    uid: str = ""
    versions: dict[str, str] = {}
    notes: tuple[str, ...] = ()


class _Line(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    kind: str
    stream: str = ""
    sequence: int = 0
    time_ms: int = 0
    subject: str = ""
    headers: dict[str, str] = {}
    data: msgspec.Raw = msgspec.Raw()
    base64: str = ""
    object: dict[str, Any] = {}


_HEADS: Final = msgspec.json.Decoder(_Head)
_LINES: Final = msgspec.json.Decoder(_Line)
_ENCODER: Final = msgspec.json.Encoder()
Kind = Literal["message", "timer", "event"]


def write(recording: Recording, *, packed: bool) -> bytes:
    """Return the file of a recorded run, redacted. The same run gives the same bytes, packed or not."""
    head = _Head(
        format=FORMAT,
        version=VERSION,
        uid=recording.uid,
        versions=dict(sorted(recording.versions.items())),
        notes=recording.notes,
    )
    lines = [_ENCODER.encode(head), *(_ENCODER.encode(line) for line in _lines(recording)), b""]
    text = b"\n".join(lines)
    return gzip.compress(text, mtime=0) if packed else text


def _lines(recording: Recording) -> Iterator[_Line]:
    kinds: tuple[tuple[Kind, Iterable[Stored]], ...] = (
        ("message", recording.messages),
        ("timer", recording.timers),
        ("event", recording.events),
    )
    for kind, messages in kinds:
        for stored in messages:
            yield _line(kind, stored)
    for body in recording.cluster_events:
        yield _Line(kind="cluster_event", object=redact(body))


def _line(kind: Kind, stored: Stored) -> _Line:
    data = redact_json(stored.data)
    known: dict[str, Any] = {"data": msgspec.Raw(data)} if _is_line(data) else {"base64": _text(data)}
    return _Line(
        kind=kind,
        stream=stored.stream,
        sequence=stored.sequence,
        time_ms=stored.time_ms,
        subject=stored.subject,
        headers=redact(dict(stored.headers)),
        **known,
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _is_line(data: bytes) -> bool:
    """Whether the payload can stand in a line as it is and be read out of it byte for byte."""
    if not data or b"\n" in data or b"\r" in data or data != data.strip():
        return False
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def read(raw: bytes, name: str = "the bundle") -> Recording:
    """Read a bundle, packed or not; `name` is for the errors. Raises RecordingError."""
    lines = _unpacked(raw, name).split(b"\n")
    head = _head(lines[0], name)
    found: dict[str, list[Stored]] = {"message": [], "timer": [], "event": []}
    cluster_events: list[dict[str, Any]] = []
    try:
        for text in lines[1:]:
            if not text:
                continue
            line = _LINES.decode(text)
            if line.kind in found:
                found[line.kind].append(_stored(line))
            elif line.kind == "cluster_event":
                cluster_events.append(line.object)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordingError(f"{name} is damaged: {error}") from error
    return Recording(
        uid=head.uid,
        messages=tuple(found["message"]),
        timers=tuple(found["timer"]),
        events=tuple(found["event"]),
        cluster_events=tuple(cluster_events),
        versions=head.versions,
        notes=head.notes,
    )


def _stored(line: _Line) -> Stored:
    return Stored(
        stream=line.stream,
        sequence=line.sequence,
        time_ms=line.time_ms,
        subject=line.subject,
        headers=line.headers,
        data=base64.b64decode(line.base64, validate=True) if line.base64 else bytes(line.data),
    )


def _unpacked(raw: bytes, name: str) -> bytes:
    if not raw.startswith(_GZIP):
        return raw
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(raw, LONGEST)
    except zlib.error as error:
        raise RecordingError(f"{name} is damaged: {error}") from error
    if not unpacker.eof:
        raise RecordingError(f"{name} is cut off, or larger than {LONGEST >> 20} MiB when unpacked")
    return text


def _head(line: bytes, name: str) -> _Head:
    try:
        head = _HEADS.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordingError(f"{name} is no bundle: {error}") from error
    if head.format != FORMAT:
        raise RecordingError(f"{name} is no bundle but {head.format!r}")
    if head.version > VERSION:
        raise RecordingError(f"{name} is of version {head.version}; this program reads up to {VERSION}")
    return head
