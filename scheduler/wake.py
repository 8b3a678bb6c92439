"""Arming the wake-up of a run: one at a time, at the earliest of its timers (docs/decisions/0008).

Must never be taken for the deadline itself: that is in the run's state, and a wake-up is only a reason to look at it.
So nothing here is taken back; a wake-up that nobody needs any more finds nothing due.
"""

from __future__ import annotations

from runtime.errors import RefusedError, UnavailableError
from runtime.ports import Log
from scheduler.announce import SOURCE
from schemas import subjects
from schemas.cloudevents import Event, traceparent
from schemas.messages import TYPE_OF, TimerDue, encode


class Waker:
    """Arms wake-ups on the log."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def arm(self, workflow_uid: str, due_at: int) -> None:
        """Have the run looked at, at `due_at` (ms since 1970) or up to 250 ms later, whatever happens to this process.

        Before the decision is published whose earliest timer it is. As often as one likes: it is one wake-up. Raises
        UnavailableError when the server does not take it; then the decision must wait too.
        """
        identity = f"{workflow_uid}/wake/{due_at}"
        event = timer_event(subjects.timer_schedule(workflow_uid, due_at), workflow_uid, due_at, identity)
        try:
            await self._log.schedule(event, at_ms=due_at, target=subjects.timer_due(workflow_uid, due_at))
        except RefusedError as error:
            raise UnavailableError(f"{error}; run python -m kubernaut.install") from error


def timer_event(subject: str, workflow_uid: str, due_at: int, identity: str) -> Event:
    """Return the message that something of a run may be due."""
    return Event(
        subject=subject,
        id=identity,
        type=TYPE_OF[TimerDue],
        source=SOURCE,
        data=encode(TimerDue(workflow_uid=workflow_uid, due_at=due_at)),
        correlation_id=workflow_uid,
        traceparent=traceparent(workflow_uid, identity),
    )
