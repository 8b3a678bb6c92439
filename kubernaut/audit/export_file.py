"""Writes an export, line by line, and verifies one without any server. Memory does not grow with its size."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

from auditor import chain
from auditor.chain import Seal
from auditor.checking import Checking, Findings
from kubernaut.audit import export_lines
from kubernaut.audit.export_lines import ExportError, Line
from kubernaut.audit.reader import Reader
from kubernaut.audit.verifying import Verdict

Tell = Callable[[int, int], None]


async def export(reader: Reader, first: int, last: int, *, tell: Tell) -> AsyncGenerator[Line, None]:
    """Yield the lines of an export from `first` to `last`, in the order of the log."""
    extent = await reader.extent()
    first, last = max(first, extent.lowest), min(last, extent.highest)
    yield export_lines.head(first, last)
    count, at = 0, first
    async for seal in reader.seals():
        if seal.to_sequence < first or seal.from_sequence > last:
            continue
        yield export_lines.of_seal(seal)
        async for one in reader.rows(max(first, seal.from_sequence), min(last, seal.to_sequence)):
            tell(one.sequence, last)
            count += 1
            yield export_lines.of_message(one)
        at = seal.to_sequence + 1
    async for one in reader.rows(max(at, first), last):
        tell(one.sequence, last)
        count += 1
        yield export_lines.of_message(one)
    yield export_lines.tail(count)


def lines_of(file: Path) -> Iterator[Line]:
    """Yield the lines of a file. Raises ExportError when it is no export or cannot be read."""
    try:
        with file.open(encoding="utf-8", newline="") as text:
            yield from export_lines.read_lines(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{file} cannot be read: {error}") from error


def verify_file(file: Path, *, known: tuple[int, str] | None = None, tell: Tell) -> Verdict:
    """Verify an export by itself: each message has the digest that its range has of it, and the ranges are a chain."""
    verifying = _VerifyingFile(known, tell)
    try:
        for line in lines_of(file):
            verifying.take(line)
    except ExportError as error:
        verifying.broken(str(error))
    return verifying.verdict()


class _VerifyingFile:
    """One pass over the lines of an export."""

    def __init__(self, known: tuple[int, str] | None, tell: Tell) -> None:
        self._known = known
        self._tell = tell
        self._findings = Findings()
        self._first = self._last = self._at = 0
        self._head: Seal | None = None
        self._checking: Checking | None = None
        self._until = 0
        self._messages = self._ranges = 0
        self._ended = False
        self._matched = False

    def take(self, line: Line) -> None:
        """Look at a line. Raises ExportError."""
        kind = line["kind"]
        if (self._checking is None) != (kind == "export"):
            raise ExportError("it does not begin as an export does" if self._checking is None else "it begins twice")
        if self._ended:
            raise ExportError("something stands behind its last line")
        if kind == "export":
            self._begin(line)
        elif kind == "checkpoint":
            self._range(export_lines.seal_of(line))
        elif kind == "message":
            self._message(line)
        elif kind == "end":
            self._end(line)
        else:
            raise ExportError(f"a line of a kind that is not known: {kind!r}")

    def broken(self, what: str) -> None:
        """The file cannot be read any further."""
        self._findings.add(self._at, what)
        self._ended = True

    def verdict(self) -> Verdict:
        """Say what was found, at the end."""
        if not self._ended:
            self._findings.add(self._at, "the export was cut: its last line is missing")
        if self._known is not None and not self._matched:
            self._findings.add(self._at, f"sealed range {self._known[0]}, written down, is not in the export")
        open_end = self._last - (self._head.to_sequence if self._head else self._first - 1)
        notes = [f"the last {open_end} messages are not sealed, and nothing vouches for them"] if open_end > 0 else []
        accepted = self._findings.settle()
        return Verdict(
            findings=tuple(sorted(self._findings.first)),
            found=self._findings.count,
            messages=self._messages,
            ranges=self._ranges,
            first=self._first,
            last=self._last,
            number=self._head.number if self._head else 0,
            digest=self._head.digest if self._head else "",
            notes=(*accepted, *notes),
        )

    def _begin(self, line: Line) -> None:
        if line.get("form") != export_lines.FORM:
            raise ExportError(f"an export of another form: {line.get('form')!r}")
        self._first, self._last = int(line["from"]), int(line["to"])
        self._at = self._first
        self._open(self._first, self._first - 1, None)

    def _open(self, first: int, until: int, seal: Seal | None) -> None:
        """From here on messages belong to this range; without one they are not sealed."""
        self._until = until
        expected = (lambda _: None) if seal is None else seal.leaf_at
        self._checking = Checking(first, expected, self._findings, "what was sealed")

    def _close(self) -> None:
        if self._checking is not None:
            self._checking.end(self._until)
            self._messages += self._checking.messages

    def _range(self, seal: Seal) -> None:
        if wrong := chain.flaw(self._head, seal):
            self._findings.add(seal.from_sequence, f"sealed range {seal.number}: {wrong}")
        if self._head is None and seal.from_sequence > self._first:
            self._findings.add(self._first, f"no range of the export seals the messages before {seal.from_sequence}")
        if self._known is not None and self._known[0] == seal.number:
            self._matched = True
            if self._known[1] != seal.digest:
                what = f"sealed range {seal.number}: its digest was written down otherwise"
                self._findings.add(seal.from_sequence, what)
        self._close()
        self._head, self._ranges = seal, self._ranges + 1
        self._open(max(self._first, seal.from_sequence), min(self._last, seal.to_sequence), seal)

    def _message(self, line: Line) -> None:
        one = export_lines.message_of(line)
        self._at = one.sequence
        self._tell(one.sequence, self._last)
        if self._checking is not None and self._head is not None and one.sequence > self._until >= self._first:
            self._close()
            self._open(self._until + 1, self._last, None)
        if self._checking is not None:
            self._checking.take(one)

    def _end(self, line: Line) -> None:
        self._until = self._last
        self._close()
        if line.get("messages") != self._messages:
            what = f"the export says that it has {line.get('messages')} messages, and has {self._messages}"
            self._findings.add(self._last, what)
        self._ended = True
