"""Every minute: does the watch come as far as what the API server has stored? Only this finds a frozen watch cache.

A watch is silent while nothing happens, and so is one behind a cache that has stopped, a server that is cut off from
etcd, or one that was restored from a backup. The question costs no write: a consistent list of one object has etcd's
own revision, and the watch must get there, by an event or a bookmark. Whether anything was really missed is then asked
of a whole list, because an old server may let an idle watch lag behind for ever (docs/decisions/0013-freshness.md).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from runtime.errors import KubernautError
from watcher import metrics
from watcher.objects import UnreadableError, version_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.health import Dependency
    from watcher.parts import Parts
    from watcher.resync_loop import Resync
    from watcher.watch_loop import Watching

SPREAD: Final = 0.2
PATIENCE: Final = 1.5
"""How many intervals a watch has to come as far: bookmarks come about every 60 s."""
ANSWER_SECONDS: Final = 10.0
RENEW: Final = 2
"""After so many misses on end the watch is given up: a new connection may get another server."""
UNREADY: Final = 3
"""After so many the view is not ready: nothing that we can do makes it see."""
LOOK: Final = 0.5


class Freshness:
    """Holds the watch of one view against the store, for as long as the process lives."""

    def __init__(
        self,
        parts: Parts,
        watching: Watching,
        resync: Resync,
        *,
        dependency: Dependency,
        draw: Callable[[], float],
        every: float,
    ) -> None:
        """`draw` gives numbers in [0, 1); `every` in seconds."""
        self.misses = 0
        """Checks on end that found the watch behind."""
        self._parts = parts
        self._view = parts.view
        self._watching = watching
        self._resync = resync
        self._dependency = dependency
        self._draw = draw
        self._every = every

    async def run(self) -> None:
        """Check now and then, while there is a watch; trouble with having one is the watch loop's to tell."""
        while True:
            await asyncio.sleep(self._every * (1 - SPREAD + 2 * SPREAD * self._draw()))
            if not self._watching.is_running():
                continue
            reason = await self.check()
            if self._watching.is_running():
                self._take(reason)

    async def check(self) -> str:
        """Ask once; return why the watch cannot be trusted, nothing when it can."""
        before, found, view = self._watching.position, self._resync.found, self._view
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                page = await self._parts.cluster.list(view.resource, view.namespace, limit=1)
            newest = version_of(page.resource_version)
            if newest < before:
                return f"the store went back from version {before} to {newest}; was etcd restored from a backup?"
            if await self._reaches(newest, self._every * PATIENCE) or self._log_is_behind():
                return ""
            await self._resync.overdue(newest)
        except TimeoutError:
            return f"the API server does not say within {ANSWER_SECONDS:.0f} s which version is the newest"
        except (KubernautError, UnreadableError) as error:
            return f"the API server does not say which version is the newest: {error}"
        position, missed = self._watching.position, self._resync.found - found
        if not missed or position >= newest:
            return ""
        return f"the watch is at version {position}, the store at {newest}, and {missed} changes were never told"

    async def _reaches(self, version: int, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while self._watching.position < version and self._watching.is_running():  # noqa: ASYNC110 - as the resync
                    await asyncio.sleep(min(LOOK, seconds / 4))
        except TimeoutError:
            return False
        return True

    def _log_is_behind(self) -> bool:
        """Whether the log is what keeps the watch from being read on."""
        return self._parts.floor.version < self._watching.position

    def _take(self, reason: str) -> None:
        if not reason:
            self.misses = 0
            self._dependency.ok(f"the watch came to version {self._watching.position}")
            return
        self.misses += 1
        metrics.STALE.labels(self._view.plural).inc()
        self._parts.say.error("watch_is_stale", view=self._view.name, misses=self.misses, reason=reason)
        if self.misses >= UNREADY:
            self._dependency.failed(reason)
        if self.misses >= RENEW:
            self._watching.give_up(reason)
