"""The state of the queue of runs, as each of its decisions carries it whole: who runs, who waits.

Small and bounded: at most `limit` runs are active, and of those that wait only the `WAITING_LIMIT` that are first in
turn are named; the others are in the log as runs in phase queued and are read from there when their turn comes.
"""

from __future__ import annotations

from typing import Final

import msgspec

WAITING_LIMIT: Final = 500
"""Runs in `waiting`; one is about 60 bytes."""
DEFAULT_LIMIT: Final = 100
"""maxActiveWorkflows of spec.md section 3."""


class QueueEntry(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A run that waits. Entries sort in the order of their turn: priority, then age, then uid."""

    rank: int
    """0 critical, 1 high, 2 normal, 3 low."""
    created_at: int
    """When the object was created, in ms since 1970."""
    uid: str


class QueueState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The whole state after a decision of the queue."""

    limit: int = DEFAULT_LIMIT
    """How many runs may be active at once, as the scheduler that decided was set."""
    active: tuple[str, ...] = ()
    """Uids of the runs that have a place, in the order in which they got it."""
    waiting: tuple[QueueEntry, ...] = ()
    """Sorted."""
    overflow: bool = False
    """More wait than `waiting` names."""
