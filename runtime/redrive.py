"""Handling a dead letter again: the message that a redrive asks for, in the place of the redrive itself.

The old message is not published anew: it would reach every consumer, under a new sequence. The one consumer that failed
reads it from where it always was, so that its id, its sequence and its time are what they were, and whatever is
idempotent about it still is. Must never hand out what the consumer would not have been given anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from runtime.deadletters import Redriven, bury
from runtime.errors import UnavailableError
from runtime.ports import Stored
from runtime.subject_match import covers
from schemas import subjects
from schemas.cloudevents import attribute
from schemas.messages import DeadLettered, RedriveAsked, decode

if TYPE_CHECKING:
    from runtime.ports import Delivery, Log
    from schemas.subjects import Consumer

_Body = TypeVar("_Body", bound=msgspec.Struct)
_RETRY_SECONDS: Final = 5.0


async def unwrapped(log: Log, delivery: Delivery, consumer: Consumer, also: tuple[str, ...] = ()) -> Delivery | None:
    """Return the delivery as it is, or of a redrive, that of the message that it asks for.

    None when the redrive was ended here: it is buried when it makes no sense and given back when the log does not
    answer. `also`: subjects that the service reads by another consumer and buries in the name of this one.
    """
    if not covers(subjects.REDRIVES, delivery.message.subject):
        return delivery
    filters = [each for each in consumer.filters if not covers(subjects.REDRIVES, each)]
    try:
        message = await _asked_for(log, delivery.message, consumer.name, (*filters, *also))
    except UnavailableError:
        await delivery.nak(_RETRY_SECONDS)
    except (ValueError, msgspec.MsgspecError) as error:
        await bury(log, delivery, consumer=consumer.name, error=f"a redrive that makes no sense: {error}")
    else:
        return Redriven(delivery, message, attribute(delivery.message.headers, "ce-id"))
    return None


async def _asked_for(log: Log, redrive: Stored, consumer: str, filters: tuple[str, ...]) -> Stored:
    """Read the message. Raises ValueError or msgspec.MsgspecError that says why there is none."""
    asked = _decoded(redrive, RedriveAsked)
    stored = await log.get(subjects.LOG.name, asked.letter_sequence)
    if stored is None or attribute(stored.headers, "ce-id") != asked.letter:
        raise _error(f"dead letter {asked.letter} is not at sequence {asked.letter_sequence} of the log (any more)")
    letter = _decoded(stored, DeadLettered)
    if stored.subject != subjects.dead_letter(consumer) or letter.consumer != consumer:
        raise _error(f"dead letter {asked.letter} is not of consumer {consumer}")
    if not any(covers(pattern, letter.subject) for pattern in filters):
        raise _error(f"consumer {consumer} reads nothing on {letter.subject}")
    found = await log.get(letter.stream, letter.sequence)
    if found is not None and _is_the_same(found, letter):
        return found
    if letter.left_out:
        raise _error(f"its body of {letter.left_out} bytes is not at {letter.sequence} of {letter.stream} any more")
    return Stored(
        stream=letter.stream,
        sequence=letter.sequence,
        time_ms=stored.time_ms,
        subject=letter.subject,
        headers=letter.headers,
        data=letter.data,
    )


def _is_the_same(found: Stored, letter: DeadLettered) -> bool:
    """Whether the stream still holds the message that was buried: a damaged one may have used its sequence again."""
    same = found.subject == letter.subject and found.headers == letter.headers
    return same and (found.data == letter.data or len(found.data) == letter.left_out)


def _decoded(stored: Stored, kind: type[_Body]) -> _Body:
    body = decode(stored.headers.get("ce-type", ""), stored.data)
    if not isinstance(body, kind):
        raise _error(f"message {stored.sequence} is no {kind.__name__}")
    return body


def _error(message: str) -> ValueError:
    return ValueError(message)
