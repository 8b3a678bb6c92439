"""What a check says in the end: verdict, one sentence, findings and inputs, without secrets, of bounded size. Pure.

What cannot be judged is told and fails nothing: a missing right of ours must not end the run of a user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from schemas.messages import CheckFinding, CheckReported
from schemas.redaction import redact

if TYPE_CHECKING:
    from schemas.messages import RunCheck, WorkflowRef

TARGETS: Final = 64
"""Targets that one check looks at."""
FINDINGS: Final = 128
INPUTS: Final = 64
SUBJECT: Final = 300
SENTENCE: Final = 400
"""How many, and how long in characters: even where JSON takes six bytes for each, a message has room for all."""
MESSAGE: Final = 2000
_ORDER: Final = ("failed", "unknown", "passed")
_TOLD: Final = 3
"""Findings that the one sentence names."""


class Found(msgspec.Struct, frozen=True):
    """What a check found, as it was read: not redacted, not cut."""

    findings: tuple[CheckFinding, ...] = ()
    inputs: dict[str, str] = {}


def passed(found: Found) -> bool:
    """Whether nothing was found that is wrong."""
    return all(finding.state != "failed" for finding in found.findings)


def reported(workflow: WorkflowRef, command: RunCheck, command_id: str, found: Found) -> CheckReported:
    """Return the body of the message that tells it."""
    matter = sorted(found.findings, key=lambda finding: _ORDER.index(finding.state))
    findings = tuple(_clean(finding) for finding in matter[:FINDINGS])
    return CheckReported(
        workflow=workflow,
        command_id=command_id,
        check=command.check,
        type=command.type,
        passed=passed(found),
        message=_sentence(findings, len(matter)),
        findings=findings,
        inputs={_text(k, SUBJECT): _text(v, SENTENCE) for k, v in list(found.inputs.items())[:INPUTS]},
    )


def _sentence(findings: tuple[CheckFinding, ...], count: int) -> str:
    failed = [finding for finding in findings if finding.state == "failed"]
    unknown = [finding for finding in findings if finding.state == "unknown"]
    if failed:
        return _text(_named(failed), MESSAGE)
    if unknown:
        return _text(f"{len(unknown)} of {count} could not be judged: {_named(unknown)}", MESSAGE)
    return ""


def _named(findings: list[CheckFinding]) -> str:
    told = [f"{finding.subject}: {finding.message}" for finding in findings[:_TOLD]]
    if len(findings) > _TOLD:
        told.append(f"and {len(findings) - _TOLD} more")
    return "; ".join(told)


def _clean(finding: CheckFinding) -> CheckFinding:
    return CheckFinding(
        subject=_text(finding.subject, SUBJECT), state=finding.state, message=_text(finding.message, SENTENCE)
    )


def _text(text: str, limit: int) -> str:
    """Redact before cutting: half of a secret is not seen to be one."""
    clean: Any = redact(text)
    clean = str(clean).encode("utf-8", "replace").decode()
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"
