"""A nats-server of a test's own, which it may kill, freeze and start again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from kubernaut.install_streams import install_streams
from kubernaut.local.stack import LocalStack, StackOptions
from runtime.health import Dependency
from runtime.nats_connection import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from schemas.subjects import Consumer

_NAME = "nats"
_CONNECT_SECONDS = 60.0


class NatsServer:
    """A server with the streams and consumers of the product, on a port and a store that survive its restarts."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack

    @property
    def url(self) -> str:
        """Where clients connect."""
        assert self._stack.nats_url is not None
        return self._stack.nats_url

    @property
    def monitor_url(self) -> str:
        """Where it tells about itself."""
        return f"http://127.0.0.1:{self._stack.supervisor[_NAME].spec.ports['monitor']}"

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._stack.supervisor[_NAME].process.pid

    async def kill(self) -> None:
        """Kill -9, and leave it down."""
        await self._stack.supervisor.kill(_NAME, stay_down=True)

    async def start(self) -> None:
        """Start it again on the same port and store."""
        await self._stack.supervisor.start(_NAME)
        await self._stack.supervisor.wait_ready(_NAME)

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): the connection stays up and nothing answers."""
        self._stack.supervisor.pause(_NAME)

    def thaw(self) -> None:
        """Let it go on."""
        self._stack.supervisor.resume(_NAME)

    async def install(self, consumers: Iterable[Consumer] = ()) -> None:
        """Make what is missing of the product's streams and consumers, and these consumers."""
        async with administrator(self.url) as connection:
            await install_streams(connection)
            await install_streams(connection, consumers=tuple(consumers))


@asynccontextmanager
async def administrator(url: str) -> AsyncIterator[Connection]:
    """A connection to ask JetStream's API with."""
    connection = Connection(url, "test", Dependency("nats"), structlog.get_logger())
    keep = asyncio.create_task(connection.keep())
    try:
        await asyncio.wait_for(connection.wait(), _CONNECT_SECONDS)
        yield connection
    finally:
        await connection.close()
        await keep


@asynccontextmanager
async def running_nats(folder: Path) -> AsyncIterator[NatsServer]:
    """Run a server until the end of the block."""
    async with LocalStack(StackOptions.only(_NAME, home=folder)) as stack:
        server = NatsServer(stack)
        await server.install()
        yield server
