"""What the benchmark asks NATS: how much is on the log, whether all consumers are through, and to store messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import nats
from nats.aio.client import Client

from runtime.errors import UnavailableError
from schemas import subjects
from schemas.cloudevents import Event, to_headers

_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.2
_IN_FLIGHT: Final = 256


class Backlog(msgspec.Struct, frozen=True):
    """What a consumer still has before it."""

    waiting: int
    """Messages that were never delivered."""
    in_hand: int
    """Messages that were delivered and not acknowledged."""

    @property
    def empty(self) -> bool:
        """Whether it is through."""
        return not self.waiting and not self.in_hand


class Size(msgspec.Struct, frozen=True):
    """How much a stream holds."""

    messages: int
    bytes: int

    def __sub__(self, before: Size) -> Size:
        """Return what came since `before`."""
        return Size(self.messages - before.messages, self.bytes - before.bytes)


class Bus:
    """A connection to NATS, beside those of the services. Close it at the end."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def size(self, stream: str = subjects.LOG.name) -> Size:
        """Return how much a stream holds."""
        state = (await self._ask(f"STREAM.INFO.{stream}"))["state"]
        return Size(state["messages"], state["bytes"])

    async def backlog(self, consumer: subjects.Consumer) -> Backlog:
        """Return what a consumer still has before it."""
        info = await self._ask(f"CONSUMER.INFO.{consumer.stream}.{consumer.name}")
        return Backlog(info["num_pending"], info["num_ack_pending"])

    async def through(self, consumers: Iterable[subjects.Consumer], *, seconds: float) -> None:
        """Return once all of them are through all that is on the log; UnavailableError when the time is up."""
        backlogs: dict[str, Backlog] = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    backlogs = {consumer.name: await self.backlog(consumer) for consumer in consumers}
                    if all(backlog.empty for backlog in backlogs.values()):
                        return
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            waiting = ", ".join(f"{name}: {backlog}" for name, backlog in backlogs.items() if not backlog.empty)
            raise UnavailableError(f"not through the log after {seconds:g} s: {waiting}") from None

    async def store(self, events: Iterable[Event]) -> None:
        """Store events, many at a time, in any order."""
        stream = self._client.jetstream(timeout=_SECONDS, publish_async_max_pending=_IN_FLIGHT)
        for event in events:
            await stream.publish_async(event.subject, event.data, headers=to_headers(event))
        await stream.publish_async_completed()

    async def _ask(self, what: str) -> dict[str, Any]:
        answer = await self._client.request(f"$JS.API.{what}", b"", timeout=_SECONDS)
        found: dict[str, Any] = msgspec.json.decode(answer.data)
        if "error" in found:
            raise UnavailableError(f"NATS answered {what} with {found['error']}")
        return found


async def connect(url: str) -> Bus:
    """Connect to NATS."""
    return Bus(await nats.connect(url, name="benchmarks"))
