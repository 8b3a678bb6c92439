"""What was found of a run beside its steps: checks, dry run, approval, adjustments, effect; read from its status. Pure.

Reads loosely, as `kubernaut.cli.view` does: what is not understood is left out, never refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

_S = TypeVar("_S", bound=msgspec.Struct)


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one safety check."""

    type: str = ""
    passed: bool = False
    required: bool = True
    message: str = ""


class DryStepView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The dry run of one step."""

    step_number: int = 0
    success: bool = False
    message: str = ""


class AdjustmentView(msgspec.Struct, frozen=True, kw_only=True):
    """What the scheduler moved by itself."""

    timestamp: str = ""
    adjustment: str = ""
    reason: str = ""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything beside the steps."""

    digest: str = ""
    """Of the plan: what an approval is bound to."""
    approval: str = ""
    """Who said what of the plan, and when."""
    effect: str = ""
    """How well the run did what it was for, once that was looked at."""
    rollback_reason: str = ""
    checks: tuple[CheckView, ...] = ()
    dry_run: tuple[DryStepView, ...] = ()
    changes: tuple[str, ...] = ()
    """What the dry run would change."""
    issues: tuple[str, ...] = ()
    """What it says may go wrong."""
    adjustments: tuple[AdjustmentView, ...] = ()


def findings_of(status: Mapping[str, Any]) -> Findings:
    """Return what a status says beside the steps."""
    results = mapping(status, "validationResults")
    dry_run = mapping(results, "dryRunResults")
    return Findings(
        digest=str(mapping(status, "executionPlan").get("digest", "")),
        approval=_approval(results),
        effect=_effect(mapping(status, "workflowResult")),
        rollback_reason=str(status.get("rollbackReason", "")),
        checks=structs(results, "checks", CheckView),
        dry_run=structs(dry_run, "stepResults", DryStepView),
        changes=tuple(map(str, dry_run.get("resourceChanges", ()))),
        issues=tuple(map(str, dry_run.get("potentialIssues", ()))),
        adjustments=structs(status, "adaptiveAdjustments", AdjustmentView),
    )


def mapping(body: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Return a field that is a mapping; an empty one for anything else."""
    value = body.get(field)
    return value if isinstance(value, Mapping) else {}


def mappings(body: Mapping[str, Any], field: str) -> Iterator[Mapping[str, Any]]:
    """Return the mappings in a field that is a list; nothing for anything else."""
    value = body.get(field)
    yield from (one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else ()


def structs(body: Mapping[str, Any], field: str, kind: type[_S]) -> tuple[_S, ...]:
    """Return the entries of a list that can be read as `kind`; the others are left out."""
    return tuple(read for one in mappings(body, field) if (read := _read(one, kind)) is not None)


def _read(one: Mapping[str, Any], kind: type[_S]) -> _S | None:
    try:
        return msgspec.convert(one, kind)
    except msgspec.ValidationError:
        return None


def _approval(results: Mapping[str, Any]) -> str:
    by, at = results.get("approvedBy"), results.get("approvalTimestamp")
    if not by:
        return ""
    return f"{'approved' if results.get('approvalReceived') else 'rejected'} by {by}" + (f" at {at}" if at else "")


def _effect(result: Mapping[str, Any]) -> str:
    """Return `effectiveness 0.85, targets unhealthy, no new alert`; empty for a run that was not monitored."""
    parts = []
    if (score := result.get("effectivenessScore")) is not None:
        parts.append(f"effectiveness {score}")
    if health := result.get("resourceHealth"):
        parts.append(f"targets {health}")
    if (alerts := result.get("newAlertsTriggered")) is not None:
        parts.append("new alerts fired" if alerts else "no new alert")
    return ", ".join(parts)
