"""Reads the public events in their order, to the end or for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from runtime.backoff import Backoff
from runtime.errors import UnavailableError
from runtime.ports import Log, Stored
from schemas.subjects import EVENT_STREAM, EVENTS

PAUSE_SECONDS: Final = 0.2
"""How often a follower looks whether there is more: one read of the last message, 0.2 ms of the server's time."""


async def read_events(log: Log, subject: str, *, start: int, follow: bool) -> AsyncGenerator[Stored, None]:
    """Yield the events of a subject filter from the sequence `start` on; with `follow` it waits for more, for ever.

    Raises UnavailableError; a follower waits until the log is back.
    """
    after, backoff = start - 1, Backoff(most=5.0)
    while True:
        try:
            last = await log.last(EVENT_STREAM.name, subject)
            if last is not None and last.sequence > after:
                async with aclosing(log.scan(EVENT_STREAM.name, subject, start=after + 1)) as messages:
                    async for stored in messages:
                        after = stored.sequence
                        yield stored
            backoff.reset()
        except UnavailableError:
            if not follow:
                raise
            await asyncio.sleep(backoff.next())
        if not follow:
            return
        await asyncio.sleep(PAUSE_SECONDS)


async def first_since(log: Log, moment: int) -> int:
    """Return the sequence of the first event stored at `moment` (ms since 1970) or later; past the end if none is.

    Sequences have no holes but at the beginning, where retention took the oldest: halving finds it in 20 reads.
    """
    last = await log.last(EVENT_STREAM.name, EVENTS)
    low, high = 1, (last.sequence if last else 0) + 1
    while low < high:
        middle = (low + high) // 2
        stored = await log.get(EVENT_STREAM.name, middle)
        if stored is None or stored.time_ms < moment:
            low = middle + 1
        else:
            high = middle
    return low
