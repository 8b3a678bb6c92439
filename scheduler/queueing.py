"""The queue of runs: who runs, who waits, whose turn it is. Pure: its state and what happened in, one decision out.

Must never admit past the limit, nor anybody while somebody better may be waiting: who is not named in `waiting` comes
after everyone who is, so once `overflow` is set nobody is named behind the last one before the log was read again.
Docs: decision record 0009.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from schemas.messages import Cause, QueueDecided
from schemas.queue_state import WAITING_LIMIT, QueueEntry, QueueState
from schemas.workflow import Priority

RANKS: Final[dict[Priority, int]] = {"critical": 0, "high": 1, "normal": 2, "low": 3}
"""The order of the priorities of spec.md section 1, as entries hold it."""


class Request(msgspec.Struct, frozen=True):
    """A run asks for a place."""

    entry: QueueEntry
    cause: Cause


class Release(msgspec.Struct, frozen=True):
    """A run needs no place any more, whether it has one, waits for one or does neither."""

    uid: str
    cause: Cause


class _Turn(msgspec.Struct, frozen=True):
    """Those who are first, in the order of their turn."""

    named: list[QueueEntry]
    others: bool
    """Whether others wait behind them, or may."""


def decide_queue(
    previous: QueueDecided | None,
    requests: Sequence[Request],
    releases: Sequence[Release],
    refill: Sequence[QueueEntry] | None,
    *,
    limit: int,
    now: int,
    room: int = WAITING_LIMIT,
) -> QueueDecided | None:
    """Return the next decision of the queue, or None when there is nothing to change.

    Releases are taken in first; a request of a run that is released here as well is too late. `refill`: the best of all
    runs that are queued in the log, at most `room` + 1 of them: one more than can be named says that there are others;
    None when the log was not read. `now`: broker time in ms. `room`: how many of those that wait can be named.

    Whoever asks and cannot be named makes a decision even when nothing else changes, because a refill that has read
    the log without it must not be the next: it would say that nobody is left out.
    """
    before = previous.state if previous is not None else QueueState()
    gone = {release.uid for release in releases}
    held = [*before.active, *(entry.uid for entry in before.waiting)]
    left = {uid for uid in held if uid in gone}
    known = {*held, *gone}
    asking = [request for request in _first_of_each(requests) if request.entry.uid not in known]
    active = [uid for uid in before.active if uid not in left]
    waiting = [entry for entry in before.waiting if entry.uid not in left]
    read = [entry for entry in refill or () if entry.uid not in known]
    others = before.overflow if refill is None else len(refill) > room
    state = _seat(active, _in_turn(waiting, asking, read, others=others), limit=limit, room=room)
    if not asking and msgspec.structs.replace(state, limit=before.limit) == before:
        return None
    return QueueDecided(
        version=previous.version + 1 if previous is not None else 1,
        now=max(now, previous.now if previous is not None else 0),
        causes=(*(release.cause for release in releases if release.uid in left), *(r.cause for r in asking)),
        admitted=state.active[len(active) :],
        left=tuple(uid for uid in held if uid in left),
        state=state,
    )


def needs_refill(state: QueueState, *, room: int = WAITING_LIMIT) -> bool:
    """Whether the log should be read for those that are not named, before nobody is left who is."""
    return state.overflow and 2 * len(state.waiting) < room


def _first_of_each(requests: Sequence[Request]) -> list[Request]:
    return list({request.entry.uid: request for request in reversed(requests)}.values())[::-1]


def _in_turn(waiting: list[QueueEntry], requests: list[Request], read: list[QueueEntry], *, others: bool) -> _Turn:
    """Sort everyone who may be named. With `others`, somebody may stand anywhere behind the last one known."""
    asking = [request.entry for request in requests]
    known = sorted({*waiting, *read})
    if not others:
        return _Turn(named=sorted({*known, *asking}), others=False)
    before_them = [entry for entry in asking if known and entry < known[-1]]
    return _Turn(named=sorted({*known, *before_them}), others=True)


def _seat(active: list[str], turn: _Turn, *, limit: int, room: int) -> QueueState:
    """Give the free places to those whose turn it is, and name as many of the others as there is room for."""
    places = max(0, limit - len(active))
    admitted, waiting = turn.named[:places], turn.named[places:]
    return QueueState(
        limit=limit,
        active=(*active, *(entry.uid for entry in admitted)),
        waiting=tuple(waiting[:room]),
        overflow=turn.others or len(waiting) > room,
    )
