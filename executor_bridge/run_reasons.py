"""What keeps a run as a whole from going on now, as typed reasons. Pure.

What only one step waits for, such as its dependencies, is not in it: `kubernaut explain` says that of each step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge import reasons
from executor_bridge.reasons import Closing, Expiry, Health, Place, Reason, Resume, Slot, of_step
from executor_bridge.rollbacks import undoing
from executor_bridge.validation import needs_approval
from schemas.execution import Purpose
from schemas.workflow_status import TERMINAL_PHASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from executor_bridge.definition import Definition
    from schemas.run_state import RunState, SideState, StepState

    _Reasons = Callable[[RunState, Definition], list[Reason]]

_STOPPED: Final = frozenset({"failed", "cancelled"})
"""How a run is closing whose rollback goes no further."""


def run_reasons(state: RunState, words: Definition) -> tuple[Reason, ...]:
    """Return what the run waits for, in the order in which it is told; nothing while it is being decided on.

    A `Closing` stands last where the run does not go on as planned once the others are gone.
    """
    if _stands_still(state):
        pause = Resume(since=state.paused_at, meanwhile=in_flight(state))
        open_ = _validating(state, words) if state.phase == "validating" else []
        return (*(each for each in open_ if not isinstance(each, reasons.Approval)), pause, *_last(open_))
    found = _BY_PHASE.get(state.phase, _nothing)(state, words)
    return (*found, *_then(state)) if found else ()


def in_flight(state: RunState) -> tuple[int, ...]:
    """Return the steps that anything is in flight for: execution, dry run or rollback; in rising order."""
    everything: tuple[StepState | SideState, ...] = (*state.steps, *state.dry_runs, *state.rollbacks)
    return tuple(sorted({one.number for one in everything if one.phase == "executing"}))


def _stands_still(state: RunState) -> bool:
    """Whether a pause keeps the run from going on.

    A queued run waits for its place all the same, and one that is about to end only for what is in flight.
    """
    ends = state.closing in _STOPPED if state.phase == "rolling_back" else bool(state.closing)
    return bool(state.paused_at) and not ends and state.phase not in {"queued", *TERMINAL_PHASES}


def _last(open_: list[Reason]) -> list[Reason]:
    """Return what ends in a command for a person, which stands last."""
    return [each for each in open_ if isinstance(each, reasons.Approval)]


def _then(state: RunState) -> tuple[Reason, ...]:
    """Say how the run goes on once that has come, where it does not go on as planned."""
    stopped = state.phase == "rolling_back" and state.closing in _STOPPED
    if not state.failing or not (stopped or state.phase in {"validating", "executing"}):
        return ()
    return (Closing(how=state.closing, why=state.failing),)


def _nothing(_state: RunState, _words: Definition) -> list[Reason]:
    return []


def _queued(_state: RunState, words: Definition) -> list[Reason]:
    return [Place(priority=words.priority)]


def _validating(state: RunState, words: Definition) -> list[Reason]:
    dry_runs = _each(state, state.dry_runs, "dry_run")
    if state.closing:
        return dry_runs
    asked = [reasons.approval(state)] if needs_approval(state, words) and state.approval is None else []
    return [*reasons.open_checks(state), *dry_runs, *asked]


def _executing(state: RunState, _words: Definition) -> list[Reason]:
    found = _each(state, state.steps, "execute")
    if state.ready and not state.closing and not state.failing:
        holders = in_flight(state)
        found += [Slot(step=number, limit=state.limit, holders=holders) for number in state.ready]
    return found


def _monitoring(state: RunState, words: Definition) -> list[Reason]:
    seen, window = state.monitor, words.window
    given_up = state.timers.get("phase", 0)
    if seen is None:
        return [Health(window=window, given_up=given_up)]
    return [
        Health(
            window=window,
            until=seen.healthy_since + round(window * 1000) if seen.healthy_since else 0,
            given_up=given_up,
            looked=bool(seen.healthy_since or seen.judged or seen.message),
            healthy=seen.healthy,
            judged=seen.judged,
            message=seen.message,
        )
    ]


def _rolling_back(state: RunState, _words: Definition) -> list[Reason]:
    return _in_flight_steps(state) + _each(state, undoing(state).open, "rollback")


def _ended(state: RunState, _words: Definition) -> list[Reason]:
    """Say what is left to do: executions whose end was commanded, and the deletion of the object."""
    due = state.timers.get("ttl", 0)
    return _in_flight_steps(state) + ([Expiry(until=due, asked=bool(state.audit_looks))] if due else [])


def _in_flight_steps(state: RunState) -> list[Reason]:
    return _each(state, [step for step in state.steps if step.phase == "executing"], "execute")


def _each(state: RunState, ones: Iterable[StepState | SideState], purpose: Purpose) -> list[Reason]:
    """Return what is waited for of each, those in flight before the retries."""
    found = [reason for one in ones for reason in of_step(state, one, purpose)]
    return sorted(found, key=lambda reason: isinstance(reason, reasons.Retry))


_BY_PHASE: Final[dict[str, _Reasons]] = {
    "queued": _queued,
    "validating": _validating,
    "executing": _executing,
    "monitoring": _monitoring,
    "rolling_back": _rolling_back,
    **dict.fromkeys(TERMINAL_PHASES, _ended),
}
