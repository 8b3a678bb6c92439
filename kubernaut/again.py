"""Asks a server again that is not able to do something yet. Knows nothing of what is asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from runtime.backoff import Backoff
from runtime.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

SECONDS: Final = 30.0
"""For how long; a busy NATS may answer 500 to a stream that takes the place of one that was just removed."""


async def until_able(ask: Callable[[], Awaitable[T]]) -> T:
    """Return what it answers at last. Raises UnavailableError, the last one, when it is not able to in 30 s.

    Whatever is asked may have been done although the answer was lost: asking must be safe to repeat.
    """
    loop, backoff = asyncio.get_running_loop(), Backoff(first=0.1, most=1.0)
    end = loop.time() + SECONDS
    while True:
        try:
            return await ask()
        except UnavailableError:
            if loop.time() > end:
                raise
        await asyncio.sleep(backoff.next())
