"""Waiting in tests: poll with a limit, never sleep for a fixed time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_POLL_SECONDS = 0.01


async def eventually(holds: Callable[[], object], *, seconds: float = 10.0, what: str = "") -> None:
    """Return once `holds()` is true. Raises AssertionError after `seconds`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not holds():
        if loop.time() > end:
            raise AssertionError(what or f"did not hold within {seconds} s")
        await asyncio.sleep(_POLL_SECONDS)
