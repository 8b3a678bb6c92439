"""Which commands are still wanted, and what an answer of the cluster means for them. Pure.

A message may come late or again; what counts is the workflow's last decision (reliability.md, B2). Must never void
a command that is harmless to repeat: those go by the uid of their object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.messages import Command, CreateExecution, HoldWorkflow

if TYPE_CHECKING:
    from schemas.run_state import RunState, StepState

_NAMESPACE_GOING: Final = "because it is being terminated"
# What the API server's NamespaceLifecycle admission says; there is no reason or code of its own for it.


def needs_last_decision(commands: tuple[Command, ...]) -> bool:
    """Whether any of the commands can be void, so that the last decision must be read."""
    return any(isinstance(command, CreateExecution | HoldWorkflow) for command in commands)


def is_wanted(command: Command, last: RunState) -> bool:
    """Whether the state after the workflow's last decision still asks for the command.

    A create is void once the execution was observed or the step is not executing that attempt any more; then either
    it was done, or it must not be done.
    """
    if isinstance(command, CreateExecution):
        step = _step(last, command.step)
        return (
            not last.gone
            and step is not None
            and step.phase == "executing"
            and step.attempt == command.attempt
            and not step.execution_uid
        )
    if isinstance(command, HoldWorkflow):
        return last.held and not last.deleting and not last.gone
    return True


def _step(state: RunState, number: int) -> StepState | None:
    return next((step for step in state.steps if step.number == number), None)


def refusal_reason(reason: str, message: str) -> str:
    """Return the word for a refusal: forbidden, invalid, or gone where the namespace is going."""
    if _NAMESPACE_GOING in message:
        return "gone"
    return "forbidden" if reason == "unauthorized" else reason or "invalid"
