"""Publishing to JetStream so that the answer is true: stored, stored before, somebody was first, too large, unknown.

Rules: reliability.md C5. Must never take a lost answer for "not stored", nor a conflict with oneself for a conflict.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from runtime import failpoints, metrics
from runtime.backoff import Backoff
from runtime.errors import ConflictError, RefusedError, TooLargeError, UnavailableError
from runtime.nats_api import ApiError
from runtime.nats_headers import to_block
from runtime.nats_refusals import Refusals
from runtime.nats_requests import NoRespondersError, Reply
from runtime.nats_schedule import schedule_headers
from runtime.ports import Published, Stored
from runtime.subject_match import stream_of
from schemas.cloudevents import MESSAGE_ID, Event, to_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.nats_connection import Connection

DEADLINE_SECONDS: Final = 5.0
_TRY_SECONDS: Final = 2.0
_UNSURE: Final = frozenset({10071, 10158, 10164, 10201})
"""Wrong last sequence, and what a server with replicas says of a message that it has or is just storing."""
_AGAIN: Final = frozenset({10008, 10023, 10074, 10077, 10118})
"""The server is not able to now: no leader, no room, limits, insufficient resources."""
_TOO_LARGE: Final = 10054


class _Ack(msgspec.Struct):
    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


_ACKS: Final = msgspec.json.Decoder(_Ack)


class Publisher:
    """Publishes events over a connection."""

    def __init__(
        self,
        connection: Connection,
        newest: Callable[[str, str], Awaitable[Stored | None]],
        closed: Callable[[], str] = lambda: "",
    ) -> None:
        """`newest`: reads the last message of a filter from the leader; `closed`: why nothing may be stored now."""
        self._connection = connection
        self._closed = closed
        self._request = failpoints.around_publishes(connection.request)
        self._newest = newest
        self.refusals = Refusals()

    async def publish(self, event: Event, expect: int | None, expect_filter: str | None) -> Published:
        """Do what `Log.publish` says, within 5 s."""
        return await self._publish(
            _Attempt(event, expect_filter or event.subject, expect), _expected(expect, expect_filter)
        )

    async def schedule(self, event: Event, at_ms: int, target: str) -> None:
        """Do what `Log.schedule` says, within 5 s."""
        await self._publish(_Attempt(event, event.subject, None), schedule_headers(at_ms, target))

    async def _publish(self, attempt: _Attempt, more: dict[str, str]) -> Published:
        event, stream = attempt.event, attempt.stream
        headers = self._block(event, more)
        backoff = Backoff(first=0.05, most=1.0)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DEADLINE_SECONDS
        reason: UnavailableError
        while True:
            left = deadline - loop.time()
            try:
                if why := self._closed():
                    raise NoRespondersError(why)
                reply = await self._request(
                    event.subject, event.data, headers=headers, seconds=min(_TRY_SECONDS, max(left, 0.1))
                )
                published = await self._understand(attempt, reply)
                if published is not None:
                    self.refusals.taken(stream)
                    return published
                reason = UnavailableError(f"{stream} does not take {event.subject} now")
            except UnavailableError as error:
                attempt.unsure = attempt.unsure or not isinstance(error, NoRespondersError)
                reason = error
            wait = backoff.next()
            if loop.time() + wait >= deadline:
                if self._connection.connected:
                    self.refusals.refused(stream, str(reason), loop.time())
                fate = "whether it was stored is unknown" if attempt.unsure else "it was not stored"
                raise UnavailableError(f"publish of {event.id} to {stream}: {reason}; {fate}") from reason
            metrics.PUBLISH_RETRIES.labels(stream).inc()
            await asyncio.sleep(wait)

    def _block(self, event: Event, more: dict[str, str]) -> bytes:
        block = to_block(to_headers(event) | more)
        size = len(block) + len(event.data)
        # nats-py checks the data only, and the server answers a message that its headers make too large by closing the
        # connection.
        if size > self._connection.max_payload:
            raise TooLargeError(
                f"event {event.id} of {size} bytes, headers included, is larger than the {self._connection.max_payload}"
                " bytes that the server takes"
            )
        return block

    async def _understand(self, attempt: _Attempt, reply: Reply) -> Published | None:
        """Return where it is; None to try again. Raises what `publish` raises."""
        try:
            ack = _ACKS.decode(reply.data)
        except msgspec.DecodeError as error:
            raise UnavailableError(f"the answer to {attempt.event.id} is no acknowledgement: {error}") from error
        if ack.error is None:
            if ack.duplicate:
                metrics.DUPLICATES.labels(attempt.stream).inc()
            return Published(ack.seq, ack.duplicate)
        code = ack.error.err_code
        if code in _UNSURE:
            return await self._who_was_first(attempt)
        about = f"{attempt.stream} refused {attempt.event.id}: {ack.error.description} ({code})"
        if code == _TOO_LARGE:
            raise TooLargeError(about)
        if code in _AGAIN or ack.error.code >= 500:  # noqa: PLR2004 - as HTTP
            raise UnavailableError(about)
        raise RefusedError(about, reason=str(code))

    async def _who_was_first(self, attempt: _Attempt) -> Published | None:
        newest = await self._newest(attempt.stream, attempt.filter)
        if newest is not None and newest.headers.get(MESSAGE_ID) == attempt.event.id:
            metrics.DUPLICATES.labels(attempt.stream).inc()
            return Published(newest.sequence, duplicate=True)
        found = newest.sequence if newest is not None else 0
        if attempt.expect is None or found == attempt.expect:
            return None  # another write is under way, maybe an earlier try of ours, or came to nothing
        metrics.CONFLICTS.labels(attempt.stream).inc()
        raise ConflictError(
            f"{attempt.event.id} expected {attempt.filter} to end at sequence {attempt.expect}, but it ends at {found}"
        )


def _expected(expect: int | None, expect_filter: str | None) -> dict[str, str]:
    if expect is None:
        return {}
    headers = {"Nats-Expected-Last-Subject-Sequence": str(expect)}
    if expect_filter is not None:
        headers["Nats-Expected-Last-Subject-Sequence-Subject"] = expect_filter
    return headers


class _Attempt:
    def __init__(self, event: Event, last_of: str, expect: int | None) -> None:
        self.event = event
        self.stream = stream_of(event.subject)
        self.filter = last_of
        self.expect = expect
        self.unsure = False
