"""Reading everything that is stored now, in order, by an ephemeral consumer that acknowledges nothing.

A consumer and not batches of direct gets: it is made by the leader, so that on a stream with replicas nothing that was
acknowledged is missed, it knows at the start how many messages there are, and it has no limit of 1,024 subjects.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runtime.errors import RefusedError, UnavailableError
from runtime.nats_headers import from_block, status_of
from runtime.nats_stored import parse_ack_subject
from runtime.ports import Stored
from schemas.nats_users import READINGS, reading

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runtime.nats_connection import Connection

_BATCH: Final = 500
_ASK_AGAIN: Final = 250
"""Messages left of what was asked for when more is asked for, so that the server never waits for us."""
_SILENT_SECONDS: Final = 5.0
_UNUSED_NANOSECONDS: Final = 30_000_000_000
_TRIES: Final = 5
_BYTES: Final = 8 * 1024 * 1024
"""Most bytes of one request, where the server lets a message be no larger: memory stays bounded."""
_OVERHEAD: Final = 4096
"""Subjects, which count too."""
_ENDED: Final = 409
_TAKEN: Final = "10148"
"""Error code: another consumer has that name."""
_ROUNDS: Final = 8
_FULL_SECONDS: Final = 5.0
"""Between two rounds over all names. In all of them a reading that was killed, which keeps its name until the server
has missed it for 30 s, is outlasted."""
_DONE: Final = ("Batch Completed", "Message Size Exceeds MaxBytes")
"""Ends of a request that are none of the reading."""


class _Created(msgspec.Struct):
    num_pending: int = 0


_CREATED: Final = msgspec.json.Decoder(_Created)


async def scan(
    connection: Connection,
    stream: str,
    subject: str,
    *,
    last_per_subject: bool,
    start: int,
    headers_only: bool = False,
) -> AsyncGenerator[Stored, None]:
    """Do what `Log.scan` says. A broken connection is survived by starting anew after the last message."""
    after = start - 1
    for attempt in range(_TRIES):
        reading = _Reading(
            connection,
            stream,
            subject,
            last_per_subject=last_per_subject,
            start=after + 1,
            headers_only=headers_only,
        )
        try:
            await reading.begin()
            while (message := await reading.next()) is not None:
                # Starting anew with the last of each subject brings those again that were read before.
                if message.sequence > after:
                    after = message.sequence
                    yield message
        except UnavailableError:
            if attempt == _TRIES - 1:
                raise
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.wait(), _SILENT_SECONDS)
        else:
            return
        finally:
            reading.end()


class _Reading:
    def __init__(
        self,
        connection: Connection,
        stream: str,
        subject: str,
        *,
        last_per_subject: bool,
        start: int,
        headers_only: bool,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._name = ""
        self._inbox = connection.new_inbox()
        self._config: dict[str, Any] = {
            "filter_subject": subject,
            "ack_policy": "none",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": _UNUSED_NANOSECONDS,
            "headers_only": headers_only,
        }
        if last_per_subject:
            self._config["deliver_policy"] = "last_per_subject"
        else:
            self._config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": start}
        self._arrived: deque[Stored] = deque()
        self._left = 0
        self._asked = 0
        self._bytes = 0
        self._consumer_sequence = 0
        self._broken = ""
        self._wake = asyncio.Event()

    async def begin(self) -> None:
        answer = await self._create()
        self._left = _CREATED.decode(answer).num_pending
        self._connection.listen(f"{self._inbox}.*", self._take)
        self._ask()

    async def _create(self) -> bytes:
        """Make the consumer under one of the names that this user may use, whichever is free."""
        numbers = secrets.SystemRandom().sample(range(READINGS), READINGS)
        # Two that ask for the same thing would be given the same consumer, if nothing told them apart.
        config = self._config | {"metadata": {"reading": secrets.token_hex(8)}}
        for number in numbers * _ROUNDS:
            name = reading(self._connection.user, number)
            try:
                answer = await self._connection.api(
                    f"CONSUMER.CREATE.{self._stream}.{name}.{config['filter_subject']}",
                    {"stream_name": self._stream, "config": config | {"name": name}, "action": "create"},
                )
            except RefusedError as error:
                if error.reason != _TAKEN:
                    raise
                if number == numbers[-1]:
                    await asyncio.sleep(_FULL_SECONDS)
            else:
                self._name = name
                return answer
        raise UnavailableError(
            f"all {READINGS} names by which {self._connection.user} may read {self._stream} are taken"
        )

    async def next(self) -> Stored | None:
        while not self._arrived:
            if self._left == 0:
                return None
            self._wake.clear()
            try:
                async with asyncio.timeout(_SILENT_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                self._broken = f"no message for {_SILENT_SECONDS} s, {self._left} are missing"
            if self._broken:
                what = f"reading {self._config['filter_subject']} of {self._stream} broke off: {self._broken}"
                raise UnavailableError(what)
        message = self._arrived.popleft()
        self._bytes -= len(message.data)
        self._ask()
        return message

    def end(self) -> None:
        self._connection.unlisten(f"{self._inbox}.*")
        # Without an answer to wait for; if it gets lost, the server removes the consumer by itself.
        if self._name:
            self._connection.send(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._name}", b"")

    def _ask(self) -> None:
        if self._left and self._asked + len(self._arrived) <= _ASK_AGAIN and self._bytes <= _BYTES // 2:
            most = max(_BYTES, self._connection.max_payload + _OVERHEAD)
            body = msgspec.json.encode({"batch": _BATCH, "max_bytes": most, "expires": _UNUSED_NANOSECONDS})
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
            if self._connection.send(subject, body, reply=f"{self._inbox}.m"):
                self._asked += _BATCH

    def _take(self, subject: str, reply: str, headers: bytes, data: bytes) -> None:
        self._wake.set()
        if not reply.startswith("$JS.ACK."):
            status, what = status_of(headers)
            if status == _ENDED and what in _DONE:
                self._asked = max(0, self._asked - int(from_block(headers).get("Nats-Pending-Messages", "0")))
                self._ask()
            else:
                self._broken = f"{status} {what}"
            return
        told = parse_ack_subject(reply)
        self._consumer_sequence += 1
        if told.consumer_sequence != self._consumer_sequence:
            self._broken = f"message {told.consumer_sequence} came instead of {self._consumer_sequence}"
            return
        if self._left == 0 or self._broken:
            return
        self._left = min(self._left - 1, told.pending)
        self._asked -= 1
        self._bytes += len(data)
        self._arrived.append(
            Stored(
                stream=told.stream,
                sequence=told.sequence,
                time_ms=told.time_ms,
                subject=subject,
                headers=from_block(headers) if headers else {},
                data=data,
            )
        )
