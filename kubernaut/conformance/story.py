"""Public events to play to a consumer, made by the announcer's own code, and what is made wrong of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from scheduler.announce import events
from schemas.cloudevents import Event, to_headers
from schemas.messages import Decision, Transition, WorkflowRef
from schemas.run_state import RunState

NOW: Final = 1_767_225_660_000
"""2026-01-01T00:01:00Z in ms."""
_ANY: Final = msgspec.json.Decoder(dict)


class Message(msgspec.Struct, frozen=True):
    """What is put into the stream; whatever it holds."""

    subject: str
    headers: dict[str, str]
    data: bytes

    @property
    def id(self) -> str:
        """The id of the event; empty where it is none."""
        return self.headers.get("ce-id", "")

    @property
    def ordinal(self) -> int:
        """Its place among the events of its workflow."""
        return int(self.headers["ce-ordinal"])

    @property
    def workflow(self) -> str:
        """Uid of the workflow."""
        return self.subject.split(".")[3]


def a_uid(number: int) -> str:
    """Uid of the workflow of that number."""
    return f"{number:08d}-0000-4000-8000-000000000000"


def a_run(number: int = 1, *, steps: int = 2) -> list[Event]:
    """All public events of a run that ends well: 4 of the workflow and 3 of each step."""
    numbers = range(1, steps + 1)
    decisions = [
        [_of_run("planned", "planning", "validating")],
        [_of_run("validated", "validating", "validating"), _of_run("started", "validating", "executing")],
        *([_of_step(step, "ready", "pending", "executing")] for step in numbers),
        *([_of_step(step, "started", "executing", "executing")] for step in numbers),
        *([_of_step(step, "completed", "executing", "completed")] for step in numbers),
        [_of_run("completed", "executing", "completed")],
    ]
    return list(_told(number, decisions))


def interleaved(*runs: list[Event]) -> list[Event]:
    """The events of several runs, taken in turn."""
    longest = max(len(run) for run in runs)
    return [run[place] for place in range(longest) for run in runs if place < len(run)]


def as_told(event: Event) -> Message:
    """Return the message of an event as the announcer puts it into the stream."""
    return Message(event.subject, to_headers(event), event.data)


def again(message: Message) -> Message:
    """The same event once more, as after the deduplication window."""
    return Message(message.subject, message.headers | {"Nats-Msg-Id": f"{message.id}/again"}, message.data)


def of_newer_minor(message: Message) -> Message:
    """The same event as a newer minor version tells it: with a field and an attribute more."""
    body = _ANY.decode(message.data) | {"confidence": {"score": 0.9}}
    return Message(message.subject, message.headers | {"ce-tenant": "blue%20team"}, msgspec.json.encode(body))


def of_type(message: Message, kind: str) -> Message:
    """The same message as an event of another type."""
    return Message(message.subject, message.headers | {"ce-type": kind}, message.data)


def poison(message: Message, sort: str) -> Message:
    """A message in an event's place that is none: without headers, with broken data, or with data of another form."""
    identity = {"Nats-Msg-Id": f"poison/{sort}"}
    match sort:
        case "no headers":
            return Message(message.subject, identity, b"\xff\xfe poison")
        case "broken data":
            return Message(message.subject, message.headers | identity, message.data[:-9])
        case _:
            return Message(message.subject, message.headers | identity, b'{"workflow": 7}')


def _told(number: int, decisions: Iterable[list[Transition]]) -> Iterable[Event]:
    uid, announced = a_uid(number), 0
    for version, transitions in enumerate(decisions, 1):
        announced += len(transitions)
        decision = Decision(
            workflow=WorkflowRef(namespace="shop", name=f"leak-{number}", uid=uid),
            correlation_id=f"rr-{number}",
            version=version,
            now=NOW + version,
            causes=(),
            transitions=tuple(transitions),
            state=RunState(phase="executing", announced=announced),
        )
        yield from events(decision, f"{uid}/{version}")


def _of_run(what: str, before: str, after: str) -> Transition:
    return Transition(entity="workflow", what=what, before=before, after=after)


def _of_step(step: int, what: str, before: str, after: str) -> Transition:
    return Transition(entity="step", what=what, before=before, after=after, step=step, attempt=1, action="notify_only")
