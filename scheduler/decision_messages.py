"""The messages that hold decisions, a run's and the queue's: how they are made, and how they are read back. Pure.

The id of each holds a digest of the whole decision: two schedulers that decide differently on the same version must not
take the other's message for their own when an answer was lost (decision record 0001).
"""

from __future__ import annotations

from typing import Final

import msgspec

from runtime.ports import Stored
from scheduler.announce import SOURCE
from schemas import subjects
from schemas.cloudevents import Event, from_message, traceparent
from schemas.messages import TYPE_OF, Decision, QueueDecided, decode, encode
from schemas.names import digest
from schemas.queue_state import QueueEntry

QUEUE_SUBJECT: Final = subjects.decision(subjects.QUEUE)
_DECISION: Final = TYPE_OF[Decision]


def decision_event(decision: Decision) -> Event:
    """Return the message of a decision of a run."""
    return _event(decision, about=decision.workflow.uid, correlation_id=decision.correlation_id)


def decode_decision(stored: Stored) -> Decision:
    """Return the decision of a run in a message.

    Raises ValueError, TypeError or msgspec.MsgspecError when it holds none.
    """
    event = from_message(stored.subject, dict(stored.headers), stored.data)
    body = decode(event.type, stored.data)
    if not isinstance(body, Decision):
        message = f"{event.type} is no decision"
        raise TypeError(message)
    if body.workflow.uid != (about := stored.subject.rsplit(".", 1)[1]):
        message = f"a decision about {body.workflow.uid!r} under the name of {about!r}"
        raise ValueError(message)
    return body


def queue_event(decision: QueueDecided) -> Event:
    """Return the message of a decision of the queue of runs."""
    return _event(decision, about=subjects.QUEUE, correlation_id=subjects.QUEUE)


def _event(decision: Decision | QueueDecided, *, about: str, correlation_id: str) -> Event:
    data = encode(decision)
    identity = f"{about}/{decision.version}-{digest(data.decode(), characters=12)}"
    return Event(
        subject=subjects.decision(about),
        id=identity,
        type=TYPE_OF[type(decision)],
        source=SOURCE,
        data=data,
        correlation_id=correlation_id,
        causation_id=decision.causes[0].id if decision.causes else "",
        traceparent=traceparent(about, identity),
    )


def decode_queue(stored: Stored) -> QueueDecided:
    """Return the decision of the queue in a message.

    Raises ValueError, TypeError or msgspec.MsgspecError when it holds none.
    """
    event = from_message(stored.subject, dict(stored.headers), stored.data)
    body = decode(event.type, stored.data)
    if not isinstance(body, QueueDecided):
        message = f"{event.type} is no decision of the queue"
        raise TypeError(message)
    return body


def admissions(stored: Stored) -> tuple[str, ...]:
    """Return the uids of the runs that got a place by a message of the queue. Raises as `decode_queue`."""
    return decode_queue(stored).admitted


class Glance(msgspec.Struct, frozen=True):
    """The state after a decision of a run as far as the queue looks at it; everything else is skipped, not decoded."""

    phase: str = ""
    queue: QueueEntry | None = None


class _Glanced(msgspec.Struct, frozen=True):
    state: Glance = Glance()


_GLANCED: Final = msgspec.json.Decoder(_Glanced)


def glance(stored: Stored) -> Glance:
    """Look at what may be a decision of a run; one that tells nothing is of no phase."""
    if stored.headers.get("ce-type") != _DECISION:
        return Glance()
    try:
        return _GLANCED.decode(stored.data).state
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Glance()


def waits_as(stored: Stored) -> QueueEntry | None:
    """Return the turn of the run whose last decision this is; None when it is not queued, or makes no sense."""
    state = glance(stored)
    entry = state.queue
    queued = state.phase == "queued" and entry is not None and stored.subject == subjects.decision(entry.uid)
    return entry if queued else None
