"""The stream that a consumer is tried on: a nats-server with an event stream from which messages can be taken away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import structlog

from kubernaut.again import until_able
from kubernaut.conformance.story import Message
from kubernaut.install_streams import stream_config
from kubernaut.local.stack import LocalStack, StackOptions
from runtime.errors import NotFoundError, UnavailableError
from runtime.health import Dependency
from runtime.nats_connection import Connection
from runtime.nats_headers import to_block
from schemas.subjects import EVENT_STREAM

_SILENT: Final = 50
_CONNECT_SECONDS: Final = 10.0


class _Ack(msgspec.Struct):
    seq: int


class Stage:
    """The event stream, empty at first."""

    def __init__(self, url: str, connection: Connection) -> None:
        self.url = url
        self._connection = connection

    async def clear(self) -> None:
        """Make the stream anew, with no message and no consumer; unlike the product's, it lets messages be deleted.

        Raises UnavailableError when the server does not do so in 30 s.
        """
        await until_able(self._anew)

    async def _anew(self) -> None:
        with contextlib.suppress(NotFoundError):
            await self._connection.api(f"STREAM.DELETE.{EVENT_STREAM.name}")
        config = stream_config(EVENT_STREAM) | {"deny_delete": False, "deny_purge": False}
        await self._connection.api(f"STREAM.CREATE.{EVENT_STREAM.name}", config)

    async def tell(self, messages: Iterable[Message]) -> list[tuple[int, Message]]:
        """Put messages into the stream; return them with their places."""
        stored = []
        for message in messages:
            block = to_block(message.headers)
            reply = await self._connection.request(message.subject, message.data, headers=block)
            stored.append((msgspec.json.decode(reply.data, type=_Ack).seq, message))
        return stored

    async def drop(self, sequence: int) -> None:
        """Take a message away, as retention does."""
        await self._connection.api(f"STREAM.MSG.DELETE.{EVENT_STREAM.name}", {"seq": sequence, "no_erase": True})


@asynccontextmanager
async def a_stage(folder: Path) -> AsyncIterator[Stage]:
    """Run a server until the end of the block; its store is in `folder`."""
    async with LocalStack(StackOptions.only("nats", home=folder)) as stack:
        if stack.nats_url is None:
            raise UnavailableError("the local nats-server has no address")
        logger = structlog.wrap_logger(
            structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(_SILENT)
        )
        connection = Connection(stack.nats_url, "conformance", Dependency("nats"), logger)
        keeping = asyncio.create_task(connection.keep())
        try:
            await asyncio.wait_for(connection.wait(), _CONNECT_SECONDS)
            yield Stage(stack.nats_url, connection)
        finally:
            await connection.close()
            await keeping
