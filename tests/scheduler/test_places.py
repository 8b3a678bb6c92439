"""The second net under the queue: places of runs that have ended although nobody gave them back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from runtime.errors import UnavailableError
from runtime.logs import get_logger
from scheduler.places_loop import EVERY_SECONDS, free_places
from tests.executor_bridge import virtual

LOGGER = get_logger("test")


class Clerk:
    """What of a desk the loop needs."""

    def __init__(self, *, away: int = 0) -> None:
        """`away`: how often the log does not answer at first."""
        self.looked_at: list[list[str]] = []
        self.away = away

    async def free_finished(self, uids: Iterable[str]) -> tuple[str, ...]:
        """As the desk's."""
        self.looked_at.append(sorted(uids))
        if len(self.looked_at) <= self.away:
            raise UnavailableError("no answer")
        return ()


def after(seconds: float, clerk: Clerk, finished: set[str], *later: str) -> None:
    """Let the loop run for that long; others note `later` meanwhile."""

    async def play() -> None:
        loop = asyncio.ensure_future(free_places(clerk, finished, LOGGER))  # type: ignore[arg-type]
        await asyncio.sleep(0.001)
        finished.update(later)
        await asyncio.sleep(seconds)
        loop.cancel()

    virtual.run(play())


def test_what_has_ended_is_looked_at_once() -> None:
    """And then every half minute what was noted since; an empty look lets a raised limit take effect."""
    clerk, finished = Clerk(), {"a", "b"}

    after(2 * EVERY_SECONDS, clerk, finished, "c")

    assert [["a", "b"], ["c"], []] == clerk.looked_at
    assert set() == finished


def test_what_could_not_be_looked_at_is_looked_at_again() -> None:
    """Nothing is forgotten because the log was away."""
    clerk, finished = Clerk(away=1), {"a"}

    after(EVERY_SECONDS, clerk, finished, "b")

    assert [["a"], ["a", "b"]] == clerk.looked_at
    assert set() == finished
