"""The port `Log` on JetStream: one object a process, over one connection. Must never create anything on the server."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from runtime import failpoints
from runtime.errors import KubernautError, NotFoundError, UnavailableError
from runtime.nats_connection import SILENT_SECONDS, Connection
from runtime.nats_consumer import ConsumerConfig, consumer_fault
from runtime.nats_continuity import Continuity
from runtime.nats_ends import Ends
from runtime.nats_headers import status_of
from runtime.nats_leader import end_of, info_of, message_of
from runtime.nats_publish import Publisher
from runtime.nats_pull import Puller
from runtime.nats_scan import scan
from runtime.nats_stored import from_direct, milliseconds
from runtime.subject_match import stream_of
from schemas.subjects import AUDITOR, STREAMS, TIMER_STREAM

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    import structlog

    from runtime.health import Dependency
    from runtime.nats_delivery import NatsDelivery
    from runtime.nats_leader import StreamInfo
    from runtime.ports import Delivery, Published, Stored
    from schemas.cloudevents import Event
    from schemas.subjects import Consumer

_PULSE_SECONDS: Final = 5.0
_VERIFY_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 1.0
"""After which a message comes again that may not be stored."""
_NOT_THERE: Final = 404


class _Point(msgspec.Struct):
    stream_seq: int = 0


class _ConsumerInfo(msgspec.Struct):
    delivered: _Point
    ack_floor: _Point
    num_ack_pending: int = 0
    config: ConsumerConfig = ConsumerConfig()


_CONSUMERS: Final = msgspec.json.Decoder(_ConsumerInfo)


class NatsLog:
    """The event log on NATS. `keep` must run for as long as it is used."""

    def __init__(
        self,
        url: str,
        name: str,
        health: Dependency,
        log: structlog.typing.FilteringBoundLogger,
        *,
        silence: float = SILENT_SECONDS,
        remembers: bool = True,
    ) -> None:
        """`url`: see `nats_address`; `name`: of the user; `silence`: of a dead connection, in seconds.

        `remembers`: whether it writes down for others what it saw of the streams, as the services do.
        """
        self._connection = Connection(url, name, health, log, silence=silence)
        self.continuity = Continuity(self._connection, name, log, self._opened_or_closed, remembers=remembers)
        # First of all that a new connection begins: nothing is fetched before it was looked at.
        self._connection.listen(self._connection.new_inbox(), _ignored, self._connected_anew)
        self._publisher = Publisher(self._connection, self._from_leader, lambda: self.continuity.closed)
        self._health = health
        self._log = log
        self._direct: dict[str, bool] = {}
        self._ends = Ends(partial(end_of, self._connection))
        self._doubted = ""
        self._connects = 0
        self._older: dict[str, int] = {}
        """Where each stream ended when this process connected. A server alone forgets with its life how often it gave
        out what; of several, each writes that down before it gives it out (nats-server 2.15, replicateDeliveries)."""
        self._older_at = 0
        self._consumers: tuple[Consumer, ...] = ()
        self._pullers: set[Puller] = set()
        self._wake = asyncio.Event()
        self._verified = asyncio.Event()

    async def keep(self) -> None:
        """Keep it connected, look after streams and consumers, and tell how it is, until `close`."""
        async with asyncio.TaskGroup() as group:
            pulse = group.create_task(self._pulse())
            await self._connection.keep()
            pulse.cancel()

    async def close(self) -> None:
        """Send what is left to send and end the connection; `keep` then returns."""
        await self._connection.close()

    async def verified(self, consumers: Iterable[Consumer] = ()) -> None:
        """Return once it is connected and the streams and these consumers are there; waits as long as it takes."""
        self._consumers = (*self._consumers, *consumers)
        self._verified.clear()
        await self._verified.wait()

    async def publish(self, event: Event, *, expect: int | None = None, expect_filter: str | None = None) -> Published:
        """See `Log.publish`."""
        published = await self._publisher.publish(event, expect, expect_filter)
        stream = stream_of(event.subject)
        self.continuity.saw(stream, published.sequence)
        self._ends.saw(stream, published.sequence)
        return published

    async def schedule(self, event: Event, *, at_ms: int, target: str) -> None:
        """See `Log.schedule`."""
        await self._publisher.schedule(event, at_ms, target)

    async def now(self) -> int:
        """See `Log.now`."""
        return milliseconds((await info_of(self._connection, TIMER_STREAM.name)).ts)

    async def last(self, stream: str, subject: str) -> Stored | None:
        """See `Log.last`."""
        await self.continuity.opened()
        if self._direct.get(stream):
            return await self._directly(stream, {"last_by_subj": subject})
        return await self._from_leader(stream, subject)

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """See `Log.get`."""
        await self.continuity.opened()
        if self._direct.get(stream):
            return await self._directly(stream, {"seq": sequence})
        return await self._by_api(stream, {"seq": sequence})

    async def scan(
        self,
        stream: str,
        subject: str,
        *,
        last_per_subject: bool = False,
        start: int = 1,
        headers_only: bool = False,
    ) -> AsyncGenerator[Stored, None]:
        """See `Log.scan`."""
        await self.continuity.opened()
        found = scan(
            self._connection,
            stream,
            subject,
            last_per_subject=last_per_subject,
            start=start,
            headers_only=headers_only,
        )
        async with contextlib.aclosing(found):
            async for stored in found:
                yield await self._ends.stored(stream, stored)

    async def acknowledged(self, consumer: Consumer) -> int:
        """See `Log.acknowledged`.

        The server's own floor lags: it knows nothing of what the filters leave out. `num_pending` would tell, but is
        counted a moment after a message was stored, so the newest message of each filter is looked at instead.
        """
        last = await end_of(self._connection, consumer.stream)
        newest = [await self._from_leader(consumer.stream, subject) for subject in consumer.filters or (">",)]
        info = _CONSUMERS.decode(await self._connection.api(f"CONSUMER.INFO.{consumer.stream}.{consumer.name}"))
        done = info.delivered.stream_seq
        if info.num_ack_pending:
            done = info.ack_floor.stream_seq
        elif all(message is None or message.sequence <= done for message in newest):
            done = max(last, done)
        # What was acknowledged and is gone from the audit since is not done.
        gap = self.continuity.gap
        return min(done, gap.held) if consumer.name == AUDITOR.name and gap.expected else done

    async def consume(self, consumer: Consumer, *, in_hand: int) -> AsyncGenerator[Delivery, None]:
        """See `Log.consume`."""
        puller = Puller(
            self._connection,
            consumer,
            in_hand,
            self._log,
            may_pull=lambda: not self.continuity.closed,
            older=lambda: self._older.get(consumer.stream, 0),
        )
        self._pullers.add(puller)
        puller.start()
        points = failpoints.armed()
        try:
            while True:
                delivery = await puller.next()
                if await self._is_stored(delivery):
                    self.continuity.saw(consumer.stream, delivery.message.sequence)
                    yield delivery if points is None else points.deliver(consumer.name, delivery)
        finally:
            puller.stop()
            self._pullers.discard(puller)

    async def _is_stored(self, delivery: NatsDelivery) -> bool:
        """Whether what the server delivers is there to stay; what may not be is given back, and comes again.

        The question must leave over the connection that brought the message: a server that was started again may hold
        another one there.
        """
        try:
            await self._ends.stored(delivery.message.stream, delivery.message)
        except KubernautError as error:
            if self._doubted != (reason := str(error)):
                self._doubted = reason
                self._log.warning("delivery_refused", reason=reason)
            await delivery.nak(_AGAIN_SECONDS)
            return False
        except asyncio.CancelledError:
            delivery.give_back()
            raise
        return True

    async def _from_leader(self, stream: str, subject: str) -> Stored | None:
        return await self._by_api(stream, {"last_by_subj": subject})

    async def _by_api(self, stream: str, wanted: dict[str, str | int]) -> Stored | None:
        found = await message_of(self._connection, stream, wanted)
        return None if found is None else await self._ends.stored(stream, found)

    async def _directly(self, stream: str, wanted: dict[str, str | int]) -> Stored | None:
        """Read without base64 and without the API's queue.

        Any replica answers a direct get, and may lag. So it is used only where the stream has one: then that one is
        the leader and there is no other answer.
        """
        subject = f"$JS.API.DIRECT.GET.{stream}"
        reply = await self._connection.request(subject, msgspec.json.encode(wanted))
        status, what = status_of(reply.headers)
        if status == _NOT_THERE:
            return None
        if status:
            raise UnavailableError(f"JetStream answered {subject} with {status} {what}")
        return await self._ends.stored(stream, from_direct(stream, reply.headers, reply.data))

    def _connected_anew(self) -> None:
        self._connects += 1
        self.continuity.unsure()
        self._wake.set()

    def _opened_or_closed(self) -> None:
        for puller in self._pullers:
            if self.continuity.closed:
                puller.hold()
            else:
                puller.resume()

    async def _pulse(self) -> None:
        while True:
            await self._connection.wait()
            self._wake.clear()
            try:
                await self._look()
            except KubernautError as error:
                self._health.failed(str(error))
                self._direct.clear()
            else:
                self._health.ok()
                self._verified.set()
            with contextlib.suppress(TimeoutError):
                wait = _PULSE_SECONDS if self._verified.is_set() else _VERIFY_SECONDS
                await asyncio.wait_for(self._wake.wait(), wait)

    async def _look(self) -> None:
        """Look whether what services need is there, and is what it was.

        Raises NotFoundError that says what to do, StorageRegressedError, RefusedError, or UnavailableError.
        """
        connects = self._connects
        before = await self.continuity.recollect()
        infos = {stream.name: await self._info(stream.name) for stream in STREAMS}
        try:
            await self.continuity.judge(before, {name: info.seen for name, info in infos.items()})
        except UnavailableError as error:  # what was seen cannot be noted; the streams that people know say more
            told = self._publisher.refusals.told(asyncio.get_running_loop().time())
            raise UnavailableError(f"{told}; {error}" if told else str(error)) from error
        if self._older_at != connects:
            self._older_at, self._older = connects, {name: info.seen.last for name, info in infos.items()}
        for name, info in infos.items():
            self._direct[name] = info.config.allow_direct and info.config.num_replicas == 1
        for consumer in self._consumers:
            await self._look_at(consumer)
        for puller in self._pullers:
            if puller.trouble:
                raise UnavailableError(puller.trouble)
        if told := self._publisher.refusals.told(asyncio.get_running_loop().time()):
            raise UnavailableError(told)

    async def _info(self, stream: str) -> StreamInfo:
        try:
            return await info_of(self._connection, stream)
        except NotFoundError as error:
            raise NotFoundError(f"stream {stream} does not exist; run python -m kubernaut.install") from error

    async def _look_at(self, consumer: Consumer) -> None:
        about = f"consumer {consumer.name} of stream {consumer.stream}"
        try:
            answer = await self._connection.api(f"CONSUMER.INFO.{consumer.stream}.{consumer.name}")
        except NotFoundError as error:
            raise NotFoundError(f"{about} does not exist; run python -m kubernaut.install") from error
        if wrong := consumer_fault(_CONSUMERS.decode(answer).config, consumer):
            raise UnavailableError(f"{about} was changed: {wrong}; run python -m kubernaut.install")


def _ignored(_subject: str, _reply: str, _headers: bytes, _data: bytes) -> None:
    """Nobody writes to that inbox; it is there for what begins with each connection."""
