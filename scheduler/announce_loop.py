"""The announcer's loop: publishes each decision's public transitions as events, each once, in order.

Not on a step's way. Any number of announcers may run: an event is published only right after the one with the ordinal
before it, under an expected sequence over all events of the run; who finds a gap fills it from the log.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import aclosing

import msgspec
import structlog

from runtime import chain
from runtime.backoff import Backoff
from runtime.deadletters import bury
from runtime.errors import ConflictError, UnavailableError
from runtime.keyed import KeyedWork
from runtime.ports import Delivery, Log, Stored
from runtime.redrive import unwrapped
from scheduler.announce import ORDINAL, events, first_ordinal
from scheduler.decision_messages import decode_decision
from schemas import subjects
from schemas.cloudevents import MESSAGE_ID
from schemas.messages import Decision

IN_HAND = 512
SIDE_BY_SIDE = 16
REMEMBERED = 5_000
TRIES = 20
_DIGITS = 16


class Head(msgspec.Struct, frozen=True):
    """The last public event of a run."""

    ordinal: int = -1
    sequence: int = 0


class Announcer:
    """Makes the public events from the decisions."""

    def __init__(self, log: Log, logger: structlog.typing.FilteringBoundLogger) -> None:
        self._log = log
        self._logger = logger
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._backoff = Backoff(first=0.5, most=5.0)
        self.work = KeyedWork(self.handle, side_by_side=SIDE_BY_SIDE)

    async def pull(self) -> None:
        """Take decisions from the log for ever."""
        async with aclosing(self._log.consume(subjects.ANNOUNCER, in_hand=IN_HAND)) as deliveries:
            async for came in deliveries:
                delivery = await unwrapped(self._log, came, subjects.ANNOUNCER)
                if delivery is None:
                    continue
                uid = delivery.message.subject.rsplit(".", 1)[1]
                if uid == subjects.QUEUE:  # the decisions of the queue of runs are no run's: they have no events
                    await delivery.ack()
                else:
                    self.work.add(uid, delivery)

    async def handle(self, uid: str, deliveries: list[Delivery]) -> None:
        """Publish the events of all waiting decisions of one workflow, then acknowledge."""
        for delivery in deliveries:
            try:
                decision = decode_decision(delivery.message)
                await self._announce(uid, decision, delivery.message.headers["ce-id"])
            except (ValueError, TypeError, OverflowError, msgspec.MsgspecError) as error:
                await self._bury(delivery, str(error))
                continue
            except UnavailableError as error:
                self._heads.pop(uid, None)
                self._logger.warning("announcement_delayed", workflow=uid, error=str(error))
                await delivery.nak(self._backoff.next())
                continue
            self._backoff.reset()
            await delivery.ack()

    async def _bury(self, delivery: Delivery, error: str) -> None:
        self._logger.error("message_buried", sequence=delivery.message.sequence, error=error)
        await bury(self._log, delivery, consumer=subjects.ANNOUNCER.name, error=error)

    async def _announce(self, uid: str, decision: Decision, decision_id: str) -> None:
        namespace = decision.workflow.namespace
        for _ in range(TRIES):
            head = self._heads.get(uid) or await self._read_head(namespace, uid)
            try:
                if head.ordinal < first_ordinal(decision) - 1:
                    head = await self._fill(namespace, uid, head, decision)
                head = await self._publish(namespace, uid, head, decision, decision_id)
            except ConflictError:
                self._heads.pop(uid, None)
                continue
            self._remember(uid, head)
            return
        message = f"{TRIES} others were first in a row"
        raise UnavailableError(message)

    async def _publish(self, namespace: str, uid: str, head: Head, decision: Decision, decision_id: str) -> Head:
        for event in events(decision, decision_id):
            ordinal = int(event.extensions[ORDINAL])
            if ordinal <= head.ordinal:
                continue
            published = await self._log.publish(
                event, expect=head.sequence, expect_filter=subjects.events_of(namespace, uid)
            )
            head = Head(ordinal, published.sequence)
        return head

    async def _fill(self, namespace: str, uid: str, head: Head, until: Decision) -> Head:
        """Publish the events of the decisions before `until` that nobody has announced yet.

        Raises ValueError when one of them cannot be read: what comes after it must not be told before it.
        """
        async with aclosing(self._log.scan(subjects.LOG.name, subjects.decision(uid))) as decisions:
            async for stored in decisions:
                if not chain.version(stored):
                    continue  # a stray message is none of the chain
                decision = _decision(stored)
                if decision.version >= until.version:
                    break
                head = await self._publish(namespace, uid, head, decision, stored.headers["ce-id"])
        return head

    async def _read_head(self, namespace: str, uid: str) -> Head:
        stream, subject = subjects.EVENT_STREAM.name, subjects.events_of(namespace, uid)
        stored = await self._log.last(stream, subject)
        if stored is None:
            return Head()
        if chain.EXPECTED in stored.headers and (ordinal := _ordinal(stored)) >= 0:
            return Head(ordinal, stored.sequence)
        highest = -1  # somebody else has stored something there: the events before it tell
        async with aclosing(self._log.scan(stream, subject)) as told:
            async for each in told:
                highest = max(highest, _ordinal(each))
        return Head(highest, stored.sequence)

    def _remember(self, uid: str, head: Head) -> None:
        self._heads[uid] = head
        self._heads.move_to_end(uid)
        while len(self._heads) > REMEMBERED:
            self._heads.popitem(last=False)


def _decision(stored: Stored) -> Decision:
    try:
        return decode_decision(stored)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        message = f"the decision at {stored.sequence}, which comes before it, cannot be read: {error}"
        raise ValueError(message) from error


def _ordinal(stored: Stored) -> int:
    """Return the ordinal of one of our events; -1 for what is none, or a copy of one under another id."""
    ordinal = stored.headers.get(f"ce-{ORDINAL}", "")
    known = stored.headers.get(MESSAGE_ID, "") == stored.headers.get("ce-id", "")
    return int(ordinal) if known and ordinal.isascii() and ordinal.isdigit() and len(ordinal) < _DIGITS else -1
