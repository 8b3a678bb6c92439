"""Findings as people and programs read them. Pure: whether everything is shown is an argument."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from rich.text import Text

from kubernaut.doctor.checks import CHECKS, PARTS
from kubernaut.doctor.finding import Finding, Severity, counts

_STYLES: Final[dict[Severity, str]] = {
    "error": "bold red",
    "warning": "bold yellow",
    "unknown": "bold magenta",
    "skipped": "bold cyan",
    "note": "bold blue",
    "ok": "green",
}
_NAMES: Final = {"nats": "NATS", "database": "PostgreSQL", "cluster": "Kubernetes"}
_TOLD: Final[dict[Severity, str]] = {
    "error": "errors",
    "warning": "warnings",
    "unknown": "not looked at",
    "skipped": "skipped",
    "ok": "well",
}
_WIDTH: Final = max(len(each) for each in CHECKS)


def lines(findings: Sequence[Finding], *, everything: bool) -> Iterator[Text]:
    """Return the findings part by part, the worst first; what is well is counted unless `everything` is wanted."""
    for part in PARTS:
        of_part = [each for each in findings if CHECKS[each.id].part == part]
        if not of_part:
            continue
        yield Text(_NAMES[part], style="bold")
        for severity in ("error", "warning", "unknown"):
            yield from _told(severity, [each for each in of_part if each.severity == severity])
        yield from _skipped([each for each in of_part if each.severity == "skipped"])
        yield from _told("note", [each for each in of_part if each.severity == "note"])
        well = [each for each in of_part if each.severity == "ok"]
        if everything:
            yield from _told("ok", well)
        elif well:
            yield Text.assemble("  ", ("ok", _STYLES["ok"]), f"{'':<8}{len(well)} things are well")


def summary(findings: Sequence[Finding]) -> Text:
    """Return the last line: how many of what."""
    found = counts(findings)
    parts = [f"{found[severity]} {_plural(words, found[severity])}" for severity, words in _TOLD.items()]
    worst: Severity = next((each for each in ("error", "warning", "unknown") if found[each]), "ok")
    return Text(", ".join(parts), style=_STYLES[worst])


def _plural(words: str, count: int) -> str:
    return words.removesuffix("s") if count == 1 else words


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {"counts": dict(counts(findings)), "findings": [msgspec.to_builtins(each) for each in findings]}


def _told(severity: Severity, findings: Sequence[Finding]) -> Iterator[Text]:
    """Return one block a finding; those that could not be looked at for the same reason are one."""
    if severity == "unknown":
        by_reason: dict[str, list[Finding]] = {}
        for each in findings:
            by_reason.setdefault(each.seen, []).append(each)
        for reason, same in by_reason.items():
            names = ", ".join(dict.fromkeys(f"{each.id} ({each.about})" for each in same))
            what = names if len(same) == 1 else f"{len(same)} things"
            yield Text.assemble("  ", (severity, _STYLES[severity]), f"   {what}: {printable(reason)}")
            if len(same) > 1:
                yield Text(f"            {', '.join(dict.fromkeys(each.id for each in same))}", style="dim")
            yield from _detail("do", next((each.mend for each in same if each.mend), ""))
        return
    for number, each in enumerate(findings):
        yield Text.assemble(
            "  ",
            (f"{severity:<8}", _STYLES[severity]),
            f"  {each.id:<{_WIDTH}}  {printable(each.about)}: {printable(each.seen)}",
        )
        after = findings[number + 1] if number + 1 < len(findings) else None
        if after is None or _advice(after) != _advice(each):  # told once for those that are mended together
            yield from _detail("why", each.why)
            yield from _detail("do", each.mend)
            yield from _detail("type", each.command)


def _skipped(findings: Sequence[Finding]) -> Iterator[Text]:
    """Return one line for those that are asked for in the same way: what was left out, and how to have it."""
    by_way: dict[tuple[str, str], list[str]] = {}
    for each in findings:
        by_way.setdefault((each.seen, each.mend), []).append(each.id)
    for (seen, mend), names in by_way.items():
        what = f"{', '.join(names)}: {printable(seen)}; {printable(mend)}"
        yield Text.assemble("  ", ("skipped", _STYLES["skipped"]), f"   {what}")


def _advice(finding: Finding) -> tuple[str, str, str]:
    return finding.why, finding.mend, finding.command


def _detail(word: str, text: str) -> Iterator[Text]:
    if text:
        yield Text.assemble(f"{'':<12}", (f"{word:<4}", "dim"), f"  {printable(text)}")


def printable(text: str) -> str:
    """Return a text on one line, without what a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)
