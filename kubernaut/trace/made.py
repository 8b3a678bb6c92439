"""Makes the spans of a recorded run: those of its messages, commands, public events and audit rows. Pure.

Ids, names and attributes are those that were sent live. Times are the broker's: where only the process knew better (how
long a call of the API took, when a row was stored), a span ends with what was seen of it, or at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubernaut.replay.recording import Chain, Recording, is_of
from runtime.ports import Stored
from runtime.spans import Span, command_span
from runtime.spans_made import of_command, of_message, of_row
from scheduler.announce import events
from schemas.cloudevents import Event, MalformedError, from_message

_NS = 1_000_000


def trace(recording: Recording) -> list[Span]:
    """Return every span of a run, in the order of their starts. Raises RecordingError when nothing was decided."""
    chain = Chain(recording)
    found: dict[str, Span] = {}
    for span in (*_messages(recording), *_commands(chain), *_announced(chain)):
        found.setdefault(span.id, span)
    return sorted(found.values(), key=lambda span: (span.start, span.end, span.id))


def _messages(recording: Recording) -> Iterator[Span]:
    for stored in recording.messages:
        event = _event(stored)
        if event is None or not is_of(stored, recording.uid):
            continue
        at = stored.time_ms * _NS
        yield from of_message(event, at, at)
        if row := of_row(event, at, at):
            yield row


def _commands(chain: Chain) -> Iterator[Span]:
    seen = _first_seen(chain.recording)
    for made in chain.made:
        uid, began = made.decision.workflow.uid, made.stored.time_ms * _NS
        for index, command in enumerate(made.decision.commands):
            known = command_span(uid, command, f"{uid}/{made.decision.version}/{index}")
            ended = max(began, seen.get(known, began))
            yield of_command(made.decision, index, made.stored.headers["ce-id"], began, ended)


def _first_seen(recording: Recording) -> dict[str, int]:
    """Return when what came of each command was in the log first, by the id of its span."""
    found: dict[str, int] = {}
    for stored in recording.messages:
        event = _event(stored)
        if event is None or not is_of(stored, recording.uid):
            continue
        for span in of_message(event, stored.time_ms * _NS, stored.time_ms * _NS):
            if span.parent:
                found.setdefault(span.parent, span.end)
    return found


def _announced(chain: Chain) -> Iterator[Span]:
    times = {each.headers.get("ce-id", ""): each.time_ms * _NS for each in chain.recording.events}
    for made in chain.made:
        for event in events(made.decision, made.stored.headers["ce-id"]):
            at = times.get(event.id, made.stored.time_ms * _NS)
            yield from of_message(event, at, at)


def _event(stored: Stored) -> Event | None:
    try:
        return from_message(stored.subject, dict(stored.headers), stored.data)
    except MalformedError:
        return None
