"""The course that a simulated execution takes: its phases and how long each lasts. Pure.

Durations come from the action's typical one, times the scale, times a factor of 0.8 to 1.2 that the uid decides.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from kubernaut.simulator.behaviour import Behaviour, Kind
from schemas.names import digest

DELETED: Final = "(deleted)"
"""End of a course: the simulator deletes the execution."""
GARBAGE: Final = "transmogrifying"
"""A phase that nobody knows."""
ENDS: Final = frozenset({"completed", "failed", DELETED})

_VALIDATING: Final = 0.05
_VALIDATED: Final = 0.05
_EXECUTING: Final = 0.9
_HALF: Final = 0.45
_BLINK: Final = 0.001
"""Seconds of a phase that must be seen even where nothing takes time."""
_LEAST: Final = 0.8
_SPREAD: Final = 0.4


class Leg(msgspec.Struct, frozen=True):
    """One phase of a course."""

    phase: str
    seconds: float = 0.0
    """How long it lasts; infinite: it never ends by itself."""


def jitter(uid: str) -> float:
    """Return a factor from 0.8 to 1.2, the same for one uid in any process."""
    return _LEAST + _SPREAD * int(digest("jitter", uid, characters=8), 16) / 0xFFFFFFFF


def course_of(behaviour: Behaviour, seconds: float) -> tuple[Leg, ...]:
    """Return the phases of an execution whose action takes `seconds`; the last leg is an end, or lasts for ever."""
    run, half = Leg("executing", _EXECUTING * seconds), Leg("executing", max(_HALF * seconds, _BLINK))
    whole = (Leg("validating", _VALIDATING * seconds), Leg("validated", _VALIDATED * seconds))
    courses: dict[Kind, tuple[Leg, ...]] = {
        "succeed": (*whole, run, Leg("completed")),
        "fail": (*whole, run, Leg("failed")),
        "fail-before": (*whole, Leg("failed")),
        "fail-not-retryable": (*whole, run, Leg("failed")),
        "reject": (whole[0], Leg("failed")),
        "hang": (*whole, Leg("executing", math.inf)),
        "stall": (*whole, Leg("executing", run.seconds + behaviour.seconds), Leg("completed")),
        "take": (Leg("executing", behaviour.seconds), Leg("completed")),
        "garbage": (*whole, half, Leg(GARBAGE, half.seconds), Leg("completed")),
        "slow-end": (*whole, Leg("executing", math.inf)),
        "delete": (*whole, half, Leg(DELETED)),
        "no-pre-image": (*whole, run, Leg("completed")),
    }
    return courses[behaviour.kind]
