"""Sentences for the person at the screen: what a run waits for, and what to do after it failed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge.definition import Definition, StepWords
from schemas.names import execution_name

if TYPE_CHECKING:
    from schemas.messages import Decision
    from schemas.run_state import RunState, StepState

_NAMED: Final = 5
"""How many steps are named in one sentence."""

_CORRECT: Final = (
    "Correct the errors in status.validationResults.validationErrors and apply the workflow under a new name; "
    "the spec of this one cannot be changed."
)


def waiting_for(state: RunState, words: Definition) -> str:
    """Return what keeps the run from going on now; nothing when it has ended or is being decided on."""
    if state.phase == "queued":
        return "A free place: as many workflows run as may run at once."
    if state.phase != "executing":
        return ""
    running = [step for step in state.steps if step.phase == "executing"]
    if not running:
        return ""
    unseen = [step for step in running if not step.execution_uid]
    if len(unseen) == len(running):
        return f"The KubernetesExecution of {_steps(unseen, words)} to be created."
    end = f"The end of {_steps(running, words)}."
    return f"{end} Then the run fails: {state.failing}" if state.failing else end


def recommended_actions(decision: Decision, words: Definition) -> tuple[str, ...]:
    """Return what a person should do next about a run that has ended; nothing after a full success."""
    state, workflow = decision.state, decision.workflow
    if state.errors:
        return (_CORRECT,)
    failed = [step for step in state.steps if step.phase == "failed"]
    actions = []
    for step in failed[:_NAMED]:
        name = execution_name(workflow.name, step.number, step.attempt or 1)
        look = f"kubectl -n {workflow.namespace} describe kubernetesexecution {name}"
        actions.append(f"See why {_step(step, words)} failed: {look}")
    if failed and state.phase == "failed":
        done = [step for step in state.steps if step.phase == "completed"]
        if done:
            actions.append(f"Check what was left as it is: {_steps(done, words)} completed and was not undone.")
        actions.append("Remove the cause and apply the workflow again under a new name.")
    return tuple(actions)


def _steps(steps: list[StepState], words: Definition) -> str:
    named = [_step(step, words) for step in steps[:_NAMED]]
    if len(steps) > _NAMED:
        named.append(f"{len(steps) - _NAMED} more")
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _step(step: StepState, words: Definition) -> str:
    known = words.steps.get(step.number) or StepWords(step.number)
    label = known.name or known.action
    return f"step {step.number} ({label})" if label else f"step {step.number}"
