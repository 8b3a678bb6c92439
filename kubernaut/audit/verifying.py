"""`kubernaut audit verify`: whether the audit is whole and unchanged. Changes nothing.

Nothing that the database says of itself is believed alone. Each row must have the digest that its sealed range has of
it; the ranges hang on one another; and the log, where the checkpoints stand a second time, must tell the same. What
is not sealed yet, and each range that log and database disagree about, is compared with the messages of the log.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import msgspec

from auditor import chain
from auditor.archive import Kept
from auditor.chain import Seal
from auditor.checking import Checking, Finding, Findings
from auditor.records import ABSENT
from kubernaut.audit import from_log
from kubernaut.audit.from_log import Witness
from kubernaut.audit.reader import Reader

_SEALED: Final = "what was sealed"
_LOGGED: Final = "what the log holds"
_WINDOW: Final = 5000
_EVERYTHING: Final = 2**62


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at and what was found."""

    findings: tuple[Finding, ...]
    """The first of them, in order of sequence."""
    found: int
    """How many there are."""
    messages: int
    ranges: int
    first: int
    last: int
    number: int
    """Of the newest sealed range; 0 when none is."""
    digest: str
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.found


class Verifying:
    """One verification."""

    def __init__(self, reader: Reader, witness: Witness | None, *, tell: Callable[[int, int], None]) -> None:
        """`witness`: None when there is no log to compare with. `tell` is told of each row: (sequence, last)."""
        self._reader = reader
        self._witness = witness
        self._tell = tell
        self._findings = Findings()
        self._messages = 0
        self._last = 0

    async def verify(self, first: int = 1, last: int = _EVERYTHING, known: tuple[int, str] | None = None) -> Verdict:
        """Verify the chain, and the rows from `first` to `last`. `known`: number and digest that was written down."""
        extent = await self._reader.extent()
        self._last = min(last, max(extent.highest, self._witness.last if self._witness else 0))
        if extent.others:
            self._findings.add(0, f"{extent.others} rows claim to be of a stream {extent.other!r} that is not audited")
        head: Seal | None = None
        ranges = 0
        async for seal in self._reader.seals():
            before = extent.lowest < seal.from_sequence and not extent.empty
            if head is None and before and first <= max(extent.lowest, 1):
                self._findings.add(extent.lowest, f"rows before {seal.from_sequence}, where the audit begins")
            trusted = self._chained(head, seal)
            self._known(seal, known)
            if seal.to_sequence >= first and seal.from_sequence <= last:
                await self._range(seal, max(first, seal.from_sequence), min(last, seal.to_sequence), trusted=trusted)
            head, ranges = seal, ranges + 1
        self._unsealed_checkpoints(head, known)
        begin = max(first, head.to_sequence + 1 if head else min(extent.lowest or 1, self._oldest(extent.lowest)))
        await self._tail(begin, min(last, self._last))
        accepted = self._findings.settle()
        return Verdict(
            findings=tuple(sorted(self._findings.first)),
            found=self._findings.count,
            messages=self._messages,
            ranges=ranges,
            first=max(first, min(extent.lowest, self._oldest(extent.lowest))),
            last=self._last,
            number=head.number if head else 0,
            digest=head.digest if head else "",
            notes=(*accepted, *self._notes()),
        )

    def _chained(self, before: Seal | None, seal: Seal) -> bool:
        """Compare a sealed range with the one before it and with the log; tell whether its digests can be believed."""
        wrong = chain.flaw(before, seal)
        if not wrong and before is None and seal.number != 1:
            wrong = "the ranges before it are gone"
        if not wrong and self._witness is not None:
            told = self._witness.checkpoints.get(seal.number)
            if told is None and seal.told_at >= self._witness.first:
                wrong = f"the log does not hold its checkpoint, which was at {seal.told_at}"
            elif told is not None and told != seal.checkpoint:
                wrong = "its checkpoint in the log is another one: the seals in the database were changed"
        if wrong:
            self._findings.add(seal.from_sequence, f"sealed range {seal.number}: {wrong}")
        return not wrong

    def _known(self, seal: Seal, known: tuple[int, str] | None) -> None:
        if known is not None and known[0] == seal.number and known[1] != seal.digest:
            self._findings.add(seal.from_sequence, f"sealed range {seal.number}: its digest was written down otherwise")

    def _unsealed_checkpoints(self, head: Seal | None, known: tuple[int, str] | None) -> None:
        number = head.number if head else 0
        if self._witness is not None:
            beyond = [told for each, told in sorted(self._witness.checkpoints.items()) if each > number]
            if beyond and beyond[0].number > number + 1:
                what = (
                    f"sealed ranges {number + 1} to {beyond[0].number - 1} are neither in the database nor in the log"
                )
                self._findings.add(head.to_sequence + 1 if head else 1, what)
            # The newest may have been published this moment; what it seals is compared with the log all the same.
            for told in beyond[:-1]:
                what = f"sealed range {told.number} is in the log and not in the database"
                self._findings.add(told.from_sequence, what)
            for sequence in self._witness.broken:
                self._findings.add(sequence, "the log holds a checkpoint here that is none, or one of a number twice")
        if known is not None and known[0] > number:
            self._findings.add(head.to_sequence + 1 if head else 1, f"sealed range {known[0]}, written down, is gone")

    async def _range(self, seal: Seal, first: int, last: int, *, trusted: bool) -> None:
        if trusted or self._witness is None or first < self._witness.first:
            checking = Checking(first, seal.leaf_at, self._findings, _SEALED)
            async for one in self._reader.rows(first, last):
                await self._take(checking, one)
            checking.end(last)
            self._messages += checking.messages
        else:
            await self._against_log(self._witness, first, last, last)

    async def _tail(self, first: int, last: int) -> None:
        """Look at what is not sealed yet. What the auditor has not acknowledged yet may be missing."""
        if self._witness is None:
            checking = Checking(first, lambda _: None, self._findings, _LOGGED)
            async for one in self._reader.rows(first, last):
                await self._take(checking, one)
            self._messages += checking.messages
        else:
            await self._against_log(self._witness, first, last, min(last, self._witness.acknowledged))

    async def _against_log(self, seen: Witness, first: int, last: int, required: int) -> None:
        """Compare with the messages of the log, window by window; up to `required` each must have a row."""
        held = range(seen.first, seen.last + 1)
        for start in range(first, last + 1, _WINDOW):
            end = min(start + _WINDOW - 1, last)
            leaves = {each: leaf async for each, leaf in from_log.leaves(seen.log, max(start, held.start), end)}

            def expected(each: int, leaves: dict[int, bytes] = leaves) -> bytes | None:
                return leaves.get(each, ABSENT if each in held else None)

            checking = Checking(start, expected, self._findings, _LOGGED)
            async for one in self._reader.rows(start, end):
                await self._take(checking, one)
            checking.end(min(end, required))
            self._messages += checking.messages

    async def _take(self, checking: Checking, one: Kept) -> None:
        self._tell(one.sequence, self._last)
        checking.take(one)
        if one.kept_in == "message" and one.body is None and await self._could_have_body(one.raw or b""):
            self._findings.add(one.sequence, "its body is gone: its payload is JSON")

    async def _could_have_body(self, raw: bytes) -> bool:
        try:
            text = raw.decode()
            json.loads(text)
        except (ValueError, RecursionError):
            return False
        return await self._reader.takes_json(text)

    def _oldest(self, otherwise: int) -> int:
        return self._witness.first if self._witness is not None else otherwise

    def _notes(self) -> list[str]:
        if self._witness is None:
            return ["not compared with the log, so that a chain rewritten as a whole, or cut at its end, is not found"]
        behind = self._witness.last - self._witness.acknowledged
        return [f"{behind} messages at the end of the log are not in the audit yet"] if behind > 0 else []
