"""The Kubernetes API as the loops of all views use it: what asks one of them to wait is waited for by all of them.

Must never repeat a call, nor keep one back for longer than the server asked for.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from runtime.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runtime.ports import Cluster, Object, Page, Resource, WatchEvent

LONGEST_PAUSE: Final = 60.0
"""Seconds; a server that asks for more is asked again after this."""
_SHORTEST_SLEEP: Final = 0.001
"""Seconds; a rest that is smaller than the clock's step would be slept through again and again."""


class Api:
    """The calls of `runtime.ports.Cluster` that the watcher makes: reads, and nothing else."""

    def __init__(self, cluster: Cluster) -> None:
        """`cluster`: the connection that all views share."""
        self._cluster = cluster
        self._free_at = float("-inf")

    async def list(self, resource: Resource, namespace: str | None, *, limit: int = 500, next_page: str = "") -> Page:
        """See `Cluster.list`."""
        await self._turn()
        try:
            return await self._cluster.list(resource, namespace, limit=limit, next_page=next_page)
        except UnavailableError as error:
            self._heed(error)
            raise

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Cluster.get`."""
        await self._turn()
        try:
            return await self._cluster.get(resource, namespace, name)
        except UnavailableError as error:
            self._heed(error)
            raise

    async def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str
    ) -> AsyncGenerator[WatchEvent, None]:
        """See `Cluster.watch`."""
        await self._turn()
        try:
            async with aclosing(self._cluster.watch(resource, namespace, resource_version=resource_version)) as events:
                async for event in events:
                    yield event
        except UnavailableError as error:
            self._heed(error)
            raise

    async def _turn(self) -> None:
        """Return when the server may be asked; it may ask for more time meanwhile."""
        now = asyncio.get_running_loop().time
        while (wait := self._free_at - now()) > 0:  # noqa: ASYNC110 - another call may move the time on meanwhile
            await asyncio.sleep(max(wait, _SHORTEST_SLEEP))

    def _heed(self, error: UnavailableError) -> None:
        if error.retry_after:
            until = asyncio.get_running_loop().time() + min(error.retry_after, LONGEST_PAUSE)
            self._free_at = max(self._free_at, until)
