"""Makes the rows that reports are about: one for a finished workflow and one for each of its steps. Pure.

Everything comes from the decision after which the run is over, but for the names in the definition: those are in the
last change of the workflow. Both are read from the log, so the rows are the same in whatever order messages arrive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from auditor.rows import clean
from schemas import subjects
from schemas.messages import Decision, WorkflowChanged
from schemas.workflow_status import TERMINAL_PHASES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditor.rows import Row
    from schemas.run_state import ApprovalState, RunState, SideState, StepState


class WorkflowRun(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A finished workflow; None where something is not known. The order of the fields is that of the statement."""

    workflow_uid: str
    workflow_namespace: str
    workflow_name: str
    correlation_id: str | None
    definition_name: str | None
    definition_version: str | None
    phase: str
    outcome: str | None
    failure_reason: str | None
    strategy: str | None
    steps_total: int
    steps_completed: int
    steps_failed: int
    steps_skipped: int
    steps_cancelled: int
    steps_rolled_back: int
    resources_affected: int
    started_ms: int | None
    ended_ms: int | None
    deleted: bool
    decision_version: int
    stream_sequence: int
    retries: int
    rollback: str | None
    """completed, incomplete (it was stopped before all were tried) or failed; None when the run was not rolled back."""
    rollback_reason: str | None
    approval: str | None
    """approved or rejected; None when nobody had to say so."""
    approval_by: str | None
    approval_ms: int | None
    approval_reason: str | None
    cancel_mode: str | None
    alerts: int
    """New alerts during monitoring."""
    rerun_of: str | None


class StepRun(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A step of a finished workflow; None where something is not known. The order is that of the statement."""

    workflow_uid: str
    step_number: int
    name: str | None
    action: str | None
    critical: bool | None
    status: str
    reason: str | None
    error: str | None
    attempts: int
    affected: int
    execution_uid: str | None
    started_ms: int | None
    ended_ms: int | None
    decision_version: int
    retries: int
    rollback: str | None
    """How its rollback ended, as a phase of a step; None when the run was not rolled back."""
    rollback_reason: str | None
    rollback_error: str | None


class Report(msgspec.Struct, frozen=True):
    """What reports keep of one finished workflow."""

    run: WorkflowRun
    steps: tuple[StepRun, ...]


class StepDefinition(msgspec.Struct, frozen=True, rename="camel"):
    """What the definition says of a step, as far as reports need it."""

    step_number: int
    name: str = ""
    action: str = ""
    critical_step: bool = True


class Definition(msgspec.Struct, frozen=True):
    """What a workflow runs, as far as reports need it."""

    name: str = ""
    version: str = ""
    steps: tuple[StepDefinition, ...] = ()


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    workflow_definition: Definition = Definition()


class _Workflow(msgspec.Struct, frozen=True):
    spec: _Spec = _Spec()


_CHANGES: Final = msgspec.json.Decoder(WorkflowChanged)
_WORKFLOWS: Final = msgspec.json.Decoder(_Workflow)
_DECISIONS: Final = msgspec.json.Decoder(Decision)
_TRIED: Final = frozenset({"completed", "failed", "skipped"})


def definition(change: bytes) -> Definition:
    """Return the definition in the body of a WorkflowChanged; an empty one when it holds none that can be read."""
    try:
        return _WORKFLOWS.decode(_CHANGES.decode(change).object).spec.workflow_definition
    except (msgspec.DecodeError, RecursionError):
        return Definition()


def finished(row: Row) -> Decision | None:
    """Return the decision that a row holds when it ends a run; None for anything else, however broken.

    A body that names another workflow than its subject is not the word of the scheduler.
    """
    if not row.finishes:
        return None
    try:
        decision = _DECISIONS.decode(row.raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    if decision.state.phase not in TERMINAL_PHASES or row.subject != subjects.decision(decision.workflow.uid):
        return None
    return decision


def report(decision: Decision, stream_sequence: int, defined: Definition) -> Report:
    """Return the rows of a finished workflow. `stream_sequence`: where in the log its decision is."""
    run, state = _run(decision, stream_sequence, defined), decision.state
    by_number = {step.step_number: step for step in defined.steps}
    undone = {side.number: side for side in state.rollbacks}
    steps = (_step(run, step, by_number.get(step.number), undone.get(step.number)) for step in state.steps)
    return Report(run, tuple({step.step_number: step for step in steps}.values()))


def latest(reports: Sequence[Report]) -> list[Report]:
    """Return the latest report of each workflow: one statement may not write a row twice."""
    newest: dict[str, Report] = {}
    for one in reports:
        known = newest.get(one.run.workflow_uid)
        if known is None or one.run.decision_version > known.run.decision_version:
            newest[one.run.workflow_uid] = one
    return list(newest.values())


def _run(decision: Decision, stream_sequence: int, defined: Definition) -> WorkflowRun:
    state = decision.state
    phases = [step.phase for step in state.steps]
    return WorkflowRun(
        workflow_uid=clean(decision.workflow.uid),
        workflow_namespace=clean(decision.workflow.namespace),
        workflow_name=clean(decision.workflow.name),
        correlation_id=_text(decision.correlation_id),
        definition_name=_text(defined.name),
        definition_version=_text(defined.version),
        phase=state.phase,
        outcome=_text(state.outcome),
        failure_reason=_text(state.failure_reason),
        strategy=state.plan.strategy if state.plan else None,
        steps_total=len(phases),
        steps_completed=phases.count("completed"),
        steps_failed=phases.count("failed"),
        steps_skipped=phases.count("skipped"),
        steps_cancelled=phases.count("cancelled"),
        steps_rolled_back=phases.count("rolled_back"),
        resources_affected=sum(step.affected for step in state.steps),
        started_ms=state.started_at or None,
        ended_ms=state.ended_at or None,
        deleted=state.gone,
        decision_version=decision.version,
        stream_sequence=stream_sequence,
        retries=sum(step.retries for step in state.steps),
        rollback=_rollback(state),
        rollback_reason=_text(state.rollback_reason),
        **_approval(state.approval),
        cancel_mode=_text(state.control.cancel),
        alerts=len(state.monitor.alerts) if state.monitor else 0,
        rerun_of=_text(state.rerun_of),
    )


def _rollback(state: RunState) -> str | None:
    if not state.rollbacks:
        return None
    if state.rollback_failed:
        return "failed"
    return "completed" if all(side.phase in _TRIED for side in state.rollbacks) else "incomplete"


def _approval(approval: ApprovalState | None) -> dict[str, Any]:
    """Return the columns of what a person said of the plan, which is there only where it had to be."""
    return {
        "approval": approval.verdict if approval else None,
        "approval_by": _text(approval.by) if approval else None,
        "approval_ms": approval.at if approval else None,
        "approval_reason": _text(approval.reason) if approval else None,
    }


def _step(run: WorkflowRun, step: StepState, defined: StepDefinition | None, undone: SideState | None) -> StepRun:
    return StepRun(
        workflow_uid=run.workflow_uid,
        step_number=step.number,
        name=_text(defined.name) if defined else None,
        action=_text(defined.action) if defined else None,
        critical=defined.critical_step if defined else None,
        status=step.phase,
        reason=_text(step.reason),
        error=_text(step.error),
        attempts=step.attempt,
        affected=step.affected,
        execution_uid=_text(step.execution_uid),
        started_ms=step.started_at or None,
        ended_ms=step.ended_at or None,
        decision_version=run.decision_version,
        retries=step.retries,
        rollback=undone.phase if undone else None,
        rollback_reason=_text(undone.reason) if undone else None,
        rollback_error=_text(undone.error) if undone else None,
    )


def _text(value: str) -> str | None:
    return clean(value) or None
