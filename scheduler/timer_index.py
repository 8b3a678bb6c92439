"""Which runs have a timer, and which of those timers are long past: what the sweep knows. Pure.

Holds the earliest timer of a run and nothing else. Must never be where a deadline is decided on: it may be behind, and
all that comes of it is a look at the run.
"""

from __future__ import annotations

from heapq import nsmallest
from operator import attrgetter
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.workflow_status import TERMINAL_PHASES

GRACE_MS: Final = 5000
"""How long a wake-up may be late, and be worked on, before it counts as lost."""
REMEMBERED: Final = 100_000
"""Runs with a timer that are known at once; about 200 bytes each. Of more, those that are due last are read again."""
_MOST_PAUSE: Final = 15
"""Rounds between two tries at a run that nothing comes of."""


Moment = Annotated[int, Meta(ge=0, le=2**53)]
"""A time in ms since 1970, as JSON can hold it everywhere."""


class Overdue(msgspec.Struct, frozen=True):
    """A run whose earliest timer is past, and how often its wake-up was sent by the sweep before."""

    workflow_uid: str
    due_at: int
    tries: int


class _State(msgspec.Struct):
    phase: str
    gone: bool = False
    timers: dict[str, Moment] = {}


class _Decision(msgspec.Struct):
    state: _State


class _Timer(msgspec.Struct, gc=False):
    due_at: int
    tries: int = 0
    pause: int = 0


_DECISIONS: Final = msgspec.json.Decoder(_Decision)


class TimerIndex:
    """The earliest timer of each run, as far as the decisions were shown to it."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        """`remembered`: how many runs at most."""
        self._remembered = remembered
        self._timers: dict[str, _Timer] = {}
        self._horizon: int | None = None

    def __len__(self) -> int:
        """How many runs are known to have a timer."""
        return len(self._timers)

    def take(self, workflow_uid: str, decision: bytes) -> bool:
        """Take in the newest decision of a run; whether the run is over. Raises msgspec.MsgspecError for none.

        Reads the few fields that it needs of the message, whatever its size.
        """
        state = _DECISIONS.decode(decision).state
        due_at = min(state.timers.values(), default=None) if not state.gone else None
        if due_at is None or (self._horizon is not None and due_at >= self._horizon):
            self.forget(workflow_uid)
        elif due_at != self.due_at(workflow_uid):
            self._timers[workflow_uid] = _Timer(due_at)
            if len(self._timers) > self._remembered:
                self._shorten()
        return state.gone or state.phase in TERMINAL_PHASES

    def forget(self, workflow_uid: str) -> None:
        """Take in that a run has no timer any more."""
        self._timers.pop(workflow_uid, None)

    def due_at(self, workflow_uid: str) -> int | None:
        """Return the earliest timer of a run, in ms since 1970."""
        timer = self._timers.get(workflow_uid)
        return None if timer is None else timer.due_at

    def incomplete(self, now_ms: int) -> bool:
        """Whether a timer that was left out for want of room may be due: then build the index anew."""
        return self._horizon is not None and now_ms >= self._horizon

    def begin_round(self, now_ms: int) -> list[Overdue]:
        """Return the runs to be woken in this round, those due first in front.

        One that nothing came of is tried again in the next round, and then in ever fewer ones: its wake-up is in the
        stream and does not get lost there.
        """
        found = []
        for uid, timer in self._timers.items():
            if timer.due_at >= now_ms - GRACE_MS:
                continue
            if timer.pause:
                timer.pause -= 1
            else:
                found.append(Overdue(uid, timer.due_at, timer.tries))
        return sorted(found, key=attrgetter("due_at", "workflow_uid"))

    def tried(self, workflow_uid: str) -> None:
        """Take in that the wake-up of this round was sent."""
        timer = self._timers[workflow_uid]
        timer.pause = min(2**timer.tries - 1, _MOST_PAUSE)
        timer.tries += 1

    def _shorten(self) -> None:
        """Leave out the half that is due last."""
        half = len(self._timers) // 2 + 1
        *first, (_, last) = nsmallest(half, self._timers.items(), key=lambda item: item[1].due_at)
        self._timers, self._horizon = dict(first), last.due_at
