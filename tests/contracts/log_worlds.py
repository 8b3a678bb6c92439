"""Where the contract of the log is tried: on the fake, and on a real nats-server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, Self

import structlog

from runtime.health import Dependency
from runtime.nats_log import NatsLog
from tests.fakes.log import FakeLog
from tests.nats_server import administrator

if TYPE_CHECKING:
    from runtime.ports import Log
    from tests.nats_server import NatsServer


class World(Protocol):
    """A server that processes open logs on."""

    max_payload: int

    async def open(self) -> Log:
        """Return the log of a new process."""
        ...

    async def crash(self, log: Log) -> None:
        """Kill -9 the process of a log."""
        ...

    async def stop(self) -> None:
        """Kill -9 the server."""
        ...

    async def start(self) -> None:
        """Start the server again on what it had stored."""
        ...

    async def purge(self, stream: str, subject: str) -> None:
        """Remove the messages of a filter, as an administrator does."""
        ...


class FakeWorld:
    """Fakes on one broker."""

    def __init__(self) -> None:
        self._first = FakeLog()
        self.max_payload = self._first.broker.max_payload

    async def open(self) -> Log:
        """See `World.open`."""
        return FakeLog(self._first.broker)

    async def crash(self, log: Log) -> None:
        """See `World.crash`."""
        assert isinstance(log, FakeLog)
        log.crash()

    async def stop(self) -> None:
        """See `World.stop`."""
        self._first.broker.stop()

    async def start(self) -> None:
        """See `World.start`."""
        self._first.broker.start()

    async def purge(self, stream: str, subject: str) -> None:
        """See `World.purge`."""
        self._first.broker.purge(stream, subject)


class NatsWorld:
    """Connections to one real server."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server
        self._open: dict[int, tuple[NatsLog, asyncio.Task[None]]] = {}
        self.max_payload = 0

    async def __aenter__(self) -> Self:
        """Connect once, to learn the server's limit."""
        log = await self.open()
        self.max_payload = log._connection.max_payload  # noqa: SLF001
        return self

    async def __aexit__(self, *_: object) -> None:
        for log, keep in self._open.values():
            await log.close()
            await keep

    async def open(self) -> NatsLog:
        """See `World.open`."""
        log = NatsLog(self._server.url, "contract", Dependency("nats"), structlog.get_logger())
        self._open[id(log)] = log, asyncio.create_task(log.keep())
        async with asyncio.timeout(10.0):
            await log.verified()
        return log

    async def crash(self, log: Log) -> None:
        """See `World.crash`: the socket is cut without a word and never comes back."""
        _, keep = self._open.pop(id(log))
        keep.cancel()
        await asyncio.gather(keep, return_exceptions=True)

    async def stop(self) -> None:
        """See `World.stop`."""
        await self._server.kill()

    async def start(self) -> None:
        """See `World.start`."""
        await self._server.start()

    async def purge(self, stream: str, subject: str) -> None:
        """See `World.purge`."""
        async with administrator(self._server.url) as connection:
            await connection.api(f"STREAM.PURGE.{stream}", {"filter": subject})
