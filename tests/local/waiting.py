"""Wait for what another process does: by asking again and again, with a limit."""

import asyncio
import time
from collections.abc import Callable

LIMIT_SECONDS = 120.0
_PAUSE_SECONDS = 0.02


async def until(what: Callable[[], bool], told: str) -> None:
    """Return when `what` is true; fail with `told` when it does not become so in time."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"still not after {LIMIT_SECONDS:g} s: {told}"
        await asyncio.sleep(_PAUSE_SECONDS)


def until_sync(what: Callable[[], bool], told: str) -> None:
    """Do the same without an event loop."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"still not after {LIMIT_SECONDS:g} s: {told}"
        time.sleep(_PAUSE_SECONDS)
