"""A slow network between a service and a server: every byte comes later, and only so many come in a second."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

_PIECE: Final = 4096
_HELD_PIECES: Final = 64
"""Pieces of one direction that are on their way at once: the sender is kept waiting beyond it, as by a full socket."""


class SlowNetwork:
    """Passes connections on to one server. Each has the whole rate, in each direction."""

    def __init__(self, host: str, port: int, *, delay: float, rate: int) -> None:
        """`delay`: seconds each way; `rate`: bytes a second."""
        self._target = host, port
        self._delay = delay
        self._rate = rate
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        """Listen; return the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Cut everything off."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            away_reader, away_writer = await asyncio.open_connection(*self._target)
            await self._both(self._pass(reader, away_writer), self._pass(away_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # cut off, by either side or by the end of the test
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _both(self, *ways: Coroutine[None, None, None]) -> None:
        """Pass on both ways until one of them ends."""
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_HELD_PIECES)
        sending = asyncio.create_task(self._send(pieces, writer))
        free_at = loop.time()
        try:
            while piece := await reader.read(_PIECE):
                free_at = max(free_at, loop.time()) + len(piece) / self._rate
                await pieces.put((free_at + self._delay, piece))
            await pieces.join()
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sending
            writer.close()

    async def _send(self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            at, piece = await pieces.get()
            await asyncio.sleep(max(0.0, at - loop.time()))
            writer.write(piece)
            await writer.drain()
            pieces.task_done()


@asynccontextmanager
async def slow_network(host: str, port: int, *, delay: float, rate: int) -> AsyncIterator[int]:
    """Run one until the end of the block; gives its port."""
    network = SlowNetwork(host, port, delay=delay, rate=rate)
    try:
        yield await network.open()
    finally:
        await network.close()
