"""What planning and validating found: errors, safety checks, the dry run, the approval; as a status shows it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from executor_bridge.times import rfc3339_or_none
from executor_bridge.wording import cut
from schemas.workflow_status import (
    TERMINAL_STEP_PHASES,
    CheckResult,
    DryRunResults,
    DryRunStep,
    ValidationResults,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from executor_bridge.definition import Definition
    from schemas.run_state import CheckState, RunState, SideState

SHOWN: Final = 200
"""How many entries of a list are shown: an object has 1.5 MiB for everything. The decision on the log has the rest."""
LINE: Final = 1024
"""Characters of each of them."""
_PERSON: Final = 256
"""Characters of who approved, as in schemas.workflow_status."""

Stop = Literal["ApprovalRejected", "CheckFailed", "DryRunFailed", "TimedOut"]


def validation_of(state: RunState) -> ValidationResults | None:
    """Return what was found so far; None while there is nothing."""
    if not (state.errors or state.checks or state.dry_runs or state.approval):
        return None
    given = state.approval
    return ValidationResults(
        safety_checks_passed=checks_passed(state),
        checks=tuple(_check(check) for check in state.checks if check.passed is not None),
        dry_run_performed=bool(state.dry_runs) and not any(_is_open(side) for side in state.dry_runs),
        dry_run_results=_dry_run(state.dry_runs),
        approval_received=given is not None and given.verdict == "approved",
        approved_by=given.by[:_PERSON] if given else None,
        approval_timestamp=rfc3339_or_none(given.at) if given else None,
        validation_errors=_lines(state.errors, "errors"),
    )


def checks_passed(state: RunState) -> bool | None:
    """Return whether all required checks passed; None when there are none, or one of them has no result yet."""
    results = [check.passed for check in state.checks if check.required]
    if False in results:
        return False
    return None if not state.checks or None in results else True


def failed_checks(state: RunState) -> tuple[CheckState, ...]:
    """Return the required checks that did not pass."""
    return tuple(check for check in state.checks if check.required and check.passed is False)


def failed_dry_runs(state: RunState) -> tuple[SideState, ...]:
    """Return the dry runs that did not pass."""
    return tuple(side for side in state.dry_runs if side.phase == "failed")


def needs_approval(state: RunState, words: Definition) -> bool:
    """Whether the run waits for an approval before it executes, or did."""
    return words.approval_required or state.approval is not None


def what_stopped(state: RunState) -> Stop:
    """Return why a run failed in validating."""
    if state.approval is not None and state.approval.verdict == "rejected":
        return "ApprovalRejected"
    if failed_checks(state):
        return "CheckFailed"
    return "DryRunFailed" if failed_dry_runs(state) else "TimedOut"


def _check(check: CheckState) -> CheckResult:
    return CheckResult(
        type=check.type, passed=bool(check.passed), required=check.required, message=cut(check.message, LINE)
    )


def _dry_run(sides: tuple[SideState, ...]) -> DryRunResults | None:
    """Return what the dry runs found that have ended; one that was passed over may say why, and has no result."""
    ended = [side for side in sides if not _is_open(side)]
    if not ended:
        return None
    found = [(side.number, finding) for side in ended for finding in side.findings]
    return DryRunResults(
        overall_success=all(side.phase in {"completed", "skipped"} for side in sides),
        step_results=tuple(_dry_step(side) for side in ended if side.phase != "skipped"),
        resource_changes=_lines([one for _, one in found if not one.startswith("!")], "changes"),
        potential_issues=_lines([f"step {n}: {one[1:].strip()}" for n, one in found if one.startswith("!")], "issues"),
    )


def _dry_step(side: SideState) -> DryRunStep:
    said = side.error or side.reason if side.phase != "completed" else "; ".join(side.findings)
    return DryRunStep(step_number=side.number, success=side.phase == "completed", message=cut(said, LINE))


def _is_open(side: SideState) -> bool:
    return side.phase not in TERMINAL_STEP_PHASES


def _lines(texts: Iterable[str], what: str) -> tuple[str, ...]:
    every = tuple(texts)
    shown = tuple(text[:LINE] for text in every[:SHOWN])
    more = (f"{len(every) - SHOWN} more {what} are in the decision on the log",) if len(every) > SHOWN else ()
    return shown + more
