"""How long one piece of work keeps the event loop of a service to itself, on a machine that others keep busy too."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp

from kubernaut.local.probes import HttpProbe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from kubernaut.local.supervisor import Member

LOGGER = logging.getLogger(__name__)
_FOUR: Final = ("watcher", "scheduler", "executor_bridge", "auditor")
_MOST_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 0.02
_ANSWER_SECONDS: Final = 60.0


@asynccontextmanager
async def loops_turn(members: Iterable[Member]) -> AsyncIterator[None]:
    """Ask each of the four services all the time whether it lives; fail when one stood still for a second.

    Of a wait only those seconds count that the loop's own thread was on a processor: in these nobody else had its loop,
    and in the others it had no processor. A service that gives no answer at all is an error.
    """
    longest = dict.fromkeys(_FOUR, 0.0)
    limits = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=limits, trust_env=False) as session:
        asking = [asyncio.create_task(_ask(session, each, longest)) for each in members if each.spec.name in _FOUR]
        try:
            yield
        finally:
            for task in asking:
                task.cancel()
            ends = await asyncio.gather(*asking, return_exceptions=True)
    assert [] == [end for end in ends if not isinstance(end, asyncio.CancelledError)]
    LOGGER.info("longest that each loop stood still: %s", longest)
    assert all(0 < seconds < _MOST_SECONDS for seconds in longest.values()), longest


async def _ask(session: aiohttp.ClientSession, member: Member, longest: dict[str, float]) -> None:
    probe, pid = member.spec.probe, member.process.pid
    assert isinstance(probe, HttpProbe)
    assert pid is not None
    url = probe.url.replace("/readyz", "/livez")
    while True:
        began, before = time.perf_counter(), _on_a_processor(pid)
        async with session.get(url) as answer:
            await answer.read()
        waited, worked = time.perf_counter() - began, _on_a_processor(pid) - before
        longest[member.spec.name] = max(longest[member.spec.name], min(waited, worked))
        await asyncio.sleep(_ASK_SECONDS)


def _on_a_processor(pid: int) -> float:
    """Seconds of the first thread of a process, which is the one with the loop."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9
