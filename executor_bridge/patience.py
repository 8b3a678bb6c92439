"""Repeats what did not go through, for as long as the message may be in hand. Never longer, and never in a hot loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from executor_bridge.context import Limits
from executor_bridge.gate import ShutError
from runtime.backoff import Backoff
from runtime.errors import ConflictError, KubernautError, UnavailableError

T = TypeVar("T")


class NotYetError(KubernautError):
    """Something in the cluster must happen first, which nobody tells us of."""


class TimeUpError(KubernautError):
    """The message was in hand for long enough; give it back."""


async def persist(limits: Limits, until: float, act: Callable[[int], Awaitable[T]]) -> T:
    """Call `act` with 0, 1, 2 ... until it returns, with back-off after each error that may pass.

    Each work has its own back-off; while the API server answers nobody, all have one together (`gate`).
    `act` must find out for itself what the try before it has done. Raises TimeUpError when the next try would begin
    after `until` (on the loop's clock); every other error is the caller's.
    """
    backoff = Backoff(first=limits.retry_first, most=limits.retry_most)
    tries = 0
    while True:
        try:
            return await act(tries)
        except ShutError as error:
            if not await error.gate.opened(until):
                raise TimeUpError(str(error)) from error
        except (UnavailableError, ConflictError, NotYetError) as error:
            asked = error.retry_after if isinstance(error, UnavailableError) else None
            wait = max(backoff.next(), asked or 0.0)
            if asyncio.get_running_loop().time() + wait > until:
                raise TimeUpError(str(error)) from error
            await asyncio.sleep(wait)
        tries += 1
