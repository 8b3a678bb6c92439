"""A nats-server made of the files in `deploy/nats`: the account of the services and that of outside subscribers."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import nats
import structlog

from kubernaut.install_mirror import install_mirror
from kubernaut.install_streams import install_streams
from kubernaut.local.nats import find_nats_server
from kubernaut.local.ports import PortPool
from runtime.health import Dependency
from runtime.nats_connection import Connection
from schemas.cloudevents import Event, to_headers
from schemas.nats_roles import users_file
from schemas.subjects import EVENT_STREAM, LOG

DEPLOY = Path(__file__).parents[2] / "deploy" / "nats"
STREAM = EVENT_STREAM.name
PASSWORDS = {"KUBERNAUT_PASSWORD": "k", "ADMIN_PASSWORD": "a", "MY_TEAM_PASSWORD": "m", "OTHER_TEAM_PASSWORD": "o"}
_USERS = {"kubernaut": "k", "subscribers-admin": "a", "my-team": "m", "other-team": "o"}
SECONDS = 60.0


class Server:
    """A server with both accounts."""

    def __init__(self, port: int) -> None:
        self._address = f"127.0.0.1:{port}"

    def url(self, user: str) -> str:
        """Where a user connects."""
        return f"nats://{user}:{_USERS[user]}@{self._address}"

    @contextlib.asynccontextmanager
    async def connection(self, user: str) -> AsyncIterator[Connection]:
        """A connection of ours as a user."""
        connection = Connection(self.url(user), "test", Dependency("nats"), structlog.get_logger())
        keeping = asyncio.create_task(connection.keep())
        try:
            await asyncio.wait_for(connection.wait(), SECONDS)
            yield connection
        finally:
            await connection.close()
            await keeping

    @contextlib.asynccontextmanager
    async def client(self, user: str, **options: Any) -> AsyncIterator[Any]:
        """A client of nats-py as a user, with the inboxes that its role allows."""
        prefix = f"_INBOX_{user.replace('-', '_')}".encode()
        client = await nats.connect(self.url(user), inbox_prefix=prefix, **options)
        try:
            yield client
        finally:
            await client.close()

    async def stored(self) -> tuple[int, int]:
        """How many messages the log and the event stream of the services hold."""
        async with self.client("kubernaut") as client:
            infos = [await client.jetstream().stream_info(name) for name in (LOG.name, STREAM)]
            return infos[0].state.messages, infos[1].state.messages

    async def mirrored(self, count: int) -> None:
        """Wait until the mirror holds so many messages."""
        async with self.client("subscribers-admin") as client, asyncio.timeout(SECONDS):
            stream = client.jetstream()
            while (await stream.stream_info(STREAM)).state.messages < count:  # noqa: ASYNC110 - the server is asked
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def running_accounts(folder: Path, told: Iterable[Event]) -> AsyncIterator[Server]:
    """Run the deployed files, with a second team, the streams, the mirror, and these events told."""
    for file in DEPLOY.glob("*.conf"):
        (folder / file.name).write_text(file.read_text())
    administrator = "users: [{ user: kubernaut, password: $KUBERNAUT_PASSWORD }]"
    (folder / "services-users.conf").write_text(administrator)  # tests/nats_users tries those that are deployed
    users = folder / "subscribers-users.conf"
    other = users_file([("other-team", ["other-team", "other-pushed"])]).removeprefix("users: [\n")
    users.write_text(users.read_text().rstrip().removesuffix("]") + other)
    ports = PortPool()
    port = ports.take()
    process = await asyncio.create_subprocess_exec(
        *(str(find_nats_server()), "-c", "example.conf", "-a", "127.0.0.1", "-p", str(port), "-l", "log"),
        cwd=folder,
        env=os.environ | PASSWORDS,
    )
    try:
        server = Server(port)
        async with server.connection("kubernaut") as connection:
            await install_streams(connection)
        async with server.connection("subscribers-admin") as connection:
            assert await install_mirror(connection)
        events = list(told)
        async with server.client("kubernaut") as client:
            for event in events:
                await client.jetstream().publish(event.subject, event.data, headers=to_headers(event))
        await server.mirrored(len(events))
        yield server
    finally:
        process.terminate()
        await process.wait()
        ports.close()
