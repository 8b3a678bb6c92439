"""An event loop whose clock jumps to the next timer, so that half a minute of waiting takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Instead of waiting for the timeout, moves the clock by it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Never block: nothing outside the process is waited for."""
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError(f"nothing will ever happen again after {self.now} s")
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Timers only; no network."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Seconds, as the timers have it."""
        return self._jump.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
