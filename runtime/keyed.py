"""Work that is done in order per key, with the keys side by side. Knows nothing of what the work is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class KeyedWork(Generic[T]):
    """Hands all that waits for one key to `handle` as one list, in order of arrival; never two lists of a key at once.

    An error of `handle` ends `run` and stops the other keys: what it cannot handle itself, it must not raise.
    Bounded by whoever adds: the number of items out is the consumer's `in_hand`.
    """

    def __init__(self, handle: Callable[[str, list[T]], Awaitable[None]], *, side_by_side: int) -> None:
        """`side_by_side`: how many keys are handled at once."""
        self._handle = handle
        self._side_by_side = side_by_side
        self._waiting: dict[str, list[T]] = {}
        self._running: set[str] = set()
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._lingering: dict[str, asyncio.Event] = {}
        self._taken: dict[str, int] = {}
        self._pending = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pending(self) -> int:
        """Items that were added and are not yet handled to their end."""
        return self._pending

    def add(self, key: str, item: T) -> None:
        """Add an item; it is handled after the items of its key that came before."""
        self._pending += 1
        self._idle.clear()
        if key in self._waiting:
            self._waiting[key].append(item)
            return
        self._waiting[key] = [item]
        if key in self._lingering:
            self._lingering[key].set()
        elif key not in self._running:
            self._ready.put_nowait(key)

    async def more(self, key: str, seconds: float) -> list[T]:
        """From within `handle`: what else has come for its key, waiting up to `seconds` for the first; may be empty.

        The items belong to the caller's list from then on.
        """
        if key not in self._waiting:
            self._lingering[key] = come = asyncio.Event()
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await come.wait()
            finally:
                del self._lingering[key]
        items = self._waiting.pop(key, [])
        self._taken[key] = self._taken.get(key, 0) + len(items)
        return items

    async def run(self) -> None:
        """Work for ever; ends by cancellation or by an error of `handle`."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._side_by_side):
                group.create_task(self._work())

    async def finished(self) -> None:
        """Return once nothing is waiting or being handled."""
        await self._idle.wait()

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            items = self._waiting.pop(key)
            self._running.add(key)
            try:
                await self._handle(key, items)
            finally:
                self._running.discard(key)
                self._pending -= len(items) + self._taken.pop(key, 0)
                if self._pending == 0:
                    self._idle.set()
            if key in self._waiting:
                self._ready.put_nowait(key)
