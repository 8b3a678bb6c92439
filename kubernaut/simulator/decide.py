"""What to do about one simulated execution now: write the next phase, wait, keep it, or leave it alone. Pure.

Everything follows from the object as it was found and the time given: whoever is killed and started again goes on where
the status says, what has begun to execute is never begun again, and what was deleted is not worked on any more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kubernaut.simulator import results
from kubernaut.simulator.behaviour import Behaviour, BehaviourError, behaviour_of
from kubernaut.simulator.course import DELETED, ENDS, GARBAGE, Leg, course_of, jitter
from kubernaut.simulator.execution import Execution, milliseconds, timestamp

DRY_RUN_SHARE: Final = 0.1
"""A dry run takes a tenth of the real thing."""
_WHOLE_SECOND_MS: Final = 1000
"""The API server tells when a deletion was in whole seconds: counted from the end of that one, no time is too short."""


class Script(msgspec.Struct, frozen=True):
    """What one execution is to go through."""

    course: tuple[Leg, ...]
    seconds: float
    """What the action would take in earnest; reported, not waited for."""
    behaviour: Behaviour = Behaviour()
    error: str = ""
    """Why it cannot be simulated; it then fails with this."""


class Earlier(msgspec.Struct, frozen=True):
    """Another execution that had the same idempotency key."""

    uid: str
    status: dict[str, Any] | None
    """How it ended; None when that is not known."""


class Write(msgspec.Struct, frozen=True):
    """Replace the status."""

    status: dict[str, Any]


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do before this time, in ms since 1970."""

    until: int


class Delete(msgspec.Struct, frozen=True):
    """Delete the execution, as though by hand."""


class Hold(msgspec.Struct, frozen=True):
    """Put the simulator's finalizer on it: its deletion shall take a while."""


class Release(msgspec.Struct, frozen=True):
    """Take that finalizer off again: it may go."""


class Leave(msgspec.Struct, frozen=True):
    """Never anything to do again, unless somebody else changes the object."""


Act = Write | Wait | Delete | Hold | Release | Leave


def script_of(
    execution: Execution, annotations: Mapping[str, str], *, scale: float, typical: Mapping[str, float]
) -> Script:
    """Return what the execution is to go through.

    `annotations`: those of its workflow. `scale`: factor on durations, 0 for none. `typical`: seconds an action.
    """
    spec = execution.spec
    if spec.action not in typical:
        return Script(_REFUSED, 0, error=f"action {spec.action[:64]!r} is not one that this executor knows")
    try:
        behaviour = behaviour_of(annotations, step=spec.step_number, attempt=spec.attempt, purpose=spec.purpose)
    except BehaviourError as error:
        return Script(_REFUSED, 0, error=str(error))
    seconds = typical[spec.action] * jitter(execution.metadata.uid)
    if spec.purpose == "dry_run":
        seconds *= DRY_RUN_SHARE
    return Script(course_of(behaviour, seconds * scale), seconds, behaviour)


def decide(execution: Execution, script: Script, earlier: Earlier | None, now: int) -> Act:
    """Return what to do with the execution at `now`, in ms since 1970."""
    if execution.deleting:
        return _let_go(execution, script, now)
    if execution.phase in ENDS:
        return Leave()
    started = execution.phase == "executing" or _started(execution)
    if earlier is not None and earlier.uid != execution.metadata.uid and not started:
        return Write(_repeated(execution, earlier, now))
    if script.behaviour.kind == "slow-end" and not execution.held:
        return Hold()
    return _go_on(execution, script, now, started=started)


def _go_on(execution: Execution, script: Script, now: int, *, started: bool) -> Act:
    position = _position(execution, script.course, started=started)
    if position >= 0:
        leg = script.course[position]
        if math.isinf(leg.seconds):
            return Leave()
        until = execution.since(_mark(leg.phase)) + round(leg.seconds * 1000)
        if now < until:
            return Wait(until)
    return _enter(execution, script, _following(script.course, position), now)


def _let_go(execution: Execution, script: Script, now: int) -> Act:
    """Nothing more is carried out for what was deleted. Our finalizer goes also when nobody asks for it any more."""
    if not execution.held:
        return Leave()
    if script.behaviour.kind != "slow-end":
        return Release()
    deleted = milliseconds(execution.metadata.deletion_timestamp) + _WHOLE_SECOND_MS
    until = deleted + round(script.behaviour.seconds * 1000)
    return Wait(until) if now < until else Release()


def _started(execution: Execution) -> bool:
    return any(isinstance(one, dict) and one.get("type") == _mark("executing") for one in execution.conditions)


def _position(execution: Execution, course: tuple[Leg, ...], *, started: bool) -> int:
    """Index of the leg that the execution is on; -1 before the first.

    What has started stays started under a phase or a course (an annotation may have changed) that does not fit.
    """
    phases = [leg.phase for leg in course]
    if execution.phase in phases:
        return phases.index(execution.phase)
    if not started:
        return -1
    return phases.index("executing") if "executing" in phases else len(course) - 2


def _following(course: tuple[Leg, ...], position: int) -> Leg:
    rest = course[position + 1 :]
    return next(leg for leg in rest if leg.seconds > 0 or leg.phase in ENDS)


def _enter(execution: Execution, script: Script, leg: Leg, now: int) -> Act:
    if leg.phase == DELETED:
        return Delete()
    status = _moved(execution, leg.phase, now)
    match leg.phase:
        case "validated" | "executing":
            status["validationResults"] = _VALID
        case "completed":
            status |= {"validationResults": _VALID, "executionResults": results.succeeded(execution, script.seconds)}
            if script.behaviour.kind != "no-pre-image" and (before := results.pre_image(execution)) is not None:
                status["rollbackInformation"] = {"preImage": before}
        case "failed":
            status |= _failed(execution, script)
        case phase if phase == GARBAGE:
            status |= _odd(status)
    return Write(status)


def _moved(execution: Execution, phase: str, now: int) -> dict[str, Any]:
    kept = [one for one in execution.conditions if not (isinstance(one, dict) and one.get("type") == _mark(phase))]
    condition = {
        "type": _mark(phase),
        "status": "True",
        "reason": "Simulated",
        "message": "simulated: nothing was changed",
        "lastTransitionTime": timestamp(now),
    }
    return {**(execution.status or {}), "phase": phase, "conditions": [*kept, condition]}


def _mark(phase: str) -> str:
    return phase.capitalize()


def _failed(execution: Execution, script: Script) -> dict[str, Any]:
    if script.error:
        return {"failure": _failure("cannot_simulate", script.error, retryable=False, executed=False)}
    asked = f"simulated: asked for by annotation {script.behaviour.source} of the workflow"
    if script.behaviour.kind == "reject":
        return {
            "validationResults": {"passed": False, "checks": [{"name": "target", "passed": False}]},
            "failure": _failure("validation_failed", asked, retryable=False, executed=False),
        }
    if script.behaviour.kind == "fail-before":
        return {"failure": _failure("not_started", asked, retryable=True, executed=False)}
    executed = execution.spec.purpose != "dry_run"
    return {
        "executionResults": results.failed(execution, script.seconds),
        "failure": _failure("action_failed", asked, retryable=script.behaviour.kind == "fail", executed=executed),
    }


def _repeated(execution: Execution, earlier: Earlier, now: int) -> dict[str, Any]:
    """Return how an execution ends whose key was seen before: the action must not be carried out again."""
    if earlier.status is None:
        status = _moved(execution, "failed", now)
        message = f"execution {earlier.uid} had the same idempotency key and how it ended is not known; not done again"
        return status | {"failure": _failure("duplicate_key", message, retryable=False, executed=True)}
    status = _moved(execution, str(earlier.status.get("phase", "failed")), now)
    copied = {name: earlier.status[name] for name in ("executionResults", "failure") if name in earlier.status}
    return status | copied | {"repeatOf": earlier.uid}


def _failure(reason: str, message: str, *, retryable: bool, executed: bool) -> dict[str, Any]:
    return {"reason": reason, "message": message, "retryable": retryable, "executed": executed}


def _odd(status: dict[str, Any]) -> dict[str, Any]:
    """Fields that no reader expects; the marks stay, because they tell how far the execution is."""
    return {
        "conditions": [*status["conditions"], "not an object", 42, None, {"type": {"nested": ["deeply", []]}}],
        "surprise": {"\u202egnirts\u0007": [[], {}, "\U0001f9ea" * 16, -1e300]},
        "rollbackInformation": ["neither", {"here": "nor there"}],
    }


_REFUSED: Final = (Leg("failed"),)
_VALID: Final = {"passed": True, "checks": [{"name": "parameters", "passed": True}, {"name": "target", "passed": True}]}
