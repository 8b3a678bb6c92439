"""The resync finds what a watch has swallowed, and takes nothing for missed that is only on its way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from runtime.kinds import WORKFLOWS
from tests.eventually import eventually
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog
from tests.watcher.builders import a_workflow
from tests.watcher.harness import SAY, Reasons, Watcher, body_of, changes, last_versions, real_versions, told
from watcher.api import Api
from watcher.changes import Sighting
from watcher.floor import Floor
from watcher.known import Known
from watcher.objects import read
from watcher.pace import Pace
from watcher.parts import Parts
from watcher.publish import Publisher
from watcher.resync_loop import Resync
from watcher.story import Story
from watcher.view import View
from watcher.watch_loop import Watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VIEW = View(resource=WORKFLOWS)


class World:
    """A view whose watch tells nothing by itself: the test says how far it has come."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.log = FakeLog()
        self.floor = Floor(1)
        known = Known(VIEW)
        self.publisher = Publisher(VIEW, self.log, known, self.floor, correlations={}, say=SAY)
        self.parts = Parts(
            view=VIEW,
            cluster=Api(self.cluster),
            log=self.log,
            known=known,
            floor=self.floor,
            publisher=self.publisher,
            story=Story(self.log, VIEW, "test", SAY),
            say=SAY,
        )
        self.watching = Watching(self.parts, proof=0, dependency=Reasons(), pace=Pace(), clock=lambda: 0.0)
        self.resync = Resync(self.parts, self.watching, draw=lambda: 0.5, every=600.0, patience=0.6)

    async def watch(self, name: str) -> None:
        """Tell the newest version of an object, as the watch does."""
        raw = msgspec.Raw(msgspec.json.encode(await self.cluster.get(WORKFLOWS, "shop", name)))
        await self.publisher.offer(Sighting(seen=read(VIEW.plural, raw)), size=1, ticketed=True)

    def reach(self, version: int) -> None:
        """Let the watch come as far as this, as a bookmark does."""
        self.watching.position = version
        self.floor.reach(version)


@asynccontextmanager
async def a_world() -> AsyncIterator[World]:
    """A world whose publisher runs, with two objects that the watch has told."""
    world = World()
    publishing = asyncio.create_task(world.publisher.run())
    for name in "ab":
        world.cluster.put(WORKFLOWS, a_workflow(name))
        await world.watch(name)
    await world.publisher.settled()
    world.reach(world.cluster.newest)
    yield world
    publishing.cancel()


async def test_nothing_is_missed_when_the_log_has_everything() -> None:
    """A view that is whole tells nothing."""
    async with a_world() as world:
        missed = await world.resync.check()

        assert (missed, told(world.log)) == (0, [])


async def test_what_the_watch_has_swallowed_is_found() -> None:
    """A new object, a new version and a deletion that the watch went past are published and told."""
    async with a_world() as world:
        gone = world.cluster.put(WORKFLOWS, a_workflow("a"))["metadata"]["uid"]
        world.cluster.remove(WORKFLOWS, "shop", "a")
        world.cluster.put(WORKFLOWS, a_workflow("b", labels={"round": "2"}))
        world.cluster.put(WORKFLOWS, a_workflow("c"))
        world.reach(world.cluster.newest)

        missed = await world.resync.check()
        await world.publisher.settled()

        assert missed == 3
        assert last_versions(world.log) == real_versions(world.cluster)
        assert body_of(changes(world.log, gone)[-1]).synthesized
        assert [(story.what, story.published, story.tombstones) for story in told(world.log)] == [("relisted", 3, 1)]


async def test_the_end_of_what_only_another_watcher_has_told_is_found() -> None:
    """It told an object and died before it saw the deletion: no memory of this one holds either."""
    async with a_world() as world:
        uid = world.cluster.put(WORKFLOWS, a_workflow("c"))["metadata"]["uid"]
        async with Watcher(world.cluster, world.log, name="another"):
            await eventually(lambda: changes(world.log, uid))
        world.cluster.remove(WORKFLOWS, "shop", "c")
        world.reach(world.cluster.newest)

        assert await world.resync.check() == 1
        await world.publisher.settled()

        assert last_versions(world.log) == real_versions(world.cluster)
        assert body_of(changes(world.log, uid)[-1]).synthesized


async def test_what_comes_while_the_list_waits_is_not_missed() -> None:
    """The list is newer than the watch; once the watch has come as far there is nothing left to publish."""
    async with a_world() as world:
        world.cluster.put(WORKFLOWS, a_workflow("c"))
        checking = asyncio.create_task(world.resync.check())
        await asyncio.sleep(0)
        await world.watch("c")
        world.reach(world.cluster.newest)

        assert await checking == 0
        assert len(changes(world.log)) == 3


@pytest.mark.parametrize(
    ("read_by_the_watch", "missed"),
    [
        pytest.param(False, 1, id="a watch that is stuck has missed it"),
        pytest.param(True, 0, id="a log that takes nothing has not"),
    ],
)
async def test_patience_ends(read_by_the_watch: bool, missed: int) -> None:  # noqa: FBT001 - a table
    """When the floor does not come as far as the list, it matters who is to blame."""
    async with a_world() as world:
        world.cluster.put(WORKFLOWS, a_workflow("c"))
        if read_by_the_watch:
            world.floor.begin(world.cluster.newest)
            world.watching.position = world.cluster.newest

        found = await world.resync.check()

        assert found == missed
