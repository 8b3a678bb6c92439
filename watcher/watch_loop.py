"""The endless loop of one view: recall from the log, list when that is needed, watch, and again.

Why nothing is lost when it is killed anywhere: a version that was read has a ticket until the log has it, every message
carries the floor below the oldest open ticket, and a restart watches from the largest floor in the log. So what was in
flight is seen again, whichever of it was stored; what was stored is dropped as old news. Without a floor, or when the
API server has forgotten the version, a list is compared with the log, object by object. A floor gets old while nothing
happens; each new watch (every 5 to 10 minutes) tells it again, and when the API server has forgotten even that one, the
list is what is left, and costs little on an idle cluster.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from runtime.errors import GoneError, KubernautError, StreamBrokenError, UnavailableError
from schemas.messages import WatchTold
from watcher import metrics
from watcher.changes import Sighting
from watcher.gather import learn
from watcher.objects import UnreadableError, bookmark
from watcher.pace import advice, reason_of
from watcher.relist import bury, compare, readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.health import Dependency
    from runtime.ports import WatchEvent
    from watcher.pace import Pace
    from watcher.parts import Parts


class Watching:
    """Watches one view for as long as the process lives."""

    def __init__(
        self, parts: Parts, *, proof: int, dependency: Dependency, pace: Pace, clock: Callable[[], float]
    ) -> None:
        """`proof`: sequence of the message that the floor comes from; `clock`: monotonic seconds."""
        self.position = parts.floor.version
        """Version that was read last; the publisher may still be at work on it."""
        self._parts = parts
        self._view = parts.view
        self._cluster = parts.cluster
        self._floor = parts.floor
        self._publisher = parts.publisher
        self._story = parts.story
        self._say = parts.say
        self._proof = proof
        self._dependency = dependency
        self._pace = pace
        self._clock = clock
        self._must_list = "" if parts.floor.version else "no floor of this view is in the log"
        self._gap = 0
        self._resumes = True
        self._stream: asyncio.Timeout | None = None
        self._given_up = ""

    def is_running(self) -> bool:
        """Whether there is a watch, as far as anybody knows."""
        return self._stream is not None

    def give_up(self, reason: str) -> None:
        """End the running watch, which nobody believes any more; a list closes the gap, over a new connection."""
        if self._stream is not None:
            self._given_up = reason
            self._stream.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Watch, whatever happens; ends by cancellation only."""
        troubled = True
        while True:
            error: Exception | None = None
            started = self._clock()
            try:
                await self._begin(troubled=troubled)
                started = self._clock()
                await self._watch()
            except (KubernautError, UnreadableError) as caught:
                error = caught
                self._take_trouble(caught)
            troubled = error is not None
            metrics.RESTARTS.labels(self._view.plural, reason_of(error)).inc()
            await asyncio.sleep(self._pace.wait(self._clock() - started, error))

    async def _begin(self, *, troubled: bool) -> None:
        """See to it that watching from `position` misses nothing. Raises what the API server answers."""
        if self._must_list:
            await self._relist(self._must_list)
        elif troubled:
            # A watch is silent while nothing happens; only a call that answers tells whether it can work at all.
            await self._cluster.list(self._view.resource, self._view.namespace, limit=1)
        self._dependency.ok(f"watching from version {self.position}")

    async def _relist(self, reason: str) -> None:
        blind_from = blind_to = 0
        if self._proof:
            if not self._gap:
                metrics.GAPS.labels(self._view.plural).inc()
                gap = WatchTold(
                    resource=self._view.plural,
                    what="gap",
                    shard=self._view.shard,
                    from_version=str(self.position or ""),
                    reason=reason,
                )
                self._gap = await self._story.tell(gap, floor=self._floor.version)
            blind_from, blind_to = await self._story.time_of(self._proof), await self._story.time_of(self._gap)
        await self._publisher.settled()
        before = self._publisher.published, self._publisher.tombstones
        version = await self._catch_up()
        told = WatchTold(
            resource=self._view.plural,
            what="relisted" if self._gap else "started",
            shard=self._view.shard,
            from_version=str(self.position or ""),
            to_version=str(version),
            blind_from=blind_from,
            blind_to=blind_to,
            published=self._publisher.published - before[0],
            tombstones=self._publisher.tombstones - before[1],
            reason=reason if self._gap else "",
        )
        self._floor.restart(version)
        self.position = version
        self._proof = await self._story.tell(told, floor=version)
        self._must_list, self._gap, self._resumes = "", 0, False
        self._say.info("listed", view=self._view.name, what=told.what, version=version, published=told.published)

    async def _catch_up(self) -> int:
        """Put every difference between a list and the log on the log; return the version of the list."""
        listed = await compare(self._parts, hand_over=True)
        await self._publisher.settled()
        await learn(self._parts.log, self._view, self._parts.known)
        for uid in list(self._parts.known.absent(listed.uids, listed.version)):
            await bury(self._parts, uid, listed.version)
        await self._publisher.settled()
        return listed.version

    async def _watch(self) -> None:
        try:
            async with asyncio.timeout(None) as self._stream:
                await self._follow()
        except TimeoutError as error:
            raise StreamBrokenError(self._given_up) from error
        finally:
            self._stream = None
        self._resumes = True

    async def _follow(self) -> None:
        events = self._cluster.watch(self._view.resource, self._view.namespace, resource_version=str(self.position))
        async with aclosing(events):
            async for event in events:
                if self._resumes:
                    await self._tell_resumed()
                await self._take(event)

    async def _tell_resumed(self) -> None:
        self._resumes = False
        resumed = WatchTold(
            resource=self._view.plural, what="resumed", shard=self._view.shard, from_version=str(self.position)
        )
        self._proof = await self._story.mention(resumed, floor=self._floor.version) or self._proof

    async def _take(self, event: WatchEvent) -> None:
        metrics.SEEN.labels(self._view.plural, event.type).inc()
        if event.type == "BOOKMARK":
            self._reach(bookmark(event.object))
            return
        seen = readable(self._view, event.object, self._say)
        if seen is None:
            return
        if self._view.owns(seen.uid):
            sighting = Sighting(seen=seen, deleted=event.type == "DELETED")
            await self._publisher.offer(sighting, size=memoryview(event.object).nbytes, ticketed=True)
            self.position = max(self.position, seen.version)
        else:
            self._reach(seen.version)

    def _reach(self, version: int) -> None:
        self.position = max(self.position, version)
        self._floor.reach(version)

    def _take_trouble(self, error: Exception) -> None:
        self._resumes = True
        if isinstance(error, GoneError | StreamBrokenError | UnreadableError):
            self._must_list = str(error)
        detail = advice(self._view, error)
        self._dependency.failed(detail)
        wait = error.retry_after if isinstance(error, UnavailableError) else None
        self._say.warning("watch_ended", view=self._view.name, reason=detail, retry_after=wait)
