"""A process that dies at a chosen effect on NATS or on the cluster: those before it took place, nothing comes after.

To die right after an effect, with its answer or without, is to die before the next one: nothing of these processes
outlives them but their effects.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from runtime.health import Dependency
from runtime.nats_connection import Connection
from runtime.nats_requests import Reply
from tests.fakes.cluster import FakeCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from runtime.ports import Object, Resource

_API = "$JS.API."
_CHANGE = ("STREAM.CREATE.", "STREAM.UPDATE.", "STREAM.DELETE.", "CONSUMER.CREATE.")
_READING = "-reading-"
SECONDS = 30.0


class DiedError(BaseException):
    """The process is gone; no handler of the product may see that."""


class Life:
    """Of one process: dies in place of the effect after so many; never, without a number."""

    def __init__(self, effects: int | None = None) -> None:
        self._most = effects
        self._stops: tuple[int, Callable[[], Awaitable[object]]] | None = None
        self.done: list[str] = []
        self.not_yet = ""
        """An effect that the server is not able to carry out the first time."""

    def stand_still(self, effects: int, others: Callable[[], Awaitable[object]]) -> None:
        """After so many effects on NATS, let others do something before the next."""
        self._stops = effects, others

    async def others(self) -> None:
        """Let them, when it is time."""
        if self._stops is not None and len(self.done) == self._stops[0]:
            others, self._stops = self._stops[1], None
            await others()

    def effect(self, name: str) -> None:
        """An effect is about to take place. Raises DiedError."""
        if len(self.done) == self._most:
            raise DiedError
        self.done.append(name)


class MortalConnection(Connection):
    """A connection of such a process."""

    def __init__(self, url: str, user: str, life: Life) -> None:
        super().__init__(url, user, Dependency("nats"), structlog.get_logger())
        self._life = life

    async def request(self, subject: str, data: bytes, *, headers: bytes = b"", seconds: float = 30.0) -> Reply:
        """See `Connection.request`; with more patience, since no answer may be taken for a death."""
        call = subject.removeprefix(_API)
        if call == subject or (call.startswith(_CHANGE) and _READING not in call):
            await self._life.others()
            self._life.effect(call)
            if call == self._life.not_yet:
                self._life.not_yet = ""
                return Reply(b"", b'{"error":{"code":500,"err_code":10049,"description":"not able to now"}}')
        return await super().request(subject, data, headers=headers, seconds=max(seconds, SECONDS))


class MortalCluster(FakeCluster):
    """A cluster as such a process sees it; the next process is another `life`."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life()

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """See `FakeCluster.replace_status`."""
        self.life.effect(f"status of {name}")
        return await super().replace_status(resource, namespace, name, body)


@asynccontextmanager
async def a_process(url: str, user: str, life: Life) -> AsyncIterator[MortalConnection]:
    """Connect as such a process."""
    connection = MortalConnection(url, user, life)
    keeping = asyncio.create_task(connection.keep())
    try:
        await asyncio.wait_for(connection.wait(), SECONDS)
        yield connection
    finally:
        await connection.close()
        await keeping
