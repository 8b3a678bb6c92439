"""A standing pull request on a durable consumer: messages come one by one, never more than there is room for.

Not nats-py's `fetch`: it goes deaf after a restart of the server (nats.py#504) and costs more latency and CPU. Must
never create a consumer, and never count on one message of the server to arrive: silence has a limit everywhere.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from runtime import metrics
from runtime.backoff import Backoff
from runtime.nats_delivery import NatsDelivery
from runtime.nats_headers import from_block, status_of
from runtime.nats_stored import parse_ack_subject
from runtime.ports import Stored

if TYPE_CHECKING:
    from collections.abc import Callable

    import structlog

    from runtime.nats_connection import Connection
    from schemas.subjects import Consumer

_EXPIRES_SECONDS: Final = 3
"""How long a pull request stands. A process that stands still (SIGSTOP, a stalled machine) is given messages until
then, and each is in nobody's hands for `ack_wait`, again and again while it stands: it must not stand for long."""
_HEARTBEAT_SECONDS: Final = 1
_SILENT_SECONDS: Final = 7.5
"""Neither a heartbeat nor the end of the request for so long: it is lost, whatever the connection says."""
_TICK_SECONDS: Final = 0.5
_FAILURES: Final = 3
"""Pull requests that came to nothing, in a row, after which the service is not ready."""
_PART: Final = 8
"""More is asked for once an eighth of the places is free: one request for many messages, without running dry."""
_NANOSECONDS: Final = 1_000_000_000
_BYTES: Final = 16 * 1024 * 1024
"""Bytes of bodies in hand above which no more is fetched, whatever places are free: memory stays bounded."""
_OVERHEAD: Final = 4096
"""Subjects, which count too."""
_DONE: Final = ("Batch Completed", "Message Size Exceeds MaxBytes")
_HEARTBEAT, _NO_MESSAGES, _EXPIRED, _ENDED, _NOBODY = 100, 404, 408, 409, 503


class Puller:
    """Fetches for one consumer of this process."""

    def __init__(
        self,
        connection: Connection,
        consumer: Consumer,
        in_hand: int,
        log: structlog.typing.FilteringBoundLogger,
        *,
        may_pull: Callable[[], bool] = lambda: True,
        older: Callable[[], int] = lambda: 0,
    ) -> None:
        """`in_hand`: how many messages may be out and not ended; `may_pull`: whether any may be fetched now.

        `older`: the last sequence of which the server may have forgotten that somebody was given it.
        """
        self._connection = connection
        self._consumer = consumer
        self._places = in_hand
        self._log = log
        self._may_pull = may_pull
        self._older = older
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.name}"
        self._inbox = ""
        """Of the pull requests that count. Each new start has its own: the server drops those of a silent inbox."""
        self._fetched: deque[NatsDelivery] = deque()
        self._open: set[NatsDelivery] = set()
        self._asked = 0
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._stopped = False
        self._heard = 0.0
        self.trouble = ""
        """Why no messages come, for readiness; empty when all is well."""
        self._failures = 0
        self._backoff = Backoff(first=0.05, most=2.0)
        self._pulling_later: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._soon = False
        self._loop = asyncio.get_running_loop()
        name = consumer.name
        self._lag = metrics.CONSUMER_LAG.labels(name)
        self._age = metrics.CONSUMER_AGE.labels(name)
        self._held = metrics.CONSUMER_IN_HAND.labels(name)
        self._redelivered = metrics.REDELIVERIES.labels(name)

    def start(self) -> None:
        """Begin to pull."""
        self._ticking = self._loop.call_later(_TICK_SECONDS, self._tick)
        self._anew()

    def stop(self) -> None:
        """Pull no more and give back what was fetched and not handed out. What is handed out is kept alive further."""
        self._stopped = True
        if self._pulling_later is not None:
            self._pulling_later.cancel()
        self._connection.unlisten(self._inbox)
        while self._fetched:
            self._fetched.popleft().give_back()
        self._held.set(len(self._open))

    def hold(self) -> None:
        """Take back every pull request that is out, and give back what was fetched and not handed out."""
        self._connection.unlisten(self._inbox)
        self._asked = 0
        while self._fetched:
            self._fetched.popleft().give_back()

    def resume(self) -> None:
        """Pull again after `hold`, or after a time in which it was not allowed to."""
        if not self._stopped:
            self._anew()

    async def next(self) -> NatsDelivery:
        """Return the next message; waits as long as it takes."""
        while True:
            while not self._fetched:
                self._arrived.clear()
                await self._arrived.wait()
            delivery = self._fetched.popleft()
            if not delivery.expired(self._loop.time()):
                return delivery
            delivery.forget()  # it waited too long here, and the server gives it out anew

    def ended(self, delivery: NatsDelivery) -> None:
        """Take in that a delivery ended: its place is free."""
        if delivery in self._open:  # not so for what came after the end and was given back at once
            self._open.discard(delivery)
            self._bytes -= len(delivery.message.data)
        self._pull_soon()

    def _pull_soon(self) -> None:
        # Once a turn of the loop, however many messages ended in it.
        if not self._soon and not self._stopped:
            self._soon = True
            self._loop.call_soon(self._pull)

    def _pull(self) -> None:
        self._soon = False
        if self._stopped or self._pulling_later is not None or not self._may_pull():
            return
        free = self._places - len(self._open) - self._asked
        if free < max(1, self._places // _PART) or self._bytes >= _BYTES:
            return
        request = msgspec.json.encode(
            {
                "batch": free,
                "max_bytes": max(_BYTES - self._bytes, self._connection.max_payload + _OVERHEAD),
                "expires": _EXPIRES_SECONDS * _NANOSECONDS,
                "idle_heartbeat": _HEARTBEAT_SECONDS * _NANOSECONDS,
            }
        )
        # Not connected: `_anew` asks as soon as there is a connection.
        if self._connection.send(self._subject, request, reply=self._inbox):
            self._asked += free

    def _anew(self) -> None:
        """Give up all pull requests that are out, if any, and ask anew."""
        self._connection.unlisten(self._inbox)
        self._inbox = self._connection.new_inbox()
        self._connection.listen(self._inbox, self._take, self._anew)
        self._asked = 0
        self._heard = self._loop.time()
        if self._pulling_later is not None:
            self._pulling_later.cancel()
            self._pulling_later = None
        self._pull_soon()

    def _take(self, subject: str, reply: str, headers: bytes, data: bytes) -> None:
        self._heard = self._loop.time()
        if not reply.startswith("$JS.ACK."):
            if not self._stopped:
                self._status(subject, headers)
            return
        told = parse_ack_subject(reply)
        message = Stored(
            stream=told.stream,
            sequence=told.sequence,
            time_ms=told.time_ms,
            subject=subject,
            headers=from_block(headers) if headers else {},
            data=data,
        )
        again = told.deliveries > 1 or told.sequence <= self._older()
        delivery = NatsDelivery(message, reply, again=again, connection=self._connection, puller=self, now=self._heard)
        if self._stopped:
            delivery.give_back()
            return
        self._open.add(delivery)
        self._bytes += len(data)
        self._asked = max(0, self._asked - 1)
        self._fetched.append(delivery)
        self._arrived.set()
        self._well()
        self._lag.set(told.pending)
        self._age.set(metrics.age_seconds(told.time_ms))
        self._held.set(len(self._open))
        if told.deliveries > 1:
            self._redelivered.inc()
        if self._asked < self._places:
            self._pull_soon()

    def _status(self, subject: str, headers: bytes) -> None:
        if subject != self._inbox:
            return
        status, what = status_of(headers)
        if status == _HEARTBEAT:
            self._well()
        elif status in (_NO_MESSAGES, _EXPIRED) or (status == _ENDED and what in _DONE):
            self._well()
            self._asked = max(0, self._asked - int(from_block(headers).get("Nats-Pending-Messages", "0")))
            self._pull_soon()
        else:
            self._refused(status, what)

    def _refused(self, status: int, what: str) -> None:
        if status == _NOBODY:
            self._failed("nobody", "nobody answers; if it does not exist, python -m kubernaut.install makes it")
        else:
            self._failed("refused", f"{status} {what}")

    def _failed(self, kind: str, reason: str) -> None:
        self._failures += 1
        if self._failures == _FAILURES:
            self.trouble = f"consumer {self._consumer.name} of stream {self._consumer.stream}: {reason}"
            self._log.warning("consumer_unavailable", consumer=self._consumer.name, reason=reason)
        metrics.CONSUMER_RESTARTS.labels(self._consumer.name, kind).inc()
        self._anew()
        self._pulling_later = self._loop.call_later(self._backoff.next(), self._anew)

    def _well(self) -> None:
        if self._failures:
            if self.trouble:
                self._log.info("consumer_available", consumer=self._consumer.name)
            self.trouble = ""
            self._failures = 0
            self._backoff.reset()

    def _tick(self) -> None:
        """Twice a second: keep alive what is in hand, and ask anew when the server is silent."""
        now = self._loop.time()
        for delivery in self._open:
            delivery.keep_alive(now, self._consumer.ack_wait_seconds / 3)
        waits = self._asked > 0 and self._connection.connected and self._pulling_later is None
        if waits and not self._stopped and now - self._heard > _SILENT_SECONDS:
            self._failed("silent", f"no answer for {_SILENT_SECONDS} s")
        if not self._stopped or self._open:
            self._ticking = self._loop.call_later(_TICK_SECONDS, self._tick)
