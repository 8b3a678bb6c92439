"""The gate before the API server: shut while it answers nobody, so that all runs together ask as seldom as one would.

Must never ask anything itself: `bridge_loop.reopen` does, and each of its answers is told here as any other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from executor_bridge.silence import ENOUGH, Silence
from runtime.errors import UnavailableError


class ShutError(UnavailableError):
    """The API server was not asked, for it answers nobody."""

    def __init__(self, gate: Gate, told: str) -> None:
        """`gate`: to wait before; `told`: what the last call met."""
        super().__init__(f"not asked, because the API server answers nobody: {told}")
        self.gate = gate


class Gate:
    """Open until calls go without an answer, and again from the first answer on."""

    def __init__(self, draw: Callable[[], float] = random.random, enough: float = ENOUGH) -> None:
        """See `Silence`."""
        self._silence = Silence(draw, enough)
        self._open, self._shut = asyncio.Event(), asyncio.Event()
        self._open.set()

    @property
    def is_shut(self) -> bool:
        """Whether only trials may pass."""
        return self._silence.lasts

    def unanswered(self, now: float) -> None:
        """Take in a call that got no answer."""
        self._silence.unanswered(now)
        if self._silence.lasts:
            self._open.clear()
            self._shut.set()

    def answered(self, now: float) -> None:
        """Take in one that got any, even a refusal."""
        self._silence.answered(now)
        self._shut.clear()
        self._open.set()

    def pause(self) -> float:
        """Seconds from a trial without an answer to the next."""
        return self._silence.pause()

    async def shut(self) -> None:
        """Return once it is shut."""
        await self._shut.wait()

    async def opened(self, until: float) -> bool:
        """Return in one's turn once it is open; False when that would be after `until`, on the loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                await self._open.wait()
        except TimeoutError:
            return False
        turn = self._silence.turn()
        if asyncio.get_running_loop().time() + turn > until:
            return False
        await asyncio.sleep(turn)
        return True
