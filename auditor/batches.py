"""Collects what arrives into batches. Stores nothing and acknowledges nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.ports import Delivery

MOST_MESSAGES: Final = 500
"""Per row, larger batches save nothing more (measured: 100 to 500 rows cost the same)."""
MOST_BYTES: Final = 4 * 1024 * 1024
"""A batch of the largest messages must fit in memory several times over: as messages, as a statement, at the server."""
LINGER_SECONDS: Final = 0.05
"""How long the first message of a batch waits for company; one commit then serves all of them."""


class Batches:
    """Between one task that puts deliveries in and one that takes batches out."""

    def __init__(
        self, *, messages: int = MOST_MESSAGES, size: int = MOST_BYTES, linger: float = LINGER_SECONDS
    ) -> None:
        """`messages` and `size` (bytes): most in a batch, but one message is always taken; `linger` in seconds."""
        self._messages = messages
        self._size = size
        self._linger = linger
        self._waiting: deque[Delivery] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        """Messages that were put and not taken."""
        return len(self._waiting)

    async def put(self, delivery: Delivery) -> None:
        """Add a delivery; waits while a whole batch stands ready already."""
        await self._room.wait()
        self._waiting.append(delivery)
        self._bytes += len(delivery.message.data)
        if self._full():
            self._room.clear()
        self._changed.set()

    def close(self) -> None:
        """Nothing more will be put."""
        self._closed = True
        self._changed.set()

    async def take(self, idle: float) -> list[Delivery] | None:
        """Return the next batch: at once when it is full, else after the linger.

        Empty when nothing came for `idle` seconds, None when it is closed and everything was taken.
        """
        if not await self._until(lambda: bool(self._waiting), idle):
            return None if self._closed else []
        await self._until(self._full, self._linger)
        return self._next()

    async def _until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition holds, it is closed, or the time has passed; tell whether the condition holds."""
        try:
            async with asyncio.timeout(seconds):
                while not holds() and not self._closed:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        return holds()

    def _full(self) -> bool:
        return len(self._waiting) >= self._messages or self._bytes >= self._size

    def _next(self) -> list[Delivery]:
        batch: list[Delivery] = []
        size = 0
        while self._waiting and len(batch) < self._messages:
            following = len(self._waiting[0].message.data)
            if batch and size + following > self._size:
                break
            size += following
            batch.append(self._waiting.popleft())
        self._bytes -= size
        if not self._full():
            self._room.set()
        return batch
