"""How long to wait before the next try. Must never sleep by itself."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Exponential back-off with full jitter: each wait is drawn from 0 to a bound that grows up to `most` seconds.

    Full jitter spreads the load of many clients best (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
    """

    def __init__(
        self,
        first: float = 0.2,
        factor: float = 2.0,
        most: float = 30.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`first` and `most` in seconds; `draw` gives numbers in [0, 1)."""
        self._first = first
        self._factor = factor
        self._most = most
        self._draw = draw
        self._bound = min(first, most)

    def next(self) -> float:
        """Seconds to wait before the next try; the bound of the one after grows."""
        wait = self._bound * self._draw()
        self._bound = min(self._bound * self._factor, self._most)
        return wait

    def reset(self) -> None:
        """It went well: start from the beginning."""
        self._bound = min(self._first, self._most)
