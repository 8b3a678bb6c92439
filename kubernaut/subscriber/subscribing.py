"""`subscribe`: the public events, in order, by a durable consumer of the caller's own, for ever.

Must never need more than the right to make and read that one consumer, and never let a message stop it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, Final

import msgspec
import structlog

from kubernaut.subscriber.events import Gap, Item, position, read
from kubernaut.subscriber.ordinals import Ordinals
from kubernaut.subscriber.wanted import Start, Wanted, consumer_config, wanted
from runtime.errors import KubernautError, NotFoundError, UnavailableError
from runtime.health import Dependency
from runtime.nats_connection import Connection
from runtime.nats_delivery import NatsDelivery
from runtime.nats_pull import Puller

CONNECT_SECONDS: Final = 10.0
_MEND_SECONDS: Final = 1.0
_UPDATED: Final = ("filter_subjects", "ack_wait", "max_ack_pending")
"""What a durable that exists is brought up to; where it stands, and where it began, stay."""


class _State(msgspec.Struct):
    first_seq: int = 0


class _Stream(msgspec.Struct):
    state: _State


async def subscribe(
    url: str,
    *,
    durable: str,
    subjects: Iterable[str] = (),
    namespace: str | None = None,
    workflow: str | None = None,
    start: Start = "beginning",
    repeats: bool = False,
    options: Mapping[str, Any] | None = None,
) -> AsyncGenerator[Item, None]:
    """Yield the public events of kubernaut-workflow in order, and go on with new ones for ever.

    `url`: addresses of NATS, separated by commas; `durable`: name of the place where it goes on after a restart, one
    running program a name; `subjects`: such as `["workflow.failed", "step.*"]`, all by default; `workflow`: uid or
    name; `start`: where a new durable begins: "beginning", "new", a sequence, or a datetime; `repeats`: show events
    that come again; `options`: further arguments of `nats.connect`, such as `user_credentials` or `tls`.

    An event is acknowledged when the next one is asked for, or before by `await event.ack()`; one that was in hand
    when the program ended comes again. So what an event makes happen must bear to happen twice: remember `event.id`.

    Raises ValueError for what makes no sense, UnavailableError when there is no connection in 10 s or the consumer
    cannot be made. After that it waits for the server as long as it takes.
    """
    one = wanted(durable, subjects, namespace, workflow)
    consumer_config(one, start)
    health = Dependency("nats")
    connection = Connection(url, durable, health, _logger(), options=options)
    keeping = asyncio.create_task(connection.keep())
    subscription = _Subscription(connection, one, start)
    try:
        await _connected(connection, health, keeping)
        async with contextlib.aclosing(subscription.items(keeping, repeats=repeats)) as items:
            async for item in items:
                yield item
    finally:
        subscription.stop()
        await connection.close()
        keeping.cancel()
        await asyncio.wait({keeping})


async def _connected(connection: Connection, health: Dependency, keeping: asyncio.Task[None]) -> None:
    connecting = asyncio.create_task(connection.wait())
    await asyncio.wait({connecting, keeping}, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if not connecting.done():
        connecting.cancel()
        raise UnavailableError(f"no connection to NATS in {CONNECT_SECONDS:g} s: {health.detail}")


class _Subscription:
    def __init__(self, connection: Connection, one: Wanted, start: Start) -> None:
        self._connection = connection
        self._wanted = one
        self._start = start
        self._puller = Puller(connection, one.consumer, 1, _logger())
        self._mending: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Take no more; what is in hand and not acknowledged comes again."""
        if self._mending is not None:
            self._mending.cancel()
        self._puller.stop()

    async def items(self, keeping: asyncio.Task[None], *, repeats: bool) -> AsyncGenerator[Item, None]:
        """Yield what comes, until the connection's own task breaks."""
        found = await self._ensure()
        ordinals = Ordinals(whole=self._wanted.whole, from_first=found is None and self._start == "beginning")
        if found is not None and (gap := await self._lost(found)) is not None:
            yield gap
        self._puller.start()
        self._mending = asyncio.create_task(self._mend())
        while True:
            coming = asyncio.create_task(self._puller.next())
            try:
                await asyncio.wait({coming, keeping, self._mending}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
            if not coming.done():
                for ended in (keeping, self._mending):
                    if ended.done():
                        ended.result()
                raise UnavailableError("the connection to NATS was closed")
            delivery = coming.result()
            self._start = delivery.message.sequence + 1
            try:
                for item in self._taken(delivery, ordinals, repeats=repeats):
                    yield item
                await delivery.ack()
            finally:
                await delivery.nak()  # the caller ended in the middle; it comes again at once

    def _taken(self, delivery: NatsDelivery, ordinals: Ordinals, *, repeats: bool) -> list[Item]:
        """Return what a message is to the subscriber: nothing, an item, or a gap and the item."""
        where = position(delivery.message)
        found = ordinals.take(*where) if where is not None else "new"
        item = read(delivery.message, delivery, repeated=found == "repeated")
        name = getattr(item, "workflow", None)
        if (found == "repeated" and not repeats) or (self._wanted.name and name != self._wanted.name):
            return []
        if where is not None and isinstance(found, tuple):
            return [Gap(workflow_uid=where[0], ordinals=found), item]
        return [item]

    async def _ensure(self) -> dict[str, Any] | None:
        """Make the durable, or bring it up to date; return what it was before, None when it is new."""
        stream, name = self._wanted.consumer.stream, self._wanted.consumer.name
        config = consumer_config(self._wanted, self._start)
        subject = f"CONSUMER.CREATE.{stream}.{name}"
        try:
            found: dict[str, Any] = msgspec.json.decode(await self._connection.api(f"CONSUMER.INFO.{stream}.{name}"))
        except NotFoundError:
            await self._connection.api(subject, {"stream_name": stream, "config": config, "action": "create"})
            return None
        there = found["config"]
        filters = there.get("filter_subjects") or [there.get("filter_subject", "")]
        changed = {key: config[key] for key in _UPDATED if there.get(key) != config[key]}
        if sorted(filters) == sorted(config["filter_subjects"]):
            changed.pop("filter_subjects", None)
        if changed:
            there = {key: value for key, value in there.items() if key != "filter_subject"}
            body = {"filter_subjects": filters} | there | changed
            await self._connection.api(subject, {"stream_name": stream, "config": body, "action": "update"})
        return found

    async def _lost(self, found: dict[str, Any]) -> Gap | None:
        """Whether retention took events that the durable had not been given yet."""
        stream = self._wanted.consumer.stream
        first = msgspec.json.decode(await self._connection.api(f"STREAM.INFO.{stream}"), type=_Stream).state.first_seq
        floor = found.get("ack_floor", {}).get("stream_seq", 0)
        if not floor or first <= floor + 1:
            return None
        return Gap(sequences=(floor + 1, first - 1), certain=self._wanted.whole and not self._wanted.name)

    async def _mend(self) -> None:
        """Make the durable anew, from where this program is, when somebody deleted it."""
        while True:
            await asyncio.sleep(_MEND_SECONDS)
            if self._puller.trouble:
                with contextlib.suppress(KubernautError):
                    await self._ensure()


def _logger() -> structlog.typing.FilteringBoundLogger:
    """Trouble goes where the program's own logging goes, under the name `kubernaut.subscriber`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        logging.getLogger("kubernaut.subscriber"),
        processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return logger
