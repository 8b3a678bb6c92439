"""Which commands are still wanted, and what an answer of the cluster means for them. Pure.

A message may come late or again; what counts is the workflow's last decision (reliability.md, B2). Must never void
a command that is harmless to repeat: those go by the uid of their object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.messages import Command, CreateExecution, DeleteWorkflow, HoldWorkflow, RunCheck
from schemas.workflow_status import TERMINAL_PHASES

if TYPE_CHECKING:
    from schemas.run_state import RunState, SideState, StepState

_NAMESPACE_GOING: Final = "because it is being terminated"
"""What the API server's NamespaceLifecycle admission says; there is no reason or code of its own for it."""


def needs_last_decision(commands: tuple[Command, ...]) -> bool:
    """Whether any of the commands can be void, so that the last decision must be read."""
    return any(isinstance(command, CreateExecution | HoldWorkflow | RunCheck | DeleteWorkflow) for command in commands)


def is_wanted(command: Command, last: RunState) -> bool:
    """Whether the state after the workflow's last decision still asks for the command.

    A create is void once the execution was observed, its end was commanded, or the step (or its dry run, or its
    rollback) is not executing that attempt any more; then either it was done, or it must not be done.
    """
    match command:
        case CreateExecution():
            return not last.gone and _is_created(command, last)
        case HoldWorkflow():
            return last.held and not last.deleting and not last.gone
        case RunCheck():
            return _is_open(command, last)
        case DeleteWorkflow():
            return last.phase in TERMINAL_PHASES and not last.gone and not last.owned and last.audit_looks > 0
        case _:
            return True


def _is_created(command: CreateExecution, last: RunState) -> bool:
    rows: dict[str, tuple[StepState, ...] | tuple[SideState, ...]]
    rows = {"execute": last.steps, "dry_run": last.dry_runs, "rollback": last.rollbacks}
    row = next((row for row in rows[command.purpose] if row.number == command.step), None)
    return (
        row is not None
        and row.phase == "executing"
        and row.attempt == command.attempt
        and not row.execution_uid
        and not row.ending
        and row.abandoned != command.attempt
    )


def _is_open(command: RunCheck, last: RunState) -> bool:
    """Whether the run waits for what this very check finds."""
    if last.gone:
        return False
    if command.type == "audit":
        return command.check == f"audit-{last.audit_looks}"
    if command.type == "monitor":
        looks = last.monitor.looks if last.monitor is not None else 0
        return last.phase == "monitoring" and command.check == f"monitor-{looks}"
    ended = last.phase in TERMINAL_PHASES
    return not ended and any(check.id == command.check and check.passed is None for check in last.checks)


def refusal_reason(reason: str, message: str) -> str:
    """Return the word for a refusal: forbidden, invalid, or gone where the namespace is going."""
    if _NAMESPACE_GOING in message:
        return "gone"
    return "forbidden" if reason == "unauthorized" else reason or "invalid"
