"""Messages that a consumer can never handle: copied whole to the dead letters, then never delivered to it again."""

from __future__ import annotations

from typing import Final

from runtime import metrics
from runtime.errors import TooLargeError, UnavailableError
from runtime.ports import Delivery, Log, Stored
from schemas import subjects
from schemas.cloudevents import MESSAGE_ID, Event, attribute
from schemas.messages import TYPE_OF, DeadLettered, encode
from schemas.names import digest

_RETRY_SECONDS: Final = 5.0
_ID_CHARACTERS: Final = 200
_ERROR_CHARACTERS: Final = 4000


class Failures:
    """Counts how often a message has failed in this process; the server's own count starts anew when it is killed."""

    def __init__(self, most: int, *, remembered: int = 10_000) -> None:
        """`most`: after so many it is given up; `remembered`: messages at once, the oldest are forgotten."""
        self._most = most
        self._remembered = remembered
        self._counts: dict[str, int] = {}

    def failed(self, message: str) -> bool:
        """Take in one more failure; whether it is the last that it may have."""
        self._counts[message] = count = self._counts.pop(message, 0) + 1
        if count >= self._most:
            del self._counts[message]
            return True
        if len(self._counts) > self._remembered:
            del self._counts[next(iter(self._counts))]
        return False


class Redriven:
    """The delivery of a message that a person has asked for again: its end is that of the redrive."""

    def __init__(self, asked: Delivery, message: Stored, redrive: str) -> None:
        """`asked`: the delivery of the redrive; `redrive`: its id."""
        self._asked = asked
        self.message = message
        self.redrive = redrive
        self.again = True

    async def ack(self) -> None:
        """See `Delivery.ack`."""
        await self._asked.ack()

    async def nak(self, delay: float = 0.0) -> None:
        """See `Delivery.nak`."""
        await self._asked.nak(delay)

    async def term(self) -> None:
        """See `Delivery.term`."""
        await self._asked.term()


async def bury(log: Log, delivery: Delivery, *, consumer: str, error: str) -> None:
    """Publish the message, whole, with the reason to the dead letters of `consumer`, then end its delivery.

    A message that is too large when wrapped is kept without its body, which stays in its stream at the sequence that
    the dead letter names. When the log cannot be reached the message is given back and comes again; nothing is raised.
    """
    message = delivery.message
    again = delivery.redrive if isinstance(delivery, Redriven) else ""
    try:
        try:
            await log.publish(_event(message, consumer, error, message.data, again))
        except TooLargeError:
            note = f"{error} (body of {len(message.data)} bytes left out: it does not fit)"
            await log.publish(_event(message, consumer, note, b"", again))
    except UnavailableError:
        await delivery.nak(_RETRY_SECONDS)
        return
    metrics.DEAD_LETTERS.labels(consumer).inc()
    await delivery.term()


def _event(message: Stored, consumer: str, error: str, data: bytes, again: str) -> Event:
    body = DeadLettered(
        consumer=consumer,
        stream=message.stream,
        sequence=message.sequence,
        subject=message.subject,
        headers=dict(message.headers),
        data=data,
        error=error[:_ERROR_CHARACTERS],
        left_out=len(message.data) - len(data),
    )
    cause = message.headers.get(MESSAGE_ID, "")[:_ID_CHARACTERS]
    # A message without an id of its own is known by nothing for certain but its body and its place together.
    # So is the redrive that came to nothing: it leaves a letter of its own.
    itself = "" if cause else f"{message.sequence}/{message.data.hex()}"
    known_by = digest(consumer, message.stream, message.subject, cause, itself, *filter(None, [again]))
    return Event(
        subject=subjects.dead_letter(consumer),
        id=f"deadletter/{known_by}",
        type=TYPE_OF[DeadLettered],
        source=f"/kubernaut/{consumer}",
        data=encode(body),
        correlation_id=attribute(message.headers, "ce-correlationid"),
        causation_id=cause,
    )
