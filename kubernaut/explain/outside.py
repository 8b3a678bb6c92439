"""What no state of a run knows, asked of the servers: whether effects are frozen, and whose turn it is in the queue."""

from __future__ import annotations

from typing import Final

import msgspec

from executor_bridge.reasons import Freeze, Place
from kubernaut.cli.consumer_pause import jetstream_at, look
from kubernaut.explain.report import Outside
from runtime.errors import KubernautError
from runtime.ports import Log, Stored
from scheduler.decision_messages import QUEUE_SUBJECT, decode_decision, decode_queue
from schemas import subjects
from schemas.run_state import RunState
from schemas.workflow import Priority

NAMED: Final = 5
"""How many of those before it are named."""
_PRIORITIES: Final[tuple[Priority, ...]] = ("critical", "high", "normal", "low")


async def frozen(nats_url: str) -> Freeze | None:
    """Return the freeze that holds now; None for none, and where that cannot be read."""
    try:
        async with jetstream_at(nats_url) as api:
            found = await look(api)
    except KubernautError:
        return None
    if not found.paused:
        return None
    return Freeze(since=found.since, until=found.until, by=found.by, because=found.reason)


async def turn(log: Log, uid: str, state: RunState) -> Outside:
    """Return whose turn it is before a run that is queued, and the message that says so."""
    if state.phase != "queued" or state.queue is None:
        return Outside()
    stored = await log.last(subjects.LOG.name, QUEUE_SUBJECT)
    if stored is None:
        return Outside()
    try:
        waiting = [entry.uid for entry in decode_queue(stored).state.waiting]
    except (ValueError, TypeError, msgspec.MsgspecError):
        return Outside()
    priority = _PRIORITIES[state.queue.rank]
    if uid not in waiting:
        return Outside(place=Place(priority=priority), queue=stored)
    position = waiting.index(uid)
    before = [await _name(log, other) for other in waiting[max(position - NAMED, 0) : position]]
    return Outside(place=Place(priority=priority, position=position + 1, before=tuple(before)), queue=stored)


async def _name(log: Log, uid: str) -> str:
    stored: Stored | None = await log.last(subjects.LOG.name, subjects.decision(uid))
    try:
        workflow = decode_decision(stored).workflow if stored else None
    except (ValueError, TypeError, msgspec.MsgspecError):
        workflow = None
    return f"{workflow.namespace}/{workflow.name}" if workflow else uid
