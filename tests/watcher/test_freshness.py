"""A watch that tells nothing is found out, healed and said; one that has nothing to tell is left alone (F13)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from runtime.errors import UnavailableError
from runtime.kinds import WORKFLOWS
from runtime.metrics import REGISTRY
from tests.executor_bridge import virtual
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog
from tests.watcher.builders import a_workflow
from tests.watcher.harness import Watcher, body_of, changes, last_versions, real_versions, told
from watcher.freshness_loop import PATIENCE
from watcher.parts import Intervals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from runtime.ports import Resource, WatchEvent

MINUTE = 60.0
ONE_CHECK = MINUTE * (1.2 + PATIENCE * 10 / 9) + 1
"""Longest time from the end of one check to that of the next."""
NO_RESYNC = Intervals(resync=1e6, freshness=MINUTE)


class Freezing(FakeCluster):
    """Answers every list from the store; while it is frozen its watches tell nothing, as of a cache that stopped."""

    def __init__(self) -> None:
        super().__init__()
        self._goes = asyncio.Event()
        self._goes.set()

    def freeze(self) -> None:
        """Tell nothing more."""
        self._goes.clear()

    def thaw(self) -> None:
        """Tell all of it."""
        self._goes.set()

    async def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str
    ) -> AsyncGenerator[WatchEvent, None]:
        """See `Cluster.watch`."""
        async for event in super().watch(resource, namespace, resource_version=resource_version):
            await self._goes.wait()
            yield event


class World:
    """A watcher of one object whose resync is far away."""

    def __init__(self, cluster: Freezing, log: FakeLog, watcher: Watcher) -> None:
        self.cluster = cluster
        self.log = log
        self.watcher = watcher
        self._stale = self._counted()

    @property
    def stale(self) -> int:
        """Misses that the metric counted since the start."""
        return self._counted() - self._stale

    def stories(self) -> list[str]:
        """What the watcher told of itself."""
        return [story.what for story in told(self.log)]

    @staticmethod
    def _counted() -> int:
        return int(REGISTRY.get_sample_value("kubernaut_watch_stale_total", {"resource": WORKFLOWS.plural}) or 0)


@asynccontextmanager
async def a_world(intervals: Intervals = NO_RESYNC) -> AsyncIterator[World]:
    """A watcher that has seen one object."""
    cluster, log = Freezing(), FakeLog()
    cluster.put(WORKFLOWS, a_workflow("w"))
    async with Watcher(cluster, log, intervals=intervals) as watcher:
        await asyncio.sleep(1)
        yield World(cluster, log, watcher)


def test_a_frozen_watch_is_found_healed_and_given_up_and_then_the_view_is_not_ready() -> None:
    """(F13) Within three minutes a miss heals, a second takes a new watch, a third is the view's to answer for."""
    assert ONE_CHECK < 3 * MINUTE

    async def play() -> None:
        async with a_world() as world:
            world.cluster.freeze()
            unseen = world.cluster.put(WORKFLOWS, a_workflow("unseen"))["metadata"]["uid"]
            world.cluster.remove(WORKFLOWS, "shop", "w")
            await asyncio.sleep(ONE_CHECK)
            assert (1, []) == (world.stale, world.watcher.freshness.reasons)
            assert last_versions(world.log) == real_versions(world.cluster)
            assert world.stories() == ["started", "relisted"]

            world.cluster.put(WORKFLOWS, a_workflow("unseen", labels={"n": "2"}))
            await asyncio.sleep(ONE_CHECK)
            assert (2, []) == (world.stale, world.watcher.freshness.reasons)
            assert last_versions(world.log) == real_versions(world.cluster)
            assert world.stories()[-2:] == ["gap", "relisted"]

            world.cluster.put(WORKFLOWS, a_workflow("unseen", labels={"n": "3"}))
            await asyncio.sleep(ONE_CHECK)
            assert (3, 1) == (world.stale, len(world.watcher.freshness.reasons))
            assert "changes were never told" in world.watcher.freshness.reasons[0]
            assert last_versions(world.log) == real_versions(world.cluster)

            world.cluster.thaw()
            world.cluster.put(WORKFLOWS, a_workflow("unseen", labels={"n": "4"}))
            await asyncio.sleep(ONE_CHECK)
            assert (3, True) == (world.stale, world.watcher.freshness.well)
            assert [4, False] == [len(changes(world.log, unseen)), body_of(changes(world.log, unseen)[-1]).deleted]

    virtual.run(play())


def test_a_resync_that_was_first_to_heal_does_not_clear_the_watch() -> None:
    """What counts is that no watch has told it, not who found out."""

    async def play() -> None:
        async with a_world(Intervals(resync=MINUTE / 6, freshness=MINUTE)) as world:
            world.cluster.freeze()
            for number in range(40):
                world.cluster.put(WORKFLOWS, a_workflow("w", labels={"n": str(number)}))
                await asyncio.sleep(ONE_CHECK / 10)

            assert world.stale >= 3
            assert "changes were never told" in world.watcher.freshness.reasons[0]

    virtual.run(play())


def test_an_idle_watch_that_no_bookmark_moves_is_not_stale() -> None:
    """The version of the store rises by what concerns nobody here; then nothing was missed, and nothing is said."""

    async def play() -> None:
        async with a_world() as world:
            for _ in range(5):
                world.cluster.skip_versions(100)
                await asyncio.sleep(ONE_CHECK)

            assert (0, ["started"]) == (world.stale, world.stories())
            assert [] == world.watcher.freshness.reasons

    virtual.run(play())


def test_a_watch_that_comes_as_far_costs_a_list_of_one_object_a_minute() -> None:
    """The bookmark of the watch cache is enough."""

    async def play() -> None:
        async with a_world() as world:
            before = len(world.cluster.calls)
            for _ in range(50):
                world.cluster.skip_versions(100)
                world.cluster.send_bookmark(WORKFLOWS)
                await asyncio.sleep(MINUTE / 2)

            assert 10 <= len(world.cluster.calls) - before <= 32
            assert (0, ["started"]) == (world.stale, world.stories())

    virtual.run(play())


def test_a_server_that_cannot_say_how_new_it_is_is_not_trusted() -> None:
    """Cut off from etcd it answers no consistent list, while its watch stays open and silent."""

    async def play() -> None:
        async with a_world() as world:
            world.cluster.fail("list", UnavailableError("HTTP 504: etcdserver: request timed out"), times=30)
            await asyncio.sleep(2 * ONE_CHECK)

            assert world.stale >= 2
            assert "request timed out" in world.watcher.dependency.reasons[0]

    virtual.run(play())


def test_a_store_that_went_back_is_said() -> None:
    """After etcd was restored from a backup a watch from the version before is silent for ever."""

    async def play() -> None:
        async with a_world() as world:
            world.cluster.newest -= 1
            await asyncio.sleep(4 * ONE_CHECK)

            assert world.stale >= 1
            assert "the store went back" in world.watcher.dependency.reasons[0]

    virtual.run(play())


def test_a_log_that_takes_nothing_is_not_the_fault_of_the_watch() -> None:
    """What was read and waits for the log was told; nothing is given up for it."""

    async def play() -> None:
        async with a_world() as world:
            world.watcher.log.unavailable = True
            world.cluster.put(WORKFLOWS, a_workflow("w", labels={"n": "2"}))
            world.cluster.skip_versions(1)
            await asyncio.sleep(2 * ONE_CHECK)
            world.watcher.log.unavailable = False

            assert 0 == world.stale

    virtual.run(play())
