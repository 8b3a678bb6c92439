"""The public events of a decision: one for each transition that has a name for it (`what`), in order. Pure.

Every event of a run has an ordinal, counted from 0 over all its decisions: it says which event must come next, so that
any number of announcers may work at once and a subscriber can see a gap.
"""

from __future__ import annotations

from datetime import UTC, datetime

from schemas import subjects
from schemas.cloudevents import Event, traceparent
from schemas.messages import Decision, PublicEvent, StepRef, Transition, encode, public_type

SOURCE = "/kubernaut/scheduler"
ORDINAL = "ordinal"
"""Extension attribute (header `ce-ordinal`)."""


def first_ordinal(decision: Decision) -> int:
    """Return the ordinal of the decision's first event."""
    return decision.state.announced - sum(1 for transition in decision.transitions if transition.what)


def events(decision: Decision, decision_id: str) -> tuple[Event, ...]:
    """Return the public events of a decision, in order."""
    public = [(place, each) for place, each in enumerate(decision.transitions) if each.what]
    return tuple(
        _event(decision, decision_id, place, ordinal, transition)
        for ordinal, (place, transition) in enumerate(public, first_ordinal(decision))
    )


def _event(decision: Decision, decision_id: str, place: int, ordinal: int, transition: Transition) -> Event:
    uid = decision.workflow.uid
    identity = f"{uid}/{decision.version}/{place}"
    step = StepRef(number=transition.step, attempt=transition.attempt, action=transition.action)
    body = PublicEvent(
        workflow=decision.workflow,
        step=step if transition.entity == "step" else None,
        before=transition.before,
        after=transition.after,
        reason=transition.reason,
        message=transition.message,
        sequence=decision.version,
        time=decision.now,
    )
    return Event(
        subject=subjects.event(decision.workflow.namespace, uid, transition.entity, transition.what),
        id=identity,
        type=public_type(transition.entity, transition.what),
        source=SOURCE,
        data=encode(body),
        correlation_id=decision.correlation_id,
        causation_id=decision_id,
        traceparent=traceparent(uid, identity),
        extensions={
            ORDINAL: str(ordinal),
            "time": datetime.fromtimestamp(decision.now / 1000, UTC).isoformat(timespec="milliseconds"),
            "subject": f"{decision.workflow.namespace}/{decision.workflow.name}",
        },
    )
