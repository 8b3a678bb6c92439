"""The chains of decisions on the log: which of the messages on a subject is the last link.

Everybody who may write to NATS may store anything there, a copy of an old decision too, and nothing can be taken out of
the log again. A link is stored under an expected sequence, which a copy cannot have: the subject has gone on since.
Must never take a message for a link that some version of ours may not have written, nor pass one over that it has:
what is a decision by its type and cannot be read is the reader's to refuse.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec

from schemas import subjects
from schemas.cloudevents import MESSAGE_ID, SPEC_VERSION, attribute
from schemas.messages import TYPE_OF, Decision, QueueDecided

if TYPE_CHECKING:
    from runtime.ports import Log, Stored

EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
"""Header under which a message was stored: what was last on its subject by then. The server kept to it."""
_KNOWN: Final = frozenset({TYPE_OF[Decision], TYPE_OF[QueueDecided]})
_FAMILIES: Final = tuple(name.rpartition(".")[0] + "." for name in sorted(_KNOWN))
_LARGEST: Final = 2**63 - 1


class Head(msgspec.Struct, frozen=True):
    """The end of a chain."""

    link: Stored | None = None
    """The last decision; None when there is none."""
    end: int = 0
    """Sequence that the subject ends at, which the next decision must expect: the link's, or that of a stray message
    behind it."""


class _Workflow(msgspec.Struct, frozen=True):
    uid: str = ""


class _Link(msgspec.Struct, frozen=True):
    version: int
    workflow: _Workflow | None = None


_LINKS: Final = msgspec.json.Decoder(_Link)


async def head(log: Log, subject: str) -> Head:
    """Return the end of the chain on a subject. One read, unless somebody stored something else behind it.

    Raises UnavailableError.
    """
    last = await log.last(subjects.LOG.name, subject)
    if last is None:
        return Head()
    if EXPECTED in last.headers and version(last):
        return Head(last, last.sequence)
    link: Stored | None = None
    async with aclosing(log.scan(subjects.LOG.name, subject)) as messages:
        async for stored in messages:
            # Without the header, as in a log that was made again from the audit, the version tells; the first of two.
            if version(stored) > (version(link) if link is not None else 0):
                link = stored
    return Head(link, last.sequence)


def version(stored: Stored) -> int:
    """Return the version of a message that is a decision by its envelope, on its own subject; 0 for any other.

    Whether the whole of it can be read is another question. One of a type that only a newer version of ours knows is
    the newest of all: nobody here can go on from it, nor past it.
    """
    headers = stored.headers
    identity = attribute(headers, "ce-id")
    if not identity or headers.get(MESSAGE_ID, identity) != identity or headers.get("ce-specversion") != SPEC_VERSION:
        return 0
    kind = headers.get("ce-type", "")
    if kind not in _KNOWN:
        return _LARGEST if kind.startswith(_FAMILIES) else 0
    try:
        found = _LINKS.decode(stored.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    uid = stored.subject.rsplit(".", 1)[1]
    belongs = uid == (found.workflow.uid if found.workflow is not None else subjects.QUEUE)
    return found.version if belongs and 0 < found.version <= _LARGEST else 0
