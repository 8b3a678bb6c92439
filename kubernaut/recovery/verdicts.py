"""What may go on after the log was lost, by what the cluster and the audit say of each run. Pure.

A run goes on only where nothing shows that more was decided than what is still known. Must never let one begin anew of
which anything shows that it had begun (decision record 0004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from schemas.cloudevents import Event
from schemas.messages import Decision
from schemas.names import FINALIZER
from schemas.run_state import RunState, SideState, StepState
from schemas.workflow_status import TERMINAL_PHASES

Object = Mapping[str, Any]
Row = StepState | SideState
Fate = Literal["over", "begins", "goes on", "ends"]
_ROWS: Final = {"execute": "steps", "dry_run": "dry_runs", "rollback": "rollbacks"}


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The newest that is still known of a run."""

    event: Event
    """Its last decision."""
    decision: Decision
    definition: Event | None
    """The last whole version of its object."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one workflow object."""

    namespace: str
    name: str
    uid: str
    fate: Fate
    reason: str
    shown: int
    """Decision that its status shows."""
    known: int = 0
    """Newest decision that is known of."""


def judge(workflow: Object, executions: Sequence[Object], kept: Kept | None) -> Verdict:
    """Return what becomes of a workflow object; `executions` are those of its uid that the cluster holds."""
    meta, status = workflow["metadata"], workflow.get("status") or {}
    shown, version = int(status.get("sequence") or 0), kept.decision.version if kept is not None else 0
    fate, reason = _fate(workflow, shown, executions, kept)
    return Verdict(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        fate=fate,
        reason=reason,
        shown=shown,
        known=version,
    )


def _fate(workflow: Object, shown: int, executions: Sequence[Object], kept: Kept | None) -> tuple[Fate, str]:
    if (workflow.get("status") or {}).get("phase") in TERMINAL_PHASES:
        return "over", "its status shows how it ended"
    held = FINALIZER in (workflow["metadata"].get("finalizers") or ())
    if not (shown or held or executions or kept):
        return "begins", "nothing shows that it had begun"
    if kept is not None and not (lost := _lost(shown, executions, kept)):
        return "goes on", f"decision {kept.decision.version} is known, and the cluster shows nothing beyond it"
    return "ends", lost if kept is not None else "it had begun, and no decision of it is known any more"


def _lost(shown: int, executions: Sequence[Object], kept: Kept) -> str:
    """Return why the newest decision that is known cannot be gone on from; empty when it can."""
    if kept.decision.version < shown:
        return f"its status shows decision {shown}, and only {kept.decision.version} is known"
    if kept.decision.state.phase in TERMINAL_PHASES:
        return ""
    if kept.definition is None:
        return "what it was planned from is not known any more"
    return _doubt(kept.decision.state, executions)


def _doubt(state: RunState, executions: Sequence[Object]) -> str:
    """Return what in the cluster shows that decisions are missing; empty when nothing does."""
    there = {_place(each) for each in executions}
    for execution in executions:
        purpose, step, attempt = _place(execution)
        row = next((each for each in _rows(state, purpose) if each.number == step), None)
        if row is None or not _is_known(row, attempt, execution["metadata"]["uid"]):
            return f"execution {execution['metadata']['name']} was created by a decision that is not known any more"
    for purpose in _ROWS:
        for row in _rows(state, purpose):
            if row.phase == "executing" and (purpose, row.number, row.attempt) not in there:
                return f"the execution of step {row.number} is not there; whether it was is not known"
    return ""


def _rows(state: RunState, purpose: str) -> Sequence[Row]:
    rows: Sequence[Row] = getattr(state, _ROWS[purpose], ())
    return rows


def _place(execution: Object) -> tuple[str, int, int]:
    spec = execution.get("spec") or {}
    purpose = spec.get("purpose") or "execute"
    return (purpose if purpose in _ROWS else "execute"), int(spec.get("stepNumber") or 0), int(spec.get("attempt") or 0)


def _is_known(row: Row, attempt: int, uid: str) -> bool:
    if attempt != row.attempt:
        return attempt < row.attempt
    return row.execution_uid == uid or (row.phase == "executing" and not row.execution_uid)
