"""Goes through rows of the audit in order and finds what is wrong with them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from auditor.archive import flaw
from auditor.records import ABSENT
from schemas.messages import TYPE_OF, LossAccepted

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditor.archive import Kept

MOST_FINDINGS: Final = 20
"""That are kept; the rest is counted."""
_MOST_LOSSES: Final = 1000
"""Ranges that are remembered until the end."""
_US: Final = 1_000_000
_ACCEPTED: Final = TYPE_OF[LossAccepted]


class Finding(msgspec.Struct, frozen=True, order=True):
    """Something that is not as it must be."""

    sequence: int
    """Of the log."""
    what: str
    """A sentence about it for people."""


class Findings:
    """What was found, the first of it in words."""

    def __init__(self) -> None:
        self.first: list[Finding] = []
        self.count = 0
        self._lost: list[tuple[int, int]] = []
        """Sequences that the log lost before the audit had them, from and to."""
        self._accepted: list[tuple[LossAccepted, str]] = []

    def add(self, sequence: int, what: str) -> None:
        """Take one down."""
        self.count += 1
        if self.count <= MOST_FINDINGS:
            self.first.append(Finding(sequence, what))

    def lose(self, sequence: int) -> None:
        """The log lost this message before the audit had it; whether anybody accepted that may stand further on."""
        if self._lost and self._lost[-1][1] == sequence - 1:
            self._lost[-1] = (self._lost[-1][0], sequence)
        elif len(self._lost) < _MOST_LOSSES:
            self._lost.append((sequence, sequence))
        else:
            self.add(sequence, f"the log lost message {sequence} before the audit had it")

    def accept(self, loss: LossAccepted, when: str) -> None:
        """Somebody let the system go on without what was lost: that is told, and is no finding."""
        self._accepted.append((loss, when))

    def settle(self) -> list[str]:
        """Take down what was lost and nobody accepted; return a sentence for each loss that somebody did.

        Comes last: who accepted a loss stands behind it.
        """
        notes = []
        for first, last in self._lost:
            what = f"message {first}" if first == last else f"messages {first} to {last}"
            for loss, when in self._accepted:
                if loss.lost_after < first and last < loss.lost_before:
                    notes.append(f"the log lost {what}: {loss.reason}; {loss.by} accepted that on {when}")
                    break
            else:
                self.add(first, f"the log lost {what} before the audit had it")
        self._lost.clear()
        return notes


class Checking:
    """A pass over the rows from a sequence on: `take` gets each of them in order, `end` says that there is no more."""

    def __init__(self, first: int, expected: Callable[[int], bytes | None], findings: Findings, sealed: str) -> None:
        """`expected`: digest that the record at a sequence must have; None where nobody knows.

        `sealed`: who says so, for the sentences: `what was sealed` or `what the log holds`.
        """
        self._at = first
        self._expected = expected
        self._findings = findings
        self._sealed = sealed
        self.messages = 0

    def take(self, one: Kept) -> None:
        """Look at a row."""
        if one.sequence < self._at:
            self._findings.add(one.sequence, f"another row ({one.kept_in}) claims the same place")
            return
        self._missing(one.sequence)
        self._at += 1
        self.messages += 1
        expected = self._expected(one.sequence)
        if wrong := flaw(one):
            self._findings.add(one.sequence, wrong)
        elif expected == ABSENT:
            self._findings.add(one.sequence, "it was put in afterwards: the log has no such message")
        elif expected is not None and expected != one.leaf:
            self._findings.add(one.sequence, f"it is not {self._sealed}")
        elif one.fields["type"] == _ACCEPTED:
            self._accept(one)

    def end(self, last: int) -> None:
        """There is no further row; there must have been one for each sequence up to `last`."""
        self._missing(last + 1)

    def _missing(self, until: int) -> None:
        while self._at < until:
            if self._expected(self._at) == ABSENT:
                self._findings.lose(self._at)
            else:
                self._findings.add(self._at, "its row is missing")
            self._at += 1

    def _accept(self, one: Kept) -> None:
        try:
            loss = msgspec.json.decode(one.raw or b"", type=LossAccepted)
        except msgspec.MsgspecError:
            self._findings.add(one.sequence, "it does not say which loss was accepted")
            return
        when = datetime.fromtimestamp(one.fields["time_us"] / _US, UTC)
        self._findings.accept(loss, f"{when:%Y-%m-%d %H:%M} UTC")
