"""Puts what was seen on the log: each object in order, many objects side by side, nothing dropped, nothing twice.

At most `WINDOW` publishes are in flight and at most `WAITING` versions or `WAITING_BYTES` wait; then the watch is not
read on, so that memory stays bounded and the rest waits at the API server. A publish is tried until the log has it,
for as long as that takes: the log's own expected sequence makes a repeat harmless.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from runtime.backoff import Backoff
from runtime.errors import ConflictError, RefusedError, TooLargeError, UnavailableError
from runtime.keyed import KeyedWork
from schemas.subjects import LOG
from watcher import metrics
from watcher.changes import Message, Sighting, message_for
from watcher.floor import Floor, Ticket
from watcher.known import Entry
from watcher.pace import LOG_MOST

if TYPE_CHECKING:
    import structlog

    from runtime.ports import Log
    from watcher.known import Known
    from watcher.owners import Owners
    from watcher.view import View

WINDOW: Final = 64
WAITING: Final = 1000
WAITING_BYTES: Final = 32 * 1024 * 1024
CONFLICT_SECONDS: Final = 0.05
"""First bound of the pause after a conflict that comes again: another watcher publishes the same object."""

Correlations = dict[str, str]
"""Uid of each workflow whose RemediationRequest is known -> its name; the views of both resources share it."""


class Job(msgspec.Struct, frozen=True):
    """A sighting on its way, the ticket of its version when a watch has told it, and its size in bytes."""

    sighting: Sighting
    ticket: Ticket | None
    size: int


class Publisher:
    """Puts the sightings of one view on the log."""

    def __init__(
        self,
        view: View,
        log: Log,
        known: Known,
        floor: Floor,
        *,
        correlations: Correlations,
        owners: Owners | None = None,
        say: structlog.typing.FilteringBoundLogger,
    ) -> None:
        """Everything is shared with the loop of the view; `say` is the service's logger.

        `owners`: asked before a deletion is told, where the objects of the view have owners that are watched as well.
        """
        self.published = 0
        """Messages put on the log since the start."""
        self.tombstones = 0
        """Of these, synthesized deletions."""
        self._view = view
        self._log = log
        self._known = known
        self._floor = floor
        self._correlations = correlations
        self._owners = owners
        self._say = say
        self._work: KeyedWork[Job] = KeyedWork(self._handle, side_by_side=WINDOW)
        self._bytes = 0
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Publish for ever."""
        await self._work.run()

    async def offer(self, sighting: Sighting, *, size: int, ticketed: bool) -> None:
        """Hand over a sighting of `size` bytes; waits while too many are on their way.

        `ticketed`: a watch has told it, so that the floor must wait for it.
        """
        while self._work.pending >= WAITING or self._bytes >= WAITING_BYTES:
            self._room.clear()
            await self._room.wait()
        ticket = self._floor.begin(sighting.at) if ticketed else None
        self._bytes += size
        self._work.add(sighting.seen.uid, Job(sighting, ticket, size))
        metrics.PENDING.labels(self._view.plural).inc()

    async def settled(self) -> None:
        """Return once everything that was handed over is on the log."""
        await self._work.finished()

    async def _handle(self, uid: str, jobs: list[Job]) -> None:
        for job in jobs:
            await self._settle(uid, job.sighting)
            if job.ticket is not None:
                self._floor.end(job.ticket)
            self._bytes -= job.size
            self._room.set()
        metrics.PENDING.labels(self._view.plural).dec(len(jobs))

    async def _settle(self, uid: str, sighting: Sighting) -> None:
        """Publish until the log has this version or a newer one."""
        backoff, again = Backoff(most=LOG_MOST), Backoff(first=CONFLICT_SECONDS, most=LOG_MOST)
        if self._owners is not None and not self._known.is_gone(uid):
            await self._owners.first(sighting)
        while not self._known.is_gone(uid):
            message = message_for(
                self._view,
                self._known.get(uid),
                sighting,
                floor=self._floor.version,
                correlation=self._correlations.get(sighting.seen.workflow, ""),
            )
            if message is None:
                metrics.OLD_NEWS.labels(self._view.plural).inc()
                return
            try:
                stored = await self._log.publish(message.event, expect=message.expect, expect_filter=message.filter)
            except ConflictError:
                await self._read_back(uid, message, sighting, again)
            except TooLargeError:
                if sighting.further:
                    self._say.error("left_out", resource=self._view.plural, uid=uid, reason="its name is too large")
                    return
                sighting = self._reduced(sighting, len(message.event.data))
            except (UnavailableError, RefusedError) as error:
                self._say.warning("publish_delayed", id=message.event.id, reason=str(error))
                await asyncio.sleep(backoff.next())
            else:
                self._note(uid, message, stored.sequence)
                if not stored.duplicate:
                    self._count(message, synthesized=sighting.synthesized)
                return

    def _note(self, uid: str, message: Message, sequence: int) -> None:
        if message.entry is None:
            self._known.put_gone(uid)
            if self._view.of_workflows:
                self._correlations.pop(uid, None)
        else:
            self._known.put(uid, msgspec.structs.replace(message.entry, sequence=sequence))
            if self._view.of_workflows and message.entry.correlation != uid:
                self._correlations[uid] = message.entry.correlation

    def _count(self, message: Message, *, synthesized: bool) -> None:
        """Count what is new on the log; what another watcher was first with, it has counted."""
        self.published += 1
        self.tombstones += synthesized
        if message.entry is None:
            what = "tombstone"
        else:
            what = "status" if message.event.subject.startswith("kubernaut.change.status.") else "whole"
        metrics.PUBLISHED.labels(self._view.plural, what).inc()

    async def _read_back(self, uid: str, message: Message, sighting: Sighting, again: Backoff) -> None:
        """Somebody else published this object: learn what the log has, and decide again."""
        before = self._known.get(uid)
        try:
            last = await self._log.last(LOG.name, message.filter)
        except UnavailableError as error:
            self._say.warning("read_back_failed", id=message.event.id, reason=str(error))
            await asyncio.sleep(again.next())
            return
        if last is not None:
            self._known.take(last)
            self._known.end_at(uid, last.sequence, Entry.unknown(sighting.seen.namespace, sighting.seen.workflow))
        elif before is not None:
            # Retention has dropped the object's messages; its version still counts.
            self._known.put(uid, msgspec.structs.replace(before, sequence=0))
        if self._known.get(uid) == before and not self._known.is_gone(uid):
            await asyncio.sleep(again.next())

    def _reduced(self, sighting: Sighting, size: int) -> Sighting:
        """Nothing is lost without a word: a version that the log does not take is told with its metadata only."""
        metrics.OVERSIZED.labels(self._view.plural).inc()
        self._say.warning("oversized", resource=self._view.plural, uid=sighting.seen.uid, bytes=size)
        further = bool(sighting.oversized)
        return msgspec.structs.replace(sighting, oversized=sighting.oversized or size, further=further)
