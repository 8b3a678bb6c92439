"""What the doctor says: one finding for each thing that was looked at. Data only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from kubernaut.doctor.checks import CHECKS

Severity = Literal["error", "warning", "unknown", "skipped", "note", "ok"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "unknown", "skipped", "note", "ok")
"""In the order in which they are told. `unknown`: it was to be looked at and could not be; it never counts as well.
`skipped`: it was not asked for, and how to ask is told; it counts neither as well nor as trouble. `note`: worth
knowing, and nothing to be mended."""


class Unlooked(msgspec.Struct, frozen=True):
    """What could not be looked at, and why."""

    reason: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    id: str
    """Of the check, as in docs/doctor.md."""
    severity: Severity
    about: str
    """Which stream, consumer, account …; the part itself where there is but one."""
    seen: str
    why: str = ""
    """Why it matters; empty for what is well."""
    mend: str = ""
    """What to do, in a sentence."""
    command: str = ""
    """What to type for that, where a command does it."""


def finding(
    check: str, severity: Severity, about: str, seen: str, *, mend: str | None = None, command: str | None = None
) -> Finding:
    """Return a finding in the words of its check; `mend` and `command` say it more exactly where that is known."""
    known = CHECKS[check]
    if severity in {"ok", "note"}:
        return Finding(id=check, severity=severity, about=about, seen=seen)
    if severity in {"unknown", "skipped"}:
        known_mend, known_command = known.see, ""
    else:
        known_mend, known_command = known.mend, known.command
    return Finding(
        id=check,
        severity=severity,
        about=about,
        seen=seen,
        why=known.why,
        mend=known_mend if mend is None else mend,
        command=known_command if command is None else command,
    )


def unlooked(checks: Iterable[str], about: str, why: Unlooked) -> list[Finding]:
    """Return that none of these checks could be made."""
    return [finding(check, "unknown", about, why.reason) for check in checks]


def counts(findings: Iterable[Finding]) -> dict[Severity, int]:
    """Return how many there are of each severity."""
    told = [each.severity for each in findings]
    return {severity: told.count(severity) for severity in SEVERITIES}


def exit_code(findings: Iterable[Finding], *, strict: bool) -> int:
    """Return 1 when something is wrong, else 2 when something could not be looked at, else 0.

    `strict`: warnings count as errors. What was not asked for changes nothing.
    """
    found = counts(findings)
    if found["error"] or (strict and found["warning"]):
        return 1
    return 2 if found["unknown"] else 0
