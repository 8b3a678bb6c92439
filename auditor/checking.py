"""Goes through rows of the audit in order and finds what is wrong with them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from auditor.archive import flaw
from auditor.records import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditor.archive import Kept

MOST_FINDINGS: Final = 20
"""That are kept; the rest is counted."""


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

    def add(self, sequence: int, what: str) -> None:
        """Take one down."""
        self.count += 1
        if self.count <= MOST_FINDINGS:
            self.first.append(Finding(sequence, what))


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

    def end(self, last: int) -> None:
        """There is no further row; there must have been one for each sequence up to `last`."""
        self._missing(last + 1)

    def _missing(self, until: int) -> None:
        while self._at < until:
            if self._expected(self._at) == ABSENT:
                self._findings.add(self._at, "the log lost this message before the audit had it")
            else:
                self._findings.add(self._at, "its row is missing")
            self._at += 1
