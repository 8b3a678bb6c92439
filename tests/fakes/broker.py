"""What a NATS server with one replica keeps: streams, the ids it has seen, and where each durable consumer stands."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

from runtime.chain import EXPECTED
from runtime.errors import ConflictError, RefusedError, TooLargeError
from runtime.nats_headers import to_block
from runtime.nats_schedule import schedule_headers
from runtime.ports import Published, Stored
from runtime.subject_match import covers, stream_of
from schemas.cloudevents import MESSAGE_ID, Event, to_headers
from schemas.subjects import STREAMS
from tests.fakes.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.subjects import Consumer
    from tests.fakes.clock import Clock

WINDOW_SECONDS = 600.0
SCHEDULING = frozenset(stream.name for stream in STREAMS if stream.schedules)
REMEMBERED = 1000
KEEP_SECONDS = 45.0
"""In-progress of a client that lives, as `runtime.nats_delivery`."""


def _nobody_waits() -> None:
    """Before a client waits there is nobody to wake."""


class Puller:
    """One client's standing pull request."""

    def __init__(self, in_hand: int) -> None:
        self.in_hand = in_hand
        self.fetched: deque[Out] = deque()
        self.open: set[int] = set()
        self.alive = True
        self.keeps = True
        """Whether the client says of what it has in hand that it works on it; one that is frozen does not."""
        self.wake: Callable[[], object] = _nobody_waits


class Out:
    """A message that was given to a client and not ended."""

    def __init__(self, message: Stored, deliveries: int = 0) -> None:
        self.message = message
        self.puller: Puller | None = None
        self.deliveries = deliveries
        self.again_at = 0.0


class Durable:
    """Where a durable consumer stands."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.next = 1
        self.out: dict[int, Out] = {}
        self.again: list[tuple[float, int]] = []
        """Heap of when which sequence may be given out again; entries that no longer hold are passed over."""
        self.pullers: deque[Puller] = deque()
        self.acked: deque[tuple[float, Stored]] = deque(maxlen=REMEMBERED)
        """What was acknowledged last, and when: the server writes that down a moment later."""


class Broker:
    """The server of one or more `FakeLog`s."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.up = True
        self.max_payload = 1024 * 1024
        self.streams: dict[str, list[Stored | None]] = {}
        self._seen: dict[tuple[str, str], tuple[int, float]] = {}
        self._durables: dict[tuple[str, str], Durable] = {}
        self._timers = Timers(self)
        self.older: dict[str, int] = {}
        """Where each stream ended when the server was started last."""

    def stop(self) -> None:
        """Go down, as by kill -9: nothing is answered, and what comes due waits."""
        self.up = False

    def start(self) -> None:
        """Come up with everything that was stored."""
        self.up = True
        self.older = self.ends()
        self._timers.catch_up()
        for durable in self._durables.values():
            self.pump(durable)

    def ends(self) -> dict[str, int]:
        """Where each stream ends."""
        return {stream: len(messages) for stream, messages in self.streams.items()}

    def forget_acks(self, seconds: float) -> None:
        """Lose what was acknowledged in the last so many seconds, as a server that is killed does: it comes again."""
        since = self.clock.now() - seconds
        for durable in self._durables.values():
            while durable.acked and durable.acked[-1][0] >= since:
                message = durable.acked.pop()[1]
                if self.holds(message) and message.sequence not in durable.out:
                    durable.out[message.sequence] = out = Out(message)
                    self._due(durable, out, 0.0)

    def forget_counts(self) -> None:
        """Lose how often each message was given out, as a server does that is killed."""
        for durable in self._durables.values():
            for out in durable.out.values():
                out.deliveries = 0

    def redeliver(self) -> None:
        """Give out once more what is in hand, as a server does that has lost count of time."""
        for durable in self._durables.values():
            for out in tuple(durable.out.values()):
                self._due(durable, out, 0.0)
            self.pump(durable)

    def stored(self, stream: str, pattern: str = ">") -> list[Stored]:
        """Messages of a filter in order."""
        return [m for m in self.streams.get(stream, []) if m is not None and covers(pattern, m.subject)]

    def newest(self, stream: str, pattern: str) -> Stored | None:
        """Return the last message of a filter."""
        for message in reversed(self.streams.get(stream, [])):
            if message is not None and covers(pattern, message.subject):
                return message
        return None

    def expire(self, stream: str, before: int) -> None:
        """Forget messages as retention does, those with a sequence smaller than `before`."""
        messages = self.streams[stream]
        messages[: before - 1] = [None] * (before - 1)

    def store(self, event: Event, expect: int | None, expect_filter: str | None) -> Published:
        """Take a message in: the expected sequence is checked first and the id after it, as a server with R1 does."""
        headers = to_headers(event)
        if expect is not None:  # the server keeps it, and so it tells what was stored in its turn
            headers[EXPECTED] = str(expect)
        if len(to_block(headers)) + len(event.data) > self.max_payload:
            raise TooLargeError(event.id)
        stream = stream_of(event.subject)
        if expect is not None:
            pattern = expect_filter or event.subject
            assert covers(pattern, event.subject), f"{pattern} does not cover {event.subject}"
            last = self.newest(stream, pattern)
            if (last.sequence if last else 0) != expect:
                if last is not None and last.headers.get(MESSAGE_ID) == event.id:
                    return Published(last.sequence, duplicate=True)
                raise ConflictError(f"{event.id} expected {pattern} to end at {expect}")
        seen = self._seen.get((stream, event.id))
        if seen is not None and self.clock.now() - seen[1] < WINDOW_SECONDS:
            return Published(seen[0], duplicate=True)
        sequence = self._append(stream, event.subject, headers, event.data)
        self._seen[stream, event.id] = (sequence, self.clock.now())
        return Published(sequence)

    def schedule(self, event: Event, at_ms: int, target: str) -> None:
        """Store a message to be published on `target` at its time, instead of the one on its subject."""
        stream = stream_of(event.subject)
        if stream not in SCHEDULING:
            raise RefusedError("message schedules is disabled", reason="10188")
        if target == event.subject or stream_of(target) != stream:
            raise RefusedError("message schedules target is invalid", reason="10190")
        seen = self._seen.get((stream, event.id))
        if seen is not None and self.clock.now() - seen[1] < WINDOW_SECONDS:
            return
        self.purge(stream, event.subject)
        sequence = self._append(stream, event.subject, to_headers(event) | schedule_headers(at_ms, target), event.data)
        self._seen[stream, event.id] = (sequence, self.clock.now())
        schedule = self.streams[stream][sequence - 1]
        assert schedule is not None
        self._timers.begin(schedule, at_ms, target)

    def purge(self, stream: str, pattern: str) -> None:
        """Remove the messages of a filter, as whoever may purge the stream."""
        for message in self.stored(stream, pattern):
            self.remove(stream, message.sequence)

    def remove(self, stream: str, sequence: int) -> None:
        """Remove one message."""
        self.streams[stream][sequence - 1] = None

    def holds(self, message: Stored) -> bool:
        """Whether a message was not removed."""
        return self.streams[message.stream][message.sequence - 1] is message

    def put(self, stream: str, subject: str, headers: dict[str, str], data: bytes) -> int:
        """Store a message that need not make sense, as a stranger would; return its sequence."""
        return self._append(stream, subject, headers, data)

    def _append(self, stream: str, subject: str, headers: dict[str, str], data: bytes) -> int:
        messages = self.streams.setdefault(stream, [])
        message = Stored(
            stream=stream,
            sequence=len(messages) + 1,
            time_ms=int(self.clock.now() * 1000),
            subject=subject,
            headers=headers,
            data=data,
        )
        messages.append(message)
        for durable in self._durables.values():
            self.pump(durable)
        return message.sequence

    def durable(self, consumer: Consumer) -> Durable:
        """Return the consumer of that name; made at the first call."""
        return self._durables.setdefault((consumer.stream, consumer.name), Durable(consumer))

    def acknowledged(self, consumer: Consumer) -> int:
        """Sequence before the first message that the consumer reads and has not acknowledged."""
        durable = self.durable(consumer)
        messages = self.streams.get(consumer.stream, [])
        ahead = next((m.sequence for m in messages[durable.next - 1 :] if m and reads(consumer, m)), len(messages) + 1)
        return min((*durable.out, ahead)) - 1

    def pump(self, durable: Durable) -> None:
        """Give messages to those who have room for them, redeliveries first."""
        while self.up and (puller := self._with_room(durable)) is not None:
            out = self._again(durable) or self._fresh(durable)
            if out is None:
                return
            out.puller = puller
            out.deliveries += 1
            keep = KEEP_SECONDS if puller.keeps else 0.0
            self._due(durable, out, keep + durable.consumer.ack_wait_seconds)
            durable.out[out.message.sequence] = out
            puller.open.add(out.message.sequence)
            puller.fetched.append(out)
            puller.wake()

    def give_back(self, durable: Durable, out: Out, delay: float) -> None:
        """Negative acknowledgement, or silence for as long as the server waits for an acknowledgement."""
        if durable.out.get(out.message.sequence) is out:
            self._due(durable, out, delay)
            self.pump(durable)

    def done(self, durable: Durable, out: Out) -> None:
        """Acknowledged or terminated: never again, whoever holds it."""
        if durable.out.pop(out.message.sequence, None) is not None:
            durable.acked.append((self.clock.now(), out.message))
        self.pump(durable)

    def _due(self, durable: Durable, out: Out, seconds: float) -> None:
        out.again_at = self.clock.now() + seconds
        heapq.heappush(durable.again, (out.again_at, out.message.sequence))
        if seconds > 0:
            self.clock.call_at(out.again_at, lambda: self.pump(durable))

    def _with_room(self, durable: Durable) -> Puller | None:
        for _ in range(len(durable.pullers)):
            durable.pullers.rotate(-1)
            puller = durable.pullers[-1]
            if puller.alive and len(puller.open) < puller.in_hand:
                return puller
        return None

    def _again(self, durable: Durable) -> Out | None:
        now = self.clock.now()
        while durable.again and durable.again[0][0] <= now:
            at, sequence = heapq.heappop(durable.again)
            out = durable.out.get(sequence)
            if out is not None and out.again_at == at:
                return Out(out.message, out.deliveries)
        return None

    def _fresh(self, durable: Durable) -> Out | None:
        if len(durable.out) >= durable.consumer.max_ack_pending:
            return None
        messages = self.streams.get(durable.consumer.stream, [])
        while durable.next <= len(messages):
            message = messages[durable.next - 1]
            durable.next += 1
            if message is not None and reads(durable.consumer, message):
                return Out(message)
        return None


def reads(consumer: Consumer, message: Stored) -> bool:
    """Whether the consumer's filters let a message through."""
    return any(covers(pattern, message.subject) for pattern in consumer.filters or (">",))
