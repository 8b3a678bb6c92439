"""Every ten minutes or so: a list from etcd itself against the log, for what a watch has swallowed without a word.

A frozen or faulty watch cache tells nothing, and nothing else would ever find out. What the running watch has not
delivered yet is not missed: the list is compared again once the watch has come as far.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from runtime.errors import KubernautError
from schemas.messages import WatchTold
from watcher import metrics
from watcher.changes import Sighting
from watcher.gather import learn
from watcher.objects import UnreadableError
from watcher.relist import bury, compare, is_news

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.parts import Parts
    from watcher.relist import Listed
    from watcher.watch_loop import Watching

SPREAD: Final = 0.2
LOOK: Final = 0.5


class Resync:
    """Checks one view against a list, for as long as the process lives."""

    def __init__(
        self,
        parts: Parts,
        watching: Watching,
        *,
        draw: Callable[[], float],
        every: float,
        patience: float,
    ) -> None:
        """`draw` gives numbers in [0, 1); `every` in seconds.

        `patience`: seconds in which the watch must have come as far as the list; bookmarks come about every 60 s.
        """
        self.found = 0
        """Changes since the start that no watch has told."""
        self._parts = parts
        self._view = parts.view
        self._known = parts.known
        self._floor = parts.floor
        self._say = parts.say
        self._watching = watching
        self._draw = draw
        self._every = every
        self._patience = patience

    async def run(self) -> None:
        """Check now and then, while there is a watch; trouble with having one is the watch loop's to tell and heal."""
        while True:
            await asyncio.sleep(self._every * (1 - SPREAD + 2 * SPREAD * self._draw()))
            if not self._watching.is_running():
                continue
            try:
                missed = await self.check()
            except (KubernautError, UnreadableError) as error:
                self._say.info("resync_left_out", view=self._view.name, reason=str(error))
                continue
            self._say.info("resynced", view=self._view.name, missed=missed)

    async def check(self) -> int:
        """Compare once; publish what was missed and return how much that is. Raises what the ports raise."""
        listed = await compare(self._parts, hand_over=False)
        if not await self._is_watched(listed.version):
            return 0
        return await self._heal(listed)

    async def overdue(self, version: int) -> None:
        """Publish what a list has and the log has not, for a watch that had its time to come to `version` and did not.

        What is newer is on its way, if it is; that takes a moment. Raises what the ports raise.
        """
        listed = await compare(self._parts, hand_over=False)
        await asyncio.sleep(max(LOOK, self._patience / 9))
        if self._watching.position < version:
            await self._heal(listed)

    async def _heal(self, listed: Listed) -> int:
        await learn(self._parts.log, self._view, self._known)
        missed = [newer for newer in listed.newer if is_news(self._known, newer.seen)]
        absent = list(self._known.absent(listed.uids, listed.version))
        if not missed and not absent:
            return 0
        self.found += len(missed) + len(absent)
        metrics.MISSED.labels(self._view.plural).inc(len(missed) + len(absent))
        for newer in missed:
            await self._parts.publisher.offer(Sighting(seen=newer.seen), size=newer.size, ticketed=False)
        for uid in absent:
            await bury(self._parts, uid, listed.version)
        await self._tell(listed.version, len(missed), len(absent))
        return len(missed) + len(absent)

    async def _is_watched(self, version: int) -> bool:
        """Wait for the watch to come as far as `version`; whether what the log has not got then is missing.

        It is not when the watch has told it and the log does not take it now; it is when the watch is stuck.
        """
        try:
            async with asyncio.timeout(self._patience):
                while self._floor.version < version:  # noqa: ASYNC110 - an event for each version would cost more
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            position = self._watching.position
            self._say.warning("watch_is_behind", view=self._view.name, position=position, list=version)
            return position < version
        return True

    async def _tell(self, version: int, missed: int, absent: int) -> None:
        told = WatchTold(
            resource=self._view.plural,
            what="relisted",
            shard=self._view.shard,
            from_version=str(self._watching.position),
            to_version=str(version),
            published=missed + absent,
            tombstones=absent,
            reason="the resync found changes that no watch has told",
        )
        await self._parts.story.tell(told, floor=self._floor.version)
