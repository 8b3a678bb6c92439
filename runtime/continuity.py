"""Whether a stream is still the one that was known: the rule for a broker that lost its memory. Pure.

A server that finds its files damaged goes on with what is left, under the same names, and gives used sequences out
again; so does one whose stream somebody removed and made anew. What it says of a stream is held here against what is
remembered outside of it. Must never take a loss for accepted: only a person does that.
"""

from __future__ import annotations

from typing import Final

import msgspec

from schemas.subjects import EVENT_STREAM, LOG, STORAGE_STREAM

GUARDED: Final = (LOG, EVENT_STREAM)
"""Streams in which nothing is ever deleted. The others are derived from them, and heal by themselves."""
_COMPARED: Final = 200
"""Characters of an id; whoever keeps one may have cut it."""
HALT: Final = "halt"
AUDIT: Final = "audit"
STANDS_SECONDS: Final = 25.0
"""A server that led a stream with copies goes on answering for it until it sees that another leads: it looks every 10 s
whether it has heard most of the others within 10 s (nats-server 2.15, raft.go: lostQuorumInterval)."""
HELP: Final = "nothing is read from it or written to it until a person has looked: docs/recovery.md"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says of a stream now."""

    created: str
    """When the stream was made: another time is another stream."""
    first: int
    last: int
    messages: int
    copies: int = 1
    """How many servers keep it."""

    @property
    def missing(self) -> int:
        """How many messages between the first and the last are not there."""
        return max(0, self.last - max(self.first, 1) + 1 - self.messages)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a stream outside of it."""

    created: str
    last: int = 0
    """Highest sequence that is known to have been in it."""
    missing: int = 0
    """Messages in the middle whose loss was accepted."""
    accepted: int = 0
    """When a person last accepted a loss, in ms since 1970: what a process remembers from before counts no more."""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """A message that somebody else holds, who read it from the stream."""

    sequence: int
    id: str
    source: str


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """Why nobody acts, for those who cannot see it themselves."""

    stream: str
    reason: str
    by: str
    """Service that saw it."""
    accepted: int
    """Of the record at that time: once a person has accepted the loss, the mark has lost its force."""


class AuditGap(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that were in the audit and are gone. Without `expected` there is no gap."""

    held: int = 0
    """Highest sequence of the log that the audit still holds."""
    expected: int = 0
    """Highest sequence that it once held."""


class Doubts:
    """Losses that may be none: where a stream has copies, a server that is behind may have answered for it.

    Nobody may act on such a stream, and the loss is believed once it has stood for `STANDS_SECONDS`.
    """

    def __init__(self) -> None:
        self._sights: dict[str, tuple[float, float]] = {}

    def saw_loss(self, stream: str, copies: int, now: float) -> bool:
        """Take in one, seen at `now` in seconds of a clock that only goes on; return whether it is to be believed."""
        if copies <= 1:
            return True
        first, last = self._sights.get(stream, (now, now))
        if now - last > STANDS_SECONDS:  # this process stood still, and maybe the server with it
            first = now
        self._sights[stream] = (first, now)
        return now - first >= STANDS_SECONDS

    def saw_all(self) -> None:
        """Take in that nothing is missing."""
        self._sights.clear()


def key(name: str) -> str:
    """Return the subject under which something of a stream, `HALT` or `AUDIT` is remembered."""
    return f"{STORAGE_STREAM.subjects[0].removesuffix('>')}{name}"


def loss(stream: str, seen: Seen, record: Record, remembered: Record | None = None) -> str:
    """Return what shows that a stream lost something; empty when nothing does.

    `record` is what is remembered on the server, `remembered` what this process has seen itself; both must be older
    than `seen`.
    """
    for known in (record, remembered):
        # What a person has accepted meanwhile is no loss any more, and an empty stream has none.
        if known is None or known.accepted != record.accepted or not known.last:
            continue
        if seen.created != known.created:
            return f"stream {stream} is not the one that had {known.last} messages: it was made anew at {seen.created}"
        if seen.last < known.last:
            return f"stream {stream} lost its end: its last sequence was {known.last} and is {seen.last}"
    if seen.missing > record.missing:
        return f"stream {stream} lost {seen.missing - record.missing} messages in the middle"
    return ""


def contradiction(stream: str, seen: Seen, witness: Witness, found_id: str | None) -> str:
    """Return how the stream contradicts a witness; empty when it does not, or when the message is past retention.

    `found_id`: of the message at that sequence; empty when it carries none, None when there is no message.
    """
    about = f"{witness.source} holds message {witness.sequence} of stream {stream}"
    if witness.sequence > seen.last:
        return f"{about}, but the stream ends at {seen.last}: it lost its end"
    if witness.sequence < seen.first:
        return ""
    if found_id is None:
        return f"{about}, but the stream has nothing there: it lost messages"
    if found_id and witness.id and found_id[:_COMPARED] != witness.id[:_COMPARED]:
        return f"{about}, but there it is {witness.id[:_COMPARED]} and here {found_id[:_COMPARED]}: it was made anew"
    return ""
