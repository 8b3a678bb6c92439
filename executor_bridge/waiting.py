"""What a run waits for now, as one sentence that a person at 3 am can act on. Pure.

A command that would end the waiting stands last, without a full stop, so that it can be copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge.rollbacks import undoing
from executor_bridge.times import moment
from executor_bridge.validation import needs_approval
from executor_bridge.wording import CAUSE, command, cut, listed, names, retry, step_name, step_names
from schemas import durations
from schemas.workflow_status import TERMINAL_PHASES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from executor_bridge.definition import Definition
    from schemas.messages import Decision
    from schemas.run_state import RunState, SideState, StepState

    _Clauses = Callable[[Decision, Definition], list[str]]

_ENDING: Final = {
    "timed_out": "which took too long",
    "cancelled": "which was cancelled",
    "skipped": "which is to be skipped",
}
_CLOSING: Final = {
    "": "the run fails",
    "failed": "the run fails",
    "rolled_back": "the run is rolled back",
    "cancelled": "the run is cancelled",
    "cancelled_rolled_back": "the run is rolled back and cancelled",
}
_STOPPED: Final = frozenset({"failed", "cancelled"})
"""How a run is closing whose rollback goes no further."""


def waiting_for(decision: Decision, words: Definition) -> str:
    """Return what keeps the run from going on now; nothing when it has ended or is being decided on."""
    state = decision.state
    if stands_still(state):
        return _paused(decision, words)
    clauses = _BY_PHASE.get(state.phase, _nothing)(decision, words)
    if not clauses:
        return ""
    text = "; ".join(clauses)
    end = "" if ": kubernaut " in clauses[-1] else "."
    return text[0].upper() + text[1:] + end + _then(state)


def stands_still(state: RunState) -> bool:
    """Whether nothing but a pause keeps the run from going on.

    A queued run waits for its place all the same, and one that is about to end only for what is in flight.
    """
    ends = state.closing in _STOPPED if state.phase == "rolling_back" else bool(state.closing)
    return bool(state.paused_at) and not ends and state.phase not in {"queued", *TERMINAL_PHASES}


def _then(state: RunState) -> str:
    """Say how the run goes on once that has come, where it does not go on as planned."""
    stopped = state.phase == "rolling_back" and state.closing in _STOPPED
    if not state.failing or not (stopped or state.phase in {"validating", "executing"}):
        return ""
    return f" Then {_CLOSING[state.closing]}: {state.failing}"


def _paused(decision: Decision, words: Definition) -> str:
    running = in_flight(decision.state)
    goes = "goes" if len(running) == 1 else "go"
    meanwhile = f" (meanwhile {names(running, words)} {goes} on to the end)" if running else ""
    return f"Somebody to resume it{meanwhile}: {command('resume', decision.workflow)}"


def in_flight(state: RunState) -> list[int]:
    """Return the steps that anything is in flight for: execution, dry run or rollback; in rising order."""
    everything: tuple[StepState | SideState, ...] = (*state.steps, *state.dry_runs, *state.rollbacks)
    return sorted({one.number for one in everything if one.phase == "executing"})


def _nothing(_decision: Decision, _words: Definition) -> list[str]:
    return []


def _queued(_decision: Decision, words: Definition) -> list[str]:
    first = f"next is the highest priority (this one is {words.priority}), then the oldest"
    return [f"a free place: as many workflows run already as maxActiveWorkflows allows; {first}"]


def _validating(decision: Decision, words: Definition) -> list[str]:
    state = decision.state
    if state.closing:
        return _sides(decision, words, state.dry_runs, timer="dry", what="the dry run")
    clauses = []
    if open_ := list(dict.fromkeys(check.type for check in state.checks if check.passed is None)):
        clauses.append(f"the result of the {listed(open_)} {'check' if len(open_) == 1 else 'checks'}")
    clauses += _sides(decision, words, state.dry_runs, timer="dry", what="the dry run")
    if needs_approval(state, words) and state.approval is None:
        clauses.append(_approval(decision))
    return clauses


def _approval(decision: Decision) -> str:
    until = decision.state.timers.get("phase", 0)
    when = f" until {moment(until, decision.now)}" if until else ""
    early = (
        " (the one that was written before the plan was made does not count)" if decision.state.early_approval else ""
    )
    return f"approval by somebody with the right to approve{when}{early}: {command('approve', decision.workflow)}"


def _executing(decision: Decision, words: Definition) -> list[str]:
    state = decision.state
    running = [step for step in state.steps if step.phase == "executing"]
    clauses = _ends(running, decision, words)
    waiting = [step for step in state.steps if step.phase == "waiting_retry" and step.number not in state.ready]
    clauses += [retry(step, decision, words) for step in waiting]
    if state.ready and not state.closing and not state.failing:
        clauses.append(f"a free place for {names(state.ready, words)}: at most {state.limit} may be in flight")
    return clauses


def _ends(running: Sequence[StepState], decision: Decision, words: Definition) -> list[str]:
    """Say which executions are to end, or to be created, when none of those in flight was seen yet."""
    if running and not any(step.execution_uid for step in running):
        return [f"the KubernetesExecution of {step_names(running, words)} to be created"]
    return _end_of("", running, words, limit=_limit(running, decision))


def _end_of(what: str, running: Sequence[StepState | SideState], words: Definition, *, limit: str = "") -> list[str]:
    """Say what is to end by itself, and for each whose end was commanded why; `what` is empty for a step's own."""
    ending = [one for one in running if one.ending in _ENDING]
    others = [one for one in running if one.ending not in _ENDING]
    clauses = [f"the end of {what}{step_names(others, words)}{limit}"] if others else []
    return clauses + [f"the end of {what}{step_name(one.number, words)}, {_ENDING[one.ending]}" for one in ending]


def _limit(running: Sequence[StepState], decision: Decision) -> str:
    """Say by when the only step in flight must have ended."""
    due = decision.state.timers.get(f"step:{running[0].number}", 0) if len(running) == 1 else 0
    return f", at the latest at {moment(due, decision.now)}" if due else ""


def _monitoring(decision: Decision, words: Definition) -> list[str]:
    state, now = decision.state, decision.now
    seen, window = state.monitor, durations.render(words.window)
    latest = state.timers.get("phase", 0)
    limit = f"; at {moment(latest, now)} it is given up" if latest else ""
    if seen is None or not (seen.healthy_since or seen.judged or seen.message):
        return [f"the first look at what the steps have changed, which must stay healthy for {window}{limit}"]
    if seen.healthy_since:
        until = moment(seen.healthy_since + round(words.window * 1000), now)
        if not seen.judged:
            return [f"no alert to fire until {until}; nothing was changed whose health can be looked at"]
        return [f"the targets to stay healthy until {until}; now {seen.healthy} of {seen.judged} are"]
    told = f"; now: {cut(seen.message, CAUSE)}" if seen.message else ""
    return [f"the targets to become healthy and stay so for {window}{limit}{told}"]


def _rolling_back(decision: Decision, words: Definition) -> list[str]:
    state = decision.state
    clauses = _ends([step for step in state.steps if step.phase == "executing"], decision, words)
    return clauses + _sides(decision, words, undoing(state).open, timer="undo", what="the rollback")


def _sides(decision: Decision, words: Definition, sides: Sequence[SideState], *, timer: str, what: str) -> list[str]:
    running = [side for side in sides if side.phase == "executing"]
    clauses = _end_of(f"{what} of ", running, words)
    waiting = [side for side in sides if side.phase == "waiting_retry"]
    return clauses + [retry(side, decision, words, timer=timer, what=what) for side in waiting]


def _ended(decision: Decision, words: Definition) -> list[str]:
    """Say what is left to do: executions whose end was commanded, and the deletion of the object."""
    state = decision.state
    clauses = _ends([step for step in state.steps if step.phase == "executing"], decision, words)
    if due := state.timers.get("ttl", 0):
        when = moment(due, decision.now)
        asked = f"the audit to hold all of the run, before its object is deleted; it is asked again at {when}"
        clauses.append(asked if state.audit_looks else f"its deletion at {when}, once the audit holds all of it")
    return clauses


_BY_PHASE: Final[dict[str, _Clauses]] = {
    "queued": _queued,
    "validating": _validating,
    "executing": _executing,
    "monitoring": _monitoring,
    "rolling_back": _rolling_back,
    **dict.fromkeys(TERMINAL_PHASES, _ended),
}
