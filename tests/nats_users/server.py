"""A nats-server with the users of the services, whose configuration a test may change while it runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import structlog

from kubernaut.install_streams import install_streams
from kubernaut.local.stack import LocalStack, StackOptions
from kubernaut.nats_seeds import seed_file
from runtime.health import Dependency
from runtime.nats_log import NatsLog
from tests.eventually import eventually
from tests.nats_server import administrator

SECONDS = 30.0
Lines = structlog.testing.LogCapture


class Server:
    """It runs; its files are those of a local stack."""

    def __init__(self, stack: LocalStack) -> None:
        assert stack.nats_url is not None
        self.stack = stack
        self.url = stack.nats_url
        self._folder = stack.home.data / "nats"

    def seed(self, user: str) -> Path:
        """Where the seed of a user is."""
        return seed_file(self._folder / "seeds", user)

    def address(self, user: str) -> str:
        """Where a user connects."""
        return f"{self.url}?seed_file={self.seed(user)}"

    async def change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Change the configuration and have it read again, which has happened when this returns."""
        file, log = self._folder / "nats-server.conf", self.stack.logs / "nats.log"
        configuration = json.loads(file.read_text())
        edit(configuration)
        file.write_text(json.dumps(configuration))
        before = log.read_text().count("Reloaded server configuration")
        pid = self.stack.supervisor["nats"].process.pid
        assert pid is not None
        os.kill(pid, signal.SIGHUP)
        await eventually(lambda: log.read_text().count("Reloaded server configuration") > before, seconds=SECONDS)

    @asynccontextmanager
    async def client(self, user: str, told: list[str]) -> AsyncIterator[Any]:
        """A client of nats-py as a user; `told`: takes what the server complains of, in small letters."""

        async def note(error: Exception) -> None:
            told.append(str(error).lower())

        client = await nats.connect(self.url, nkeys_seed=str(self.seed(user)), error_cb=note)
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def running(folder: Path, *, install: bool = True) -> AsyncIterator[Server]:
    """Run a server; with the streams and consumers, unless they are not wanted."""
    async with LocalStack(StackOptions.only("nats", home=folder)) as stack:
        server = Server(stack)
        if install:
            async with administrator(server.url) as connection:
                await install_streams(connection)
        yield server


@asynccontextmanager
async def kept(url: str, user: str, lines: Lines, health: Dependency | None = None) -> AsyncIterator[NatsLog]:
    """The log as a user reads and writes it; `lines`: takes what it logs."""
    logger = structlog.wrap_logger(structlog.ReturnLogger(), processors=[lines])
    log = NatsLog(url, user, health or Dependency("nats"), logger)
    keeping = asyncio.create_task(log.keep())
    try:
        async with asyncio.timeout(SECONDS):
            await log.verified()
        yield log
    finally:
        await log.close()
        async with asyncio.timeout(SECONDS):
            await keeping
