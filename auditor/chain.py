"""The chain of sealed ranges: how one is made, and what can be wrong with it. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from auditor.records import ABSENT, LEAF_BYTES
from schemas import subjects
from schemas.cloudevents import Event
from schemas.messages import TYPE_OF, AuditSealed, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE: Final = "/kubernaut/auditor"
TYPE: Final = TYPE_OF[AuditSealed]
_FORM: Final = "kubernaut.audit.1"
"""Names how digests are made, so that they can be made otherwise one day."""


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed range, as the database has it. The names are those of `AuditSealed`."""

    stream: str
    number: int
    from_sequence: int
    to_sequence: int
    messages: int
    leaves: bytes
    previous: str
    digest: str
    told_at: int = 0
    """Sequence of the checkpoint in the log; 0 while it is not there yet."""

    def leaf_at(self, sequence: int) -> bytes:
        """Return the digest of the record at a sequence of the range; `ABSENT` when the log had lost it."""
        place = (sequence - self.from_sequence) * LEAF_BYTES
        return self.leaves[place : place + LEAF_BYTES]

    @property
    def checkpoint(self) -> AuditSealed:
        """What the log is told."""
        return AuditSealed(
            number=self.number,
            stream=self.stream,
            from_sequence=self.from_sequence,
            to_sequence=self.to_sequence,
            messages=self.messages,
            leaves=hashlib.sha256(self.leaves).hexdigest(),
            previous=self.previous,
            digest=self.digest,
        )


def seal(stream: str, before: Seal | None, first: int, leaves: Sequence[bytes]) -> Seal:
    """Return the range that begins at the sequence `first` and follows `before`; one leaf a sequence."""
    made = Seal(
        stream=stream,
        number=before.number + 1 if before else 1,
        from_sequence=first,
        to_sequence=first + len(leaves) - 1,
        messages=sum(one != ABSENT for one in leaves),
        leaves=b"".join(leaves),
        previous=before.digest if before else "",
        digest="",
    )
    return msgspec.structs.replace(made, digest=digest_of(made.checkpoint))


def digest_of(checkpoint: AuditSealed) -> str:
    """Return the digest that a checkpoint must have."""
    parts = (
        _FORM,
        checkpoint.stream,
        checkpoint.number,
        checkpoint.from_sequence,
        checkpoint.to_sequence,
        checkpoint.messages,
        checkpoint.leaves,
        checkpoint.previous,
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def event(made: Seal) -> Event:
    """Return the message that tells the log of a sealed range; two auditors that seal the same make the same."""
    body = made.checkpoint
    return Event(
        subject=subjects.CHECKPOINTS,
        id=f"audit/{body.stream}/{body.number}/{body.digest}",
        type=TYPE,
        source=SOURCE,
        data=encode(body),
    )


def read(data: bytes) -> AuditSealed | None:
    """Return the checkpoint that a message of the log holds; None when it holds none, or one that was tampered with."""
    try:
        body = msgspec.json.decode(data, type=AuditSealed)
    except (msgspec.DecodeError, RecursionError):
        return None
    return body if digest_of(body) == body.digest else None


def flaw(before: Seal | None, this: Seal) -> str:
    """Return what is wrong with a sealed range as the one after `before`; empty when nothing is.

    `before` None: it is the first one that is kept, and what it hangs on is not known.
    """
    alone = _flaw_of_one(this)
    if alone:
        return alone
    if before is None:
        return "it is the first and names one before it" if this.number == 1 and this.previous else ""
    if this.number != before.number + 1:
        return f"it follows number {before.number}"
    if this.previous != before.digest:
        return f"it does not hang on number {before.number}: that has another digest"
    if this.from_sequence != before.to_sequence + 1:
        return f"it begins at {this.from_sequence} and number {before.number} ended at {before.to_sequence}"
    return ""


def _flaw_of_one(this: Seal) -> str:
    if len(this.leaves) != max(this.to_sequence - this.from_sequence + 1, 1) * LEAF_BYTES:
        return "its digests are not one a sequence"
    if this.messages != sum(this.leaf_at(each) != ABSENT for each in range(this.from_sequence, this.to_sequence + 1)):
        return "it counts other messages than it has digests of"
    return "" if digest_of(this.checkpoint) == this.digest else "its digest is not that of what it holds"
