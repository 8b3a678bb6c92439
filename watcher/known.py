"""What the log holds about each object: its newest version, where that is, what its rest was. Digests, not objects.

Made from the log alone, by the headers of its messages, so that a watcher needs no memory of its own: the log is its
offset. Pure; 10,000 objects take about 6 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.ports import Stored
    from watcher.view import View

GONE_LIMIT: Final = 20_000
"""Deleted objects that are remembered. One that was forgotten costs one refused publish when it is seen again."""

_DIGITS: Final = 19
"""Of a resourceVersion: etcd's are of 64 bits."""
UID: Final = "ce-uid"
VERSION: Final = "ce-version"
DIGEST: Final = "ce-digest"
DELETED: Final = "ce-deleted"
FLOOR: Final = "ce-floor"
SCOPE: Final = "ce-scope"
SHARD: Final = "ce-shard"
ENDED: Final = "ce-ended"
"""Headers of our messages: CloudEvents attributes."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One object in the log."""

    version: int
    sequence: int
    """Of the last message over all its subjects; 0 when the log has forgotten it."""
    digest: str
    """Of the redacted rest (see `Seen.rest`); empty for executions."""
    namespace: str
    workflow: str
    correlation: str = ""
    ended: bool = False
    """Its status shows a final phase; workflows only."""
    print: str = ""
    """Of the rest as it is, before redaction; kept in memory only, where it saves redacting what did not change."""

    @classmethod
    def unknown(cls, namespace: str, workflow: str) -> Entry:
        """Return the entry of an object of which no version is in the log."""
        return cls(version=0, sequence=0, digest="", namespace=namespace, workflow=workflow)


def entry_of(stored: Stored) -> tuple[str, Entry | None]:
    """Return the uid that a change is about and what it says, None for a tombstone; ("", None): it is none of ours."""
    headers = stored.headers
    uid, version = headers.get(UID, ""), headers.get(VERSION, "")
    digits = version.isascii() and version.isdigit() and len(version) <= _DIGITS
    if not uid or not digits or stored.subject.rsplit(".", 1)[1] != uid:
        return "", None
    if DELETED in headers:
        return uid, None
    # kubernaut.change.<kind>.<namespace>.<workflow>[.<execution>]
    namespace, workflow = stored.subject.split(".")[3:5]
    return uid, Entry(
        version=int(version),
        sequence=stored.sequence,
        digest=headers.get(DIGEST, ""),
        namespace=namespace,
        workflow=workflow,
        correlation=headers.get("ce-correlationid", ""),
        ended=ENDED in headers,
    )


class Known:
    """The objects of one view as the log has them, and the floor of the view."""

    def __init__(self, view: View) -> None:
        """Know nothing yet."""
        self.entries: dict[str, Entry] = {}
        self.active = 0
        """Objects that have not ended."""
        self._view = view
        self._gone: dict[str, None] = {}

    def take(self, stored: Stored) -> bool:
        """Take in the newest message about an object, as it was read from the log; False for one that is none of ours.

        Somebody else has stored that one.
        """
        uid, entry = entry_of(stored)
        if not uid or not self._view.owns(uid):
            return bool(uid)
        if entry is None:
            self.put_gone(uid)
        elif uid not in self._gone:
            before = self.entries.get(uid)
            if before is None or before.sequence < entry.sequence:
                # A copy of an old message tells nothing but where the subject ends now.
                if before is not None and before.version > entry.version:
                    entry = msgspec.structs.replace(before, sequence=entry.sequence)
                self.put(uid, entry)
        return True

    def get(self, uid: str) -> Entry | None:
        """Return what is known of an object that exists."""
        return self.entries.get(uid)

    def is_gone(self, uid: str) -> bool:
        """Whether the log holds the tombstone of an object, as far as is remembered. A uid never comes back."""
        return uid in self._gone

    def put(self, uid: str, entry: Entry) -> None:
        """Note what was published or read."""
        self._count(self.entries.get(uid), -1)
        self._count(entry, +1)
        self.entries[uid] = entry

    def end_at(self, uid: str, sequence: int, unknown: Entry) -> None:
        """Note where the subjects of an object end, when it is behind all that is known of it: a stray message is last.

        `unknown` stands for an object of which the log holds strays only.
        """
        entry = self.entries.get(uid, unknown)
        if uid not in self._gone and entry.sequence < sequence:
            self.put(uid, msgspec.structs.replace(entry, sequence=sequence))

    def put_gone(self, uid: str) -> None:
        """Note that the tombstone is in the log."""
        self._count(self.entries.pop(uid, None), -1)
        self._gone[uid] = None
        if len(self._gone) > GONE_LIMIT:
            del self._gone[next(iter(self._gone))]

    def _count(self, entry: Entry | None, by: int) -> None:
        if entry is not None and not entry.ended:
            self.active += by

    def absent(self, listed: set[str], version: int) -> Iterator[str]:
        """Uids of objects that the log has, of that version or older, and a list of that version has not."""
        for uid, entry in self.entries.items():
            if uid not in listed and entry.version <= version:
                yield uid


def floor_of(view: View, stored: Stored) -> int:
    """Return the floor that a message claims for a view; 0 when it is of another view or claims none."""
    headers = stored.headers
    floor = headers.get(FLOOR, "")
    same = headers.get(SHARD) == view.shard and headers.get(SCOPE) == view.scope
    return int(floor) if same and floor.isascii() and floor.isdigit() and len(floor) <= _DIGITS else 0
