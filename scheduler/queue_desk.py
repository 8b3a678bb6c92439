"""The desk of the queue of runs: takes what the runs of this process ask, decides on all that waits at once, publishes.

Must never answer from memory alone: an answer comes from a decision that it has just published under the sequence of
the one before, or from a head that it read after it was asked. Rules for those who ask: decision record 0009.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Final

import msgspec
import structlog

from runtime import chain
from runtime.errors import ConflictError, KubernautError, UnavailableError
from runtime.ports import Log
from scheduler import metrics
from scheduler.decision_messages import QUEUE_SUBJECT, decode_queue, glance, queue_event, waits_as
from scheduler.queueing import Release, Request, decide_queue, needs_refill
from schemas import subjects
from schemas.messages import TYPE_OF, Cause, QueueDecided
from schemas.queue_state import WAITING_LIMIT, QueueEntry, QueueState
from schemas.workflow_status import TERMINAL_PHASES

TOGETHER: Final = 256
"""Calls that one decision takes in; their causes are some 40 KB of it."""
TRIES: Final = 20
"""Conflicts in a row before the calls are refused; more than a few mean that something is wrong."""
_KIND: Final = TYPE_OF[QueueDecided]


class Head(msgspec.Struct, frozen=True):
    """The last decision of the queue and where it is; None, 0 and empty when there is none."""

    decision: QueueDecided | None = None
    sequence: int = 0
    id: str = ""
    active: frozenset[str] = frozenset()

    @property
    def state(self) -> QueueState:
        """The state after it."""
        return self.decision.state if self.decision is not None else QueueState()

    @property
    def held(self) -> frozenset[str]:
        """Uids of all runs that it names."""
        return self.active | {entry.uid for entry in self.state.waiting}

    @property
    def cause(self) -> Cause:
        """The decision as a cause of what follows from it."""
        return Cause(self.id, self.sequence, _KIND)


class _Call:
    """One who waits at the desk. `item` None: only wants to know the head."""

    def __init__(self, item: Request | Release | None, now: int = 0) -> None:
        self.item = item
        self.now = now
        self.answer: Head | None = None
        self.trouble = ""


class Desk:
    """Hands out places; one for all runs of a process, any number of processes on one log."""

    def __init__(
        self, log: Log, logger: structlog.typing.FilteringBoundLogger, limit: int, *, room: int = WAITING_LIMIT
    ) -> None:
        """`limit`: how many runs may be active at once; `room`: how many of those that wait are named."""
        self._log = log
        self._logger = logger
        self._limit = limit
        self._room = room
        self._head: Head | None = None
        """What was the head when it was last looked at, for speed only."""
        self._calls: deque[_Call] = deque()
        self._serving = asyncio.Lock()

    async def ask(self, entry: QueueEntry, cause: Cause, *, now: int = 0) -> tuple[bool, Cause]:
        """Ask for a place: whether the run has one, and the decision of the queue that says so.

        Idempotent. A run that has none must ask again once the log holds that it is queued, before it acknowledges:
        only then nobody can overlook it. `now`: broker time in ms. Raises UnavailableError.
        """
        head = await self._settle(_Call(Request(entry, cause), now))
        return entry.uid in head.active, head.cause

    async def leave(self, uid: str, cause: Cause, *, now: int = 0) -> None:
        """Give back the place of a run that has ended, or its place in the line; idempotent.

        Returns when the queue does not hold it, by a decision just published or by the head as it is now. Raises
        UnavailableError.
        """
        await self._settle(_Call(Release(uid, cause), now))

    async def free_finished(self, uids: Iterable[str]) -> tuple[str, ...]:
        """Give back the places that some of these runs still hold although they have ended; return whose they were.

        Looks for itself whether the log says that a run has ended. Also lets a raised limit take effect and reads on
        for those who are not named, where nobody has asked or left for long. Raises UnavailableError.
        """
        head = await self._settle(_Call(None))
        freed = []
        for uid in sorted(head.held.intersection(uids)):
            stored = (await chain.head(self._log, subjects.decision(uid))).link
            if stored is not None and glance(stored).phase in TERMINAL_PHASES:
                kind = stored.headers.get("ce-type", "")
                await self.leave(uid, Cause(stored.headers.get("ce-id", ""), stored.sequence, kind), now=stored.time_ms)
                self._logger.warning("leaked_place_freed", workflow=uid)
                freed.append(uid)
        return tuple(freed)

    async def _settle(self, call: _Call) -> Head:
        """Wait for the turn of a call: whoever is next at the desk decides for all that have come meanwhile."""
        self._calls.append(call)
        try:
            async with self._serving:
                while call.answer is None and not call.trouble:
                    await self._serve()
        finally:
            with suppress(ValueError):  # only when it was given up before it was answered
                self._calls.remove(call)
        if call.answer is None:
            raise UnavailableError(call.trouble)
        return call.answer

    async def _serve(self) -> None:
        calls = [self._calls.popleft() for _ in range(min(TOGETHER, len(self._calls)))]
        try:
            head = await self._decide(calls)
            if needs_refill(head.state, room=self._room):
                head = await self._refill_safely(head)
        except KubernautError as error:
            self._head = None
            for call in calls:
                call.trouble = str(error)
        except BaseException:  # the one who serves gives up: the next one serves the others
            self._head = None
            self._calls.extendleft(reversed(calls))
            raise
        else:
            for call in calls:
                call.answer = head

    async def _decide(self, calls: Sequence[_Call]) -> Head:
        requests = [call.item for call in calls if isinstance(call.item, Request)]
        releases = [call.item for call in calls if isinstance(call.item, Release)]
        now = max((call.now for call in calls), default=0)
        for _ in range(TRIES):
            fresh = self._head is None
            head = self._head or await self._load()
            decision = decide_queue(
                head.decision, requests, releases, None, limit=self._limit, now=now, room=self._room
            )
            if decision is not None:
                published = await self._publish(decision, head)
                if published is not None:
                    return published
            elif fresh:
                self._head = head
                return head
            else:  # no publish has proven that what is remembered is still the head
                self._head = None
        raise UnavailableError(f"queue of runs: {TRIES} others were first in a row")

    async def _refill_safely(self, head: Head) -> Head:
        try:
            return await self._refill(head)
        except UnavailableError as error:
            if not head.state.waiting:  # nobody may get a place before it is done: those who asked must come again
                raise
            self._head = None
            self._logger.warning("queue_refill_delayed", error=str(error))
            return head

    async def _refill(self, head: Head) -> Head:
        """Name those that come next, from the log, until enough are named.

        Nothing else is decided here meanwhile, so that what was read is lost only to another process.
        """
        for _ in range(TRIES):
            if not needs_refill(head.state, room=self._room):
                return head
            found = await self._queued(head.held)
            decision = decide_queue(head.decision, [], [], found, limit=self._limit, now=0, room=self._room)
            published = await self._publish(decision, head) if decision is not None else head
            head = published or await self._load()
        raise UnavailableError(f"queue of runs: {TRIES} others were first in a row to read on")

    async def _queued(self, held: frozenset[str]) -> list[QueueEntry]:
        """Read the best of all runs whose last decision says that they are queued and that are not held."""
        metrics.QUEUE_REFILLS.inc()
        most = self._room + 1  # one more than can be named says that there are others
        best: list[QueueEntry] = []
        async with aclosing(self._log.scan(subjects.LOG.name, subjects.DECISIONS, last_per_subject=True)) as found:
            async for last in found:
                stored = last if chain.version(last) else (await chain.head(self._log, last.subject)).link
                entry = waits_as(stored) if stored is not None else None
                if entry is not None and entry.uid not in held:
                    best.append(entry)
                    if len(best) >= 2 * most:
                        best = sorted(best)[:most]
        return sorted(best)[:most]

    async def _load(self) -> Head:
        found = await chain.head(self._log, QUEUE_SUBJECT)
        stored = found.link
        if stored is None:
            return Head(sequence=found.end)
        try:
            decision = decode_queue(stored)
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            raise UnavailableError(
                f"the last decision of the queue of runs (sequence {stored.sequence}) cannot be read: {error};"
                " no run gets a place while it is the last on its subject"
            ) from error
        head = Head(decision, found.end, stored.headers["ce-id"], frozenset(decision.state.active))
        metrics.count_queue(head.state)
        return head

    async def _publish(self, decision: QueueDecided, head: Head) -> Head | None:
        """Publish the decision that follows the head; None when another process was first."""
        event = queue_event(decision)
        try:
            published = await self._log.publish(event, expect=head.sequence)
        except ConflictError:
            self._head = None
            return None
        self._head = Head(decision, published.sequence, event.id, frozenset(decision.state.active))
        if not published.duplicate:
            metrics.QUEUE_DECISIONS.inc()
        metrics.count_queue(decision.state)
        self._logger.info(
            "queue_decided",
            version=decision.version,
            sequence=published.sequence,
            admitted=len(decision.admitted),
            left=len(decision.left),
            active=len(decision.state.active),
            waiting=len(decision.state.waiting),
            overflow=decision.state.overflow,
        )
        return self._head
