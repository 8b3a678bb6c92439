"""What a subscriber gets: an event, one of a kind that is not known, one that cannot be read, or a gap. Pure.

Reading is total: whatever a message holds, it becomes one of these, so that no message stops a subscriber.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from runtime.ports import Delivery, Stored
from schemas import cloudevents
from schemas.cloudevents import MalformedError, attribute
from schemas.messages import PublicEvent
from schemas.public_events import public_types

_BODY: Final = msgspec.json.Decoder(PublicEvent)
_TYPES: Final = public_types()
_UID_TOKEN: Final = 3
"""`kubernaut.event.<namespace>.<workflow uid>...`."""
_TOKENS: Final = 6


@dataclass(frozen=True, kw_only=True)
class Received:
    """A message of the stream."""

    sequence: int
    """Its place in the stream: `subscribe(start=...)` takes it."""
    subject: str
    repeated: bool = False
    """It was given out before by this subscription; shown only with `repeats=True`."""
    _delivery: Delivery | None = field(default=None, repr=False, compare=False)

    async def ack(self) -> None:
        """Say that it is dealt with: it does not come again. Doing so twice is harmless."""
        if self._delivery is not None:
            await self._delivery.ack()


@dataclass(frozen=True, kw_only=True)
class Event(Received):
    """One transition of a workflow or of a step."""

    id: str
    """The same fact always has the same id: what an event made happen can be remembered by it."""
    type: str
    """CloudEvents type, such as `io.kubernaut.workflow.failed.v1`."""
    entity: str
    """`workflow` or `step`."""
    what: str
    """`failed` and so on."""
    time: datetime
    """When it was decided."""
    namespace: str
    workflow: str
    """Name of the workflow."""
    workflow_uid: str
    step: int | None = None
    attempt: int = 0
    action: str = ""
    before: str
    after: str
    reason: str = ""
    message: str = ""
    ordinal: int
    """Place among all events of the workflow, from 0."""
    version: int
    """Number of the workflow's decision that it was made of."""
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""


@dataclass(frozen=True, kw_only=True)
class UnknownEvent(Received):
    """A CloudEvent of a type that this version of the client does not know: a newer server tells more."""

    id: str
    type: str
    source: str
    attributes: Mapping[str, str]
    """All of its other attributes, by their names without `ce-`."""
    data: bytes


@dataclass(frozen=True, kw_only=True)
class UnreadableEvent(Received):
    """A message that is no event as promised. It is acknowledged like the others, so that it stops nobody."""

    error: str
    """What is wrong with it."""
    headers: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Events that this subscription should have been given and was not: they are not in the stream any more."""

    workflow_uid: str = ""
    """Empty: of any workflow."""
    ordinals: tuple[int, int] | None = None
    """The first and the last ordinal that are missing."""
    sequences: tuple[int, int] | None = None
    """The first and the last place in the stream that are gone."""
    certain: bool = True
    """False where the subscription filters: what is gone may be nothing that it would have been given."""


Item = Event | UnknownEvent | UnreadableEvent | Gap


def read(
    stored: Stored, delivery: Delivery | None = None, *, repeated: bool = False
) -> Event | UnknownEvent | UnreadableEvent:
    """Return what a message is."""
    about: dict[str, Any] = {
        "sequence": stored.sequence,
        "subject": stored.subject,
        "repeated": repeated,
        "_delivery": delivery,
    }
    try:
        event = cloudevents.from_message(stored.subject, stored.headers, stored.data)
        if event.type in _TYPES:
            return _known(event, about)
    except (MalformedError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        return UnreadableEvent(error=str(error), headers=dict(stored.headers), data=stored.data, **about)
    more = {"correlationid": event.correlation_id, "causationid": event.causation_id, "traceparent": event.traceparent}
    attributes = {name: value for name, value in more.items() if value} | event.extensions
    return UnknownEvent(
        id=event.id, type=event.type, source=event.source, attributes=attributes, data=stored.data, **about
    )


def position(stored: Stored) -> tuple[str, int] | None:
    """Return the workflow's uid and the ordinal of a message, whatever its type; None when it has no place."""
    tokens = stored.subject.split(".")
    ordinal = attribute(stored.headers, "ce-ordinal")
    if len(tokens) != _TOKENS or not (ordinal.isascii() and ordinal.isdecimal()):
        return None
    return tokens[_UID_TOKEN], int(ordinal)


def _known(event: cloudevents.Event, about: Mapping[str, Any]) -> Event:
    body = _BODY.decode(event.data)
    entity, what = _TYPES[event.type]
    if entity == "step" and body.step is None:
        raise ValueError("an event of a step without a step")
    ordinal = event.extensions.get("ordinal", "")
    if not (ordinal.isascii() and ordinal.isdecimal()):
        raise ValueError(f"the attribute ordinal is no number: {ordinal!r}")
    return Event(
        id=event.id,
        type=event.type,
        entity=entity,
        what=what,
        time=_time(body.time),
        namespace=body.workflow.namespace,
        workflow=body.workflow.name,
        workflow_uid=body.workflow.uid,
        step=body.step.number if body.step else None,
        attempt=body.step.attempt if body.step else 0,
        action=body.step.action if body.step else "",
        before=body.before,
        after=body.after,
        reason=body.reason,
        message=body.message,
        ordinal=int(ordinal),
        version=body.sequence,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        traceparent=event.traceparent,
        **about,
    )


def _time(milliseconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{milliseconds} ms is no time") from error


def to_line(item: Item) -> str:
    """Return an item as the line of JSON that `kubernaut conformance` reads; see docs/subscribers."""
    match item:
        case Event():
            told: dict[str, Any] = {"kind": "event", "id": item.id, "type": item.type, "ordinal": item.ordinal}
            told |= {"workflowUid": item.workflow_uid, "step": item.step}
        case UnknownEvent():
            told = {"kind": "unknown", "id": item.id, "type": item.type}
        case UnreadableEvent():
            told = {"kind": "unreadable", "error": item.error}
        case Gap():
            first, last = item.ordinals or item.sequences or (0, 0)
            told = {"kind": "gap", "workflowUid": item.workflow_uid, "first": first, "last": last}
    if not isinstance(item, Gap):
        told |= {"sequence": item.sequence} | ({"repeated": True} if item.repeated else {})
    return json.dumps(told)
