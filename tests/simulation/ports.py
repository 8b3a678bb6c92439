"""The ports as one process sees them: the fakes behind a line that is slow, breaks, and loses answers."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from runtime.errors import GoneError, StreamBrokenError
from runtime.kinds import ACCESS_REVIEWS
from tests.auditor.fake_store import FakeStore
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from auditor.learning import ActionFacts
    from auditor.ports import Entry, Written
    from auditor.rows import Row
    from runtime.ports import Delivery, Object, Page, Patch, Published, Resource, WatchEvent
    from schemas.cloudevents import Event
    from schemas.subjects import Consumer
    from tests.auditor.fake_store import Database
    from tests.fakes.broker import Broker, Out, Puller
    from tests.simulation.cluster import JournalCluster
    from tests.simulation.processes import Process


class SimLog(FakeLog):
    """The log of one process."""

    def __init__(self, broker: Broker, process: Process) -> None:
        super().__init__(broker)
        self._process = process
        self.shuffled_until = 0.0
        """Until when messages are handed out in any order, by the loop's clock."""

    async def publish(self, event: Event, *, expect: int | None = None, expect_filter: str | None = None) -> Published:
        """See `Log.publish`."""
        published = await super().publish(event, expect=expect, expect_filter=expect_filter)
        await self._process.after("log", wrote=True)
        return published

    async def schedule(self, event: Event, *, at_ms: int, target: str) -> None:
        """See `Log.schedule`."""
        await super().schedule(event, at_ms=at_ms, target=target)
        await self._process.after("log", wrote=True)

    async def consume(self, consumer: Consumer, *, in_hand: int) -> AsyncGenerator[Delivery, None]:
        """See `Log.consume`."""
        async with aclosing(super().consume(consumer, in_hand=in_hand)) as deliveries:
            async for delivery in deliveries:
                if self._shuffled():
                    await asyncio.sleep(self._process.draw() * 0.2)  # so that others come that may overtake it
                yield delivery

    def _shuffled(self) -> bool:
        return self._process.now() < self.shuffled_until

    def _next(self, puller: Puller) -> Out:
        if self._shuffled():
            puller.fetched.rotate(-int(self._process.draw() * len(puller.fetched)))
        return super()._next(puller)

    async def _turn(self) -> None:
        await self._process.before("log")
        await super()._turn()


class SimStore(FakeStore):
    """The store of one process."""

    def __init__(self, database: Database, process: Process) -> None:
        super().__init__(database)
        self._process = process

    async def write(self, entries: Sequence[Entry]) -> Written:
        """See `AuditStore.write`."""
        await self._process.before("store")
        written = await super().write(entries)
        await self._process.after("store", wrote=True)
        return written

    async def quarantine(self, row: Row, reason: str) -> Written:
        """See `AuditStore.quarantine`."""
        await self._process.before("store")
        written = await super().quarantine(row, reason)
        await self._process.after("store", wrote=True)
        return written

    async def facts(self, actions: Sequence[str], most: int) -> list[ActionFacts]:
        """See `Experience.facts`."""
        await self._process.before("store")
        return await super().facts(actions, most)

    async def tend(self) -> None:
        """See `AuditStore.tend`."""
        await self._process.before("store")


class SimCluster:
    """The API as one process sees it."""

    def __init__(self, cluster: JournalCluster, process: Process) -> None:
        self._cluster = cluster
        self._process = process

    async def list(self, resource: Resource, namespace: str | None, *, limit: int = 500, next_page: str = "") -> Page:
        """See `Cluster.list`."""
        await self._process.before("api")
        page = await self._cluster.list(resource, namespace, limit=limit, next_page=next_page)
        await self._process.after("api", wrote=False)
        return page

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Cluster.get`."""
        await self._process.before("api")
        found = await self._cluster.get(resource, namespace, name)
        await self._process.after("api", wrote=False)
        return found

    async def version(self) -> Object:
        """See `Cluster.version`."""
        await self._process.before("api")
        return await self._cluster.version()

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """See `Cluster.create`."""
        asked_at = self._cluster.time()
        await self._process.before("api")
        self._cluster.asked_at = asked_at
        made = await self._cluster.create(resource, namespace, body)
        await self._process.after("api", wrote=resource != ACCESS_REVIEWS)
        return made

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """See `Cluster.replace_status`."""
        await self._process.before("api")
        made = await self._cluster.replace_status(resource, namespace, name, body)
        await self._process.after("api", wrote=True)
        return made

    async def patch(self, resource: Resource, namespace: str, name: str, body: Any, *, kind: Patch = "merge") -> Object:
        """See `Cluster.patch`."""
        await self._process.before("api")
        made = await self._cluster.patch(resource, namespace, name, body, kind=kind)
        await self._process.after("api", wrote=True)
        return made

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> None:
        """See `Cluster.delete`."""
        await self._process.before("api")
        await self._cluster.delete(resource, namespace, name, uid=uid)
        await self._process.after("api", wrote=True)

    async def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str
    ) -> AsyncGenerator[WatchEvent, None]:
        """See `Cluster.watch`. A cut ends it with an error, or in order, also while nothing happens."""
        process = self._process
        await process.before("api")
        start = int(resource_version)
        if start < self._cluster.compacted:
            raise GoneError(f"too old resource version: {start} ({self._cluster.compacted})")
        cuts, position = process.cuts, 0
        while True:
            while position < len(self._cluster.history):
                change = self._cluster.history[position]
                position += 1
                if change.concerns(resource, namespace, start):
                    await process.lag()
                    if process.swallows > 0 and change.event.type != "BOOKMARK":
                        process.swallows -= 1
                        self._cluster.swallowed += 1
                        continue
                    if process.repeats > 0:
                        process.repeats -= 1
                        for again in self._told(resource, namespace, start, position):
                            yield again
                    yield change.event
            if process.cuts != cuts:
                if process.cut_roughly:
                    raise StreamBrokenError("the stream was cut")
                return
            await self._cluster.changed()

    def _told(self, resource: Resource, namespace: str | None, start: int, position: int) -> list[WatchEvent]:
        """Some of what a watch has told before: an API server that is behind tells it once more."""
        first = int(self._process.draw() * position)
        told = self._cluster.history[first:position]
        return [each.event for each in told if each.concerns(resource, namespace, start)]

    async def close(self) -> None:
        """Nothing is open."""
        await asyncio.sleep(0)
