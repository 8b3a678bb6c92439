"""How long the API server has answered nobody, and how seldom it is asked meanwhile. Pure: the caller has the clock.

A webhook that fails is no silence, although what it refuses counts as unanswered, too: only a call that no webhook
stands before can tell, so the first trial is made at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from runtime.backoff import Backoff

ENOUGH: Final = 10
"""Calls in a row without an answer, of all runs together."""
FIRST: Final = 0.8
MOST: Final = 10.0
"""Bounds in seconds of the pause between two trials."""
_LEAST: Final = 0.6
"""Of its bound, so that in the end at least 6 s pass: ten trials a minute at most (reliability.md, F9)."""
SPREAD: Final = 1.0
"""Longest time in seconds over which those who waited begin again."""


class Silence:
    """What is known of it, from the calls that were made."""

    def __init__(self, draw: Callable[[], float] = random.random, enough: float = ENOUGH) -> None:
        """`draw` gives numbers in [0, 1); `enough`: see ENOUGH."""
        self._backoff = Backoff(FIRST / _LEAST, most=MOST, draw=lambda: _LEAST + (1 - _LEAST) * draw())
        self._draw = draw
        self._enough = enough
        self._unanswered = 0
        self._began = 0.0
        self._lasted = 0.0

    @property
    def lasts(self) -> bool:
        """Whether nobody but a trial should ask."""
        return self._unanswered >= self._enough

    def unanswered(self, now: float) -> None:
        """Take in a call that got no answer."""
        self._unanswered += 1
        if self._unanswered == self._enough:
            self._began = now

    def answered(self, now: float) -> None:
        """Take in one that got any."""
        if self.lasts:
            self._lasted = now - self._began
            self._backoff.reset()
        self._unanswered = 0

    def pause(self) -> float:
        """Seconds from a trial without an answer to the next."""
        return self._backoff.next()

    def turn(self) -> float:
        """Seconds after the end of it until one of those who waited may ask; no longer than it lasted."""
        return min(self._lasted, SPREAD) * self._draw()
