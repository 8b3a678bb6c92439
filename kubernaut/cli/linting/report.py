"""Findings as people and programs read them. Pure: what the terminal can show is an argument."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from rich.cells import cell_len
from rich.text import Text

from kubernaut.cli.linting.documents import lines_of
from kubernaut.cli.linting.located import Finding
from schemas.redaction import redact

STYLES: Final = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}
_WIDEST: Final = 160
_BEFORE: Final = 100
"""Characters shown of a longer line, and how many of them before the place."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to tell about one file."""

    file: str
    text: str
    findings: list[Finding]
    workflows: int

    def count(self, severity: str) -> int:
        """Return how many findings there are of a severity."""
        return sum(each.severity == severity for each in self.findings)


def lines(report: Report, *, excerpts: bool) -> Iterator[Text]:
    """Return one line a finding, as compilers write them; with the line of the file below when `excerpts`."""
    source = lines_of(report.text) if excerpts else []
    for number, group in itertools.groupby(report.findings, key=lambda each: each.at.line):
        told = list(group)
        yield from (_line(report.file, each) for each in told)
        if number <= len(source) and any(each.severity != "note" for each in told):
            yield from _excerpt(source[number - 1], number, sorted({each.at.column for each in told}))


def summary(reports: Sequence[Report]) -> Text:
    """Return the last line: how many of what."""
    errors, warnings = (sum(report.count(kind) for report in reports) for kind in ("error", "warning"))
    where = f"{_count(sum(r.workflows for r in reports), 'workflow')} in {_count(len(reports), 'file')}"
    if not errors and not warnings:
        return Text.assemble(("no errors", "bold green"), f" in {where}" if len(reports) != 1 else f", {where}")
    return Text.assemble(
        (_count(errors, "error"), STYLES["error"] if errors else ""),
        ", ",
        (_count(warnings, "warning"), STYLES["warning"] if warnings else ""),
        f"; {where}",
    )


def as_json(reports: Sequence[Report]) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {
        "files": len(reports),
        "workflows": sum(report.workflows for report in reports),
        "errors": sum(report.count("error") for report in reports),
        "warnings": sum(report.count("warning") for report in reports),
        "findings": [_told(report.file, each) for report in reports for each in report.findings],
    }


def _told(file: str, finding: Finding) -> dict[str, Any]:
    return {
        "file": file,
        "line": finding.at.line,
        "column": finding.at.column,
        "severity": finding.severity,
        "path": finding.path,
        "message": finding.message,
    }


def _line(file: str, finding: Finding) -> Text:
    parts = [
        (f"{_printable(file)}:{finding.at.line}:{finding.at.column}: ", "bold"),
        (f"{finding.severity}: ", STYLES[finding.severity]),
    ]
    if finding.path:
        parts.append((f"{_printable(finding.path)}: ", "cyan"))
    return Text.assemble(*parts, _printable(finding.message))


def _excerpt(line: str, number: int, columns: Sequence[int]) -> Iterator[Text]:
    """Return a line of the file and marks below; nothing of a line that may hold a secret."""
    if redact(line) is not line:
        return
    start = max(0, columns[0] - _BEFORE) if len(line) > _WIDEST else 0
    shown = _printable(line[start : start + _WIDEST])
    marks = ""
    for column in columns:
        width = cell_len(shown[: column - 1 - start])
        if column - start <= _WIDEST:
            marks += " " * (width - len(marks)) + "^"
    yield Text.assemble((f"{number:>6} | ", "dim"), shown)
    yield Text.assemble((f"{'':>6} | ", "dim"), (marks, "bold red"))


def _printable(text: str) -> str:
    """A text that cannot move the cursor or colour the screen."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in text)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
