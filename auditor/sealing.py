"""What is sealed next, and whether the log and the database tell the same of it. Pure: decides, never asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from auditor.chain import Seal, seal
from auditor.records import ABSENT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from schemas.messages import AuditSealed

MOST_SEQUENCES: Final = 10_000
"""Of one range: its digests are 320 KB."""


class Leaf(msgspec.Struct, frozen=True, gc=False):
    """One row that is not sealed yet."""

    sequence: int
    digest: bytes
    checkpoint: bool = False
    """Whether it is itself a checkpoint."""


def next_range(stream: str, head: Seal | None, first: int, rows: Sequence[Leaf], lost: Collection[int]) -> Seal | None:
    """Return the range to seal: from `first` as far as no sequence is missing; None when there is nothing worth it.

    `rows`: in order. `lost`: sequences that the log itself does not hold. A range of nothing but checkpoints waits for
    other messages, so that an idle system comes to rest and never seals its own seals for ever.
    """
    leaves: list[bytes] = []
    worth = False
    by_sequence, lost = {row.sequence: row for row in rows}, set(lost)
    last = max((*by_sequence, *lost), default=0)
    for sequence in range(first, min(last, first + MOST_SEQUENCES - 1) + 1):
        row = by_sequence.get(sequence)
        if row is None and sequence not in lost:
            break
        leaves.append(row.digest if row else ABSENT)
        worth = worth or row is None or not row.checkpoint
    return seal(stream, head, first, leaves) if worth else None


def holes(first: int, rows: Sequence[Leaf]) -> list[int]:
    """Return the sequences from `first` to the last row that no row has."""
    there = {row.sequence for row in rows}
    return [each for each in range(first, max(there, default=first - 1) + 1) if each not in there]


def trouble(head: Seal | None, told: AuditSealed | None, end_of_log: int) -> str:
    """Return why the chain must not go on: the log and the database contradict each other; empty when they do not.

    `told`: the newest checkpoint in the log. It may be ahead of the database, which then takes it over; never behind,
    but for retention, which drops all of the log before any of what comes later.
    """
    if head is None:
        return ""
    if end_of_log < head.told_at:
        return (
            f"the log ends at {end_of_log} and the audit has seen its checkpoint {head.number} at {head.told_at}: the "
            "log was made anew or restored from an older copy"
        )
    if told is None:
        return ""
    if told.number < head.number:
        return f"the log's newest checkpoint is {told.number}, and the database has sealed up to {head.number}"
    if told.number == head.number and told.digest != head.digest:
        return f"checkpoint {head.number} in the log is another one than in the database"
    return ""


def laid_out(told: AuditSealed, rows: Sequence[Leaf]) -> list[bytes]:
    """Return one digest for each sequence of a range that the log was told of; what no row has counts as lost."""
    by_sequence = {row.sequence: row.digest for row in rows}
    return [by_sequence.get(each, ABSENT) for each in range(told.from_sequence, told.to_sequence + 1)]


def same(made: Seal, told: AuditSealed) -> bool:
    """Tell whether what the rows make is what the log was told."""
    return made.checkpoint == told
