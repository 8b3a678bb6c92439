"""Clocks for fakes: the event loop's own (real, or virtual under a virtual loop), and one that is moved by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

START = 1_767_225_600.0
"""2026-01-01T00:00:00Z in seconds since 1970."""


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since 1970."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Call back once `now()` is `when`."""
        ...


class LoopClock:
    """Moves with the event loop's time, from `START` on."""

    def __init__(self) -> None:
        self._base: float | None = None

    def now(self) -> float:
        """See `Clock.now`."""
        time = asyncio.get_running_loop().time()
        if self._base is None:
            self._base = START - time
        return self._base + time

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """See `Clock.call_at`."""
        asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback)


class ManualClock:
    """Moves only by `advance`."""

    def __init__(self, start: float = START) -> None:
        self._now = start
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        """See `Clock.now`."""
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """See `Clock.call_at`."""
        heapq.heappush(self._calls, (when, next(self._order), callback))

    def advance(self, seconds: float) -> None:
        """Move on and call back whatever is due, each at its own time."""
        end = self._now + seconds
        while self._calls and self._calls[0][0] <= end:
            self._now, _, callback = heapq.heappop(self._calls)
            callback()
        self._now = end
