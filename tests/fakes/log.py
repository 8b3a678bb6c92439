"""The port `Log` in memory. Several of them on one `Broker` are several processes; `crash` is kill -9 of one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from runtime.errors import UnavailableError
from schemas.subjects import LOG
from tests.fakes.broker import Broker, Out, Puller
from tests.fakes.clock import Clock, LoopClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runtime.ports import Delivery, Published, Stored
    from schemas.cloudevents import Event
    from schemas.subjects import Consumer
    from tests.fakes.broker import Durable


class FakeDelivery:
    """A `Delivery`."""

    def __init__(self, log: FakeLog, durable: Durable, out: Out, puller: Puller) -> None:
        self._log = log
        self._durable = durable
        self._out = out
        self._puller = puller
        self._ended = False
        self.message = out.message
        self.again = out.deliveries > 1 or self.message.sequence <= log.older(self.message.stream)

    async def ack(self) -> None:
        """See `Delivery.ack`."""
        if self._end():
            if self._log.lose_acks > 0:
                self._log.lose_acks -= 1
                self._log.broker.give_back(self._durable, self._out, self._durable.consumer.ack_wait_seconds)
            else:
                self._log.acked.append(self.message.sequence)
                self._log.broker.done(self._durable, self._out)

    async def nak(self, delay: float = 0.0) -> None:
        """See `Delivery.nak`."""
        if self._end():
            self._log.broker.give_back(self._durable, self._out, delay)

    async def term(self) -> None:
        """See `Delivery.term`."""
        if self._end():
            self._log.terminated.append(self.message.sequence)
            self._log.broker.done(self._durable, self._out)

    def _end(self) -> bool:
        if self._ended or self._log.crashed:
            return False
        self._ended = True
        self._puller.open.discard(self.message.sequence)
        return True


class FakeLog:
    """A `Log` of one process. Faults are switched on by its attributes."""

    def __init__(self, broker: Broker | None = None, *, clock: Clock | None = None) -> None:
        self.broker = broker or Broker(clock or LoopClock())
        self.crashed = False
        self.unavailable = False
        """Everything that is asked raises UnavailableError; nothing takes effect."""
        self.lose_answers = 0
        """The next so many publishes take effect and raise UnavailableError."""
        self.lose_acks = 0
        """The next so many acks get lost."""
        self.acked: list[int] = []
        self.terminated: list[int] = []
        self._pullers: list[tuple[Durable, Puller]] = []
        self._older = self.broker.ends()

    def older(self, stream: str) -> int:
        """Where the stream ended when this process connected, to the server as it is now."""
        return max(self._older.get(stream, 0), self.broker.older.get(stream, 0))

    def stored(self, pattern: str = ">", stream: str = LOG.name) -> list[Stored]:
        """What the stream holds of a filter, for a test to look at."""
        return self.broker.stored(stream, pattern)

    def crash(self) -> None:
        """Die: what was in hand comes again to others after the consumer's ack_wait; calls of this one do nothing."""
        self.crashed = True
        for durable, puller in self._pullers:
            puller.alive = False
            puller.fetched.clear()
            for out in tuple(durable.out.values()):
                if out.puller is puller:
                    self.broker.give_back(durable, out, durable.consumer.ack_wait_seconds)

    def froze(self) -> None:
        """Fall silent, as by SIGSTOP: what is in hand comes to others after ack_wait, and here again afterwards."""
        for durable, puller in self._pullers:
            puller.keeps = False
            for out in tuple(durable.out.values()):
                if out.puller is puller:
                    self.broker.give_back(durable, out, durable.consumer.ack_wait_seconds)

    def thawed(self) -> None:
        """Go on after `froze`."""
        for _, puller in self._pullers:
            puller.keeps = True

    async def publish(self, event: Event, *, expect: int | None = None, expect_filter: str | None = None) -> Published:
        """See `Log.publish`."""
        await self._turn()
        published = self.broker.store(event, expect, expect_filter)
        if self.lose_answers > 0:
            self.lose_answers -= 1
            raise UnavailableError(f"no answer to {event.id}; whether it was stored is unknown")
        return published

    async def schedule(self, event: Event, *, at_ms: int, target: str) -> None:
        """See `Log.schedule`."""
        await self._turn()
        self.broker.schedule(event, at_ms, target)
        if self.lose_answers > 0:
            self.lose_answers -= 1
            raise UnavailableError(f"no answer to {event.id}; whether it was stored is unknown")

    async def now(self) -> int:
        """See `Log.now`."""
        await self._turn()
        return int(self.broker.clock.now() * 1000)

    async def last(self, stream: str, subject: str) -> Stored | None:
        """See `Log.last`."""
        await self._turn()
        return self.broker.newest(stream, subject)

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """See `Log.get`."""
        await self._turn()
        messages = self.broker.streams.get(stream, [])
        return messages[sequence - 1] if 0 < sequence <= len(messages) else None

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
        await self._turn()
        matching = self.broker.stored(stream, subject)
        newest = {message.subject: message.sequence for message in matching}
        for message in matching:
            if message.sequence >= start and (not last_per_subject or newest[message.subject] == message.sequence):
                yield msgspec.structs.replace(message, data=b"") if headers_only else message

    async def acknowledged(self, consumer: Consumer) -> int:
        """See `Log.acknowledged`."""
        await self._turn()
        return self.broker.acknowledged(consumer)

    async def consume(self, consumer: Consumer, *, in_hand: int) -> AsyncGenerator[Delivery, None]:
        """See `Log.consume`."""
        durable = self.broker.durable(consumer)
        puller = Puller(in_hand)
        arrived = asyncio.Event()
        puller.wake = arrived.set
        durable.pullers.append(puller)
        self._pullers.append((durable, puller))
        self.broker.pump(durable)
        try:
            while True:
                while not puller.fetched:
                    arrived.clear()
                    await arrived.wait()
                yield FakeDelivery(self, durable, self._next(puller), puller)
        finally:
            self._stop(durable, puller)

    def _next(self, puller: Puller) -> Out:
        """Which of the fetched messages is handed out next."""
        return puller.fetched.popleft()

    def _stop(self, durable: Durable, puller: Puller) -> None:
        puller.alive = False
        durable.pullers.remove(puller)
        while puller.fetched:
            out = puller.fetched.popleft()
            puller.open.discard(out.message.sequence)
            self.broker.give_back(durable, out, 0.0)

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        if self.unavailable or self.crashed or not self.broker.up:
            raise UnavailableError("the fake log is switched off")
