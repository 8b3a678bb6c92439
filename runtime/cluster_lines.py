"""From the bytes of a watch to its events. Pure: no socket, no clock. What is no event ends the stream, always."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from runtime.cluster_depth import cut
from runtime.cluster_errors import of_status, read_status
from runtime.errors import StreamBrokenError
from runtime.ports import WatchEvent

LONGEST_LINE: Final = 8 * 1024 * 1024
"""Bytes. An object has 1.5 MiB at most (etcd), written as JSON it may take a multiple; aiohttp's own limit breaks."""
SHOWN: Final = 200


class Lines:
    """Cuts a stream of bytes into lines, in time linear in their length."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that `chunk` completes; raises StreamBrokenError for one past `LONGEST_LINE`."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        for piece in complete:
            if self._parts:
                self._parts.append(piece)
                piece = b"".join(self._parts)  # noqa: PLW2901 - the piece ends the line that was held
                self._parts.clear()
                self._held = 0
            if piece.strip():
                lines.append(piece)
        if rest:
            self._parts.append(rest)
            self._held += len(rest)
        if self._held > LONGEST_LINE or any(len(line) > LONGEST_LINE for line in lines):
            raise StreamBrokenError(f"a line of the watch is longer than {LONGEST_LINE} bytes")
        return lines

    @property
    def within(self) -> bool:
        """Whether the stream is inside a line."""
        return self._held > 0


class _Line(msgspec.Struct, frozen=True):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: msgspec.Raw


_DECODER: Final = msgspec.json.Decoder(_Line)


def _decode(line: bytes) -> _Line:
    try:
        return _DECODER.decode(line)
    except RecursionError:
        return _DECODER.decode(cut(line))


def read_event(line: bytes) -> WatchEvent:
    """Return the event in a line.

    Raises StreamBrokenError for what is no event, and for an ERROR event what its Status means: GoneError for 410,
    UnavailableError, ForbiddenError.
    """
    try:
        event = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        shown = line[:SHOWN].decode(errors="replace")
        raise StreamBrokenError(f"a line of the watch is no event ({error}): {shown}") from error
    if event.type == "ERROR":
        status = read_status(bytes(event.object))
        if status is None:
            raise StreamBrokenError(f"the watch told of an error without a Status: {line[:SHOWN]!r}")
        raise of_status(status.code, status, f"the watch ended: {status.message}")
    if bytes(memoryview(event.object)[:1]) != b"{":
        raise StreamBrokenError(f"a line of the watch holds no object: {line[:SHOWN]!r}")
    return WatchEvent(type=event.type, object=event.object)
