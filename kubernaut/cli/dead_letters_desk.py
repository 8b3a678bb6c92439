"""Dead letters as the log tells them: what was buried, why, how often, what became of it; and asking for one again.

Must never publish a message of somebody else: a redrive names a dead letter, and the consumer reads it itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing
from typing import Final, Literal

import msgspec

from runtime.errors import ConflictError, NotFoundError
from runtime.ports import Log, Stored
from schemas import subjects
from schemas.cloudevents import Event, attribute
from schemas.messages import TYPE_OF, DeadLettered, RedriveAsked, encode
from schemas.names import digest

State = Literal["waiting", "redriven", "handled"]
SOURCE: Final = "/kubernaut/cli"
REDRIVABLE: Final = {each.name: each for each in (subjects.SCHEDULER, subjects.ANNOUNCER, subjects.BRIDGE)}
"""The consumers that read what is asked for again."""
_LETTER: Final = TYPE_OF[DeadLettered]
_REDRIVE: Final = TYPE_OF[RedriveAsked]


class Redrive(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for a message again, when and why."""

    sequence: int
    time_ms: int
    by: str
    reason: str


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """The newest dead letter about a message, and what became of it."""

    number: int
    """Where it is in the log: by this people name it."""
    time_ms: int
    """When it was buried, in ms since 1970."""
    id: str
    letter: DeadLettered
    count: int
    """How often the message was buried: more than once when a redrive came to nothing."""
    state: State
    """Waiting for a person; asked for again and not yet through; handled at last."""
    redrive: Redrive | None = None
    """The last one that was asked for."""


async def read(log: Log, consumer: str = "*") -> list[DeadLetter]:
    """Read all dead letters of a consumer, or of all, in order of the newest about each message.

    Letters that cannot be read themselves are left out. Raises UnavailableError.
    """
    redrives: dict[str, Redrive] = {}
    async with aclosing(log.scan(subjects.LOG.name, subjects.redrive(consumer, "*"))) as asked:
        async for stored in asked:
            if (found := _redrive(stored)) is not None:
                redrives.setdefault(stored.subject, found)
    newest: dict[tuple[str, str, int, str], DeadLetter] = {}
    async with aclosing(log.scan(subjects.LOG.name, subjects.dead_letter(consumer))) as letters:
        async for stored in letters:
            letter = _letter(stored)
            if letter is None:
                continue
            place = (letter.consumer, letter.stream, letter.sequence, letter.subject)
            newest[place] = _after(newest.pop(place, None), stored, letter, redrives)
    floors = {each.letter.consumer for each in newest.values() if each.state == "redriven"}
    through = {name: await _through(log, name) for name in sorted(floors)}
    return [_now(each, through) for each in newest.values()]


async def ask(log: Log, letter: DeadLetter, *, by: str, reason: str) -> bool:
    """Ask for a message again; False when somebody has asked for this very letter before, and then nothing is done.

    Raises UnavailableError, and NotFoundError for a consumer that cannot be asked.
    """
    consumer = letter.letter.consumer
    if consumer not in REDRIVABLE:
        raise NotFoundError(f"consumer {consumer!r} handles nothing again; those that do: {', '.join(REDRIVABLE)}")
    body = RedriveAsked(
        consumer=consumer,
        letter=letter.id,
        letter_sequence=letter.number,
        subject=letter.letter.subject,
        by=by,
        reason=reason,
    )
    event = Event(
        subject=_subject(consumer, letter.id),
        id=f"redrive/{_key(letter.id)}",
        type=_REDRIVE,
        source=SOURCE,
        data=encode(body),
        correlation_id=attribute(letter.letter.headers, "ce-correlationid"),
        causation_id=letter.id,
    )
    try:
        return not (await log.publish(event, expect=0)).duplicate
    except ConflictError:
        return False


def chosen(letters: Iterable[DeadLetter], numbers: Iterable[int]) -> list[DeadLetter]:
    """Return the letters of these numbers, in their order. Raises NotFoundError that names the first that is none."""
    known = {each.number: each for each in letters}
    found = []
    for number in dict.fromkeys(numbers):
        if number not in known:
            raise NotFoundError(f"there is no dead letter {number}; `kubernaut dead-letters list --all` shows all")
        found.append(known[number])
    return found


def _key(letter_id: str) -> str:
    return digest("redrive", letter_id)


def _subject(consumer: str, letter_id: str) -> str:
    return subjects.redrive(consumer, _key(letter_id))


def _after(before: DeadLetter | None, stored: Stored, letter: DeadLettered, redrives: dict[str, Redrive]) -> DeadLetter:
    identity = attribute(stored.headers, "ce-id")
    redrive = redrives.get(_subject(letter.consumer, identity))
    last = redrive or (before.redrive if before is not None else None)
    # The same letter twice, from outside the window of duplicates, is one failure.
    again = before is not None and before.id != identity
    return DeadLetter(
        number=stored.sequence,
        time_ms=stored.time_ms,
        id=identity,
        letter=letter,
        count=(before.count if before is not None else 1) + again,
        state="redriven" if redrive is not None else "waiting",
        redrive=last,
    )


async def _through(log: Log, consumer: str) -> int:
    known = REDRIVABLE.get(consumer)
    return await log.acknowledged(known) if known is not None else 0


def _now(letter: DeadLetter, through: dict[str, int]) -> DeadLetter:
    done = letter.redrive is not None and letter.redrive.sequence <= through.get(letter.letter.consumer, 0)
    return msgspec.structs.replace(letter, state="handled") if letter.state == "redriven" and done else letter


def _letter(stored: Stored) -> DeadLettered | None:
    if stored.headers.get("ce-type") != _LETTER:
        return None
    try:
        return msgspec.json.decode(stored.data, type=DeadLettered)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _redrive(stored: Stored) -> Redrive | None:
    try:
        asked = msgspec.json.decode(stored.data, type=RedriveAsked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Redrive(sequence=stored.sequence, time_ms=stored.time_ms, by=asked.by, reason=asked.reason)
