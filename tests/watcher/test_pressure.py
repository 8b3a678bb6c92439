"""How soon an API server is asked again: a few times a minute while it refuses (F9), and soon after it is well."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from runtime.cluster import SILENCE_SECONDS
from runtime.errors import ForbiddenError, StreamBrokenError, UnavailableError
from runtime.health import Dependency
from runtime.kinds import EXECUTIONS, WORKFLOWS
from tests.executor_bridge import virtual
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog
from tests.watcher.builders import a_workflow, an_execution
from tests.watcher.harness import SAY, changes, told
from watcher.__main__ import watch
from watcher.api import Api
from watcher.pace import Pace
from watcher.parts import Intervals
from watcher.view import View

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from runtime.ports import Page, Resource, WatchEvent

FIRST_MINUTE = 10
LATER = 4
"""Most requests of a view a minute."""


class Refusing(FakeCluster):
    """Answers as it was told, and remembers when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal: Exception | None = None
        self.asked: list[float] = []

    async def list(self, resource: Resource, namespace: str | None, **rest: Any) -> Page:
        """See `Cluster.list`."""
        self._ask()
        return await super().list(resource, namespace, **rest)

    async def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str
    ) -> AsyncGenerator[WatchEvent, None]:
        """See `Cluster.watch`."""
        self._ask()
        async for event in super().watch(resource, namespace, resource_version=resource_version):
            yield event
            if self.refusal is not None:
                raise self.refusal

    def between(self, start: float, end: float) -> int:
        """How often it was asked in that time."""
        return sum(start < at <= end for at in self.asked)

    def _ask(self) -> None:
        self.asked.append(asyncio.get_running_loop().time())
        if self.refusal is not None:
            raise self.refusal


class Silent(FakeCluster):
    """Its watches stay open and tell nothing, until whoever watches takes the silence for an error."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: dict[str, list[float]] = defaultdict(list)

    async def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str
    ) -> AsyncGenerator[WatchEvent, None]:
        """See `Cluster.watch`."""
        self.begun[resource.plural].append(asyncio.get_running_loop().time())
        events = super().watch(resource, namespace, resource_version=resource_version)
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                async for event in events:
                    yield event
        except TimeoutError as error:
            raise StreamBrokenError(f"silent for {SILENCE_SECONDS:.0f} s") from error


async def both_views(cluster: FakeCluster, log: FakeLog, seconds: float) -> None:
    """Watch both resources through one connection, as the service does, for so long."""
    api = Api(cluster)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                watch(
                    View(resource=resource),
                    api,
                    log,
                    correlations={},
                    dependency=Dependency("kubernetes"),
                    freshness=Dependency("fresh"),
                    intervals=Intervals(resync=5.0, freshness=5.0),
                    teller="one",
                    say=SAY,
                    pace=Pace(),
                )
            )
            for resource in (WORKFLOWS, EXECUTIONS)
        ]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(UnavailableError("HTTP 500"), id="500"),
        pytest.param(UnavailableError("HTTP 503"), id="503"),
        pytest.param(StreamBrokenError("the answer is text/html"), id="200 with a page"),
        pytest.param(ForbiddenError("HTTP 403"), id="no rights"),
    ],
)
def test_an_api_server_that_refuses_everything_is_asked_a_few_times_a_minute(refusal: Exception) -> None:
    """Each view asks ten times in the first minute and then every 15 to 30 s; its checks ask nothing more (F9)."""

    async def play() -> Refusing:
        cluster = Refusing()
        cluster.refusal = refusal
        await both_views(cluster, FakeLog(), 600)
        return cluster

    cluster = virtual.run(play())

    assert 2 * 4 <= cluster.between(-1, 60) <= 2 * FIRST_MINUTE
    assert all(2 <= cluster.between(minute, minute + 60) <= 2 * LATER for minute in range(60, 600, 60))


def test_after_ten_minutes_without_an_api_server_work_goes_on_within_half_a_minute() -> None:
    """Nothing tells a view that the server is back but its own next try (F14)."""

    async def play() -> tuple[int, list[str]]:
        cluster, log, back = Refusing(), FakeLog(), 700.0
        watching = asyncio.create_task(both_views(cluster, log, back + 60))
        await asyncio.sleep(100)
        cluster.refusal = UnavailableError("connection refused")
        cluster.end_watches()
        await asyncio.sleep(back - 100)
        cluster.refusal = None
        cluster.put(WORKFLOWS, a_workflow("meanwhile"))
        cluster.put(EXECUTIONS, an_execution("meanwhile-step-1"))
        await asyncio.sleep(30)
        seen = [message.subject.split(".")[2] for message in changes(log)]
        await watching
        return cluster.between(100, back), sorted(seen)

    asked, seen = virtual.run(play())

    assert asked >= 2 * 2 * 10
    assert ["execution", "workflow"] == seen


def test_after_ten_minutes_without_a_log_all_that_waits_is_on_it_within_ten_seconds() -> None:
    """Each change goes on by its own next try, as does the list that a broken watch needs (F27)."""

    async def play() -> tuple[int, list[str]]:
        cluster, log, back = FakeCluster(), FakeLog(), 700.0
        watching = asyncio.create_task(both_views(cluster, log, back + 60))
        await asyncio.sleep(100)
        log.broker.up = False
        for number in range(20):
            cluster.put(WORKFLOWS, a_workflow(f"meanwhile-{number}"))
        await asyncio.sleep(10)
        cluster.fail("watch", StreamBrokenError("cut"), after=True)
        cluster.put(WORKFLOWS, a_workflow("unseen"))
        await asyncio.sleep(back - 110)
        log.broker.up = True
        await asyncio.sleep(10)
        seen = len(changes(log)), [story.what for story in told(log)]
        await watching
        return seen

    count, stories = virtual.run(play())

    assert (21, "relisted") == (count, stories[-1])


def test_a_watch_that_falls_silent_is_replaced_within_two_minutes() -> None:
    """Not a byte comes, and the connection stays open (F12)."""

    async def play() -> Silent:
        cluster = Silent()
        await both_views(cluster, FakeLog(), 300)
        return cluster

    cluster = virtual.run(play())

    assert [2, 2] == [sum(at <= 120 for at in cluster.begun[each.plural]) for each in (WORKFLOWS, EXECUTIONS)]


def test_a_stream_that_breaks_is_made_up_for_by_a_list_within_five_seconds() -> None:
    """A line that is no event, of a watch that was well until then (F8)."""

    async def play() -> Sequence[str]:
        cluster, log = Refusing(), FakeLog()
        watching = asyncio.create_task(both_views(cluster, log, 120))
        await asyncio.sleep(90)
        cluster.refusal = StreamBrokenError("a line of the watch is no event")
        cluster.put(WORKFLOWS, a_workflow("cut"))
        await asyncio.sleep(0.1)
        cluster.refusal = None
        await asyncio.sleep(5)
        found = [story.what for story in told(log)]
        await watching
        return found

    assert ["gap", "relisted"] == virtual.run(play())[-2:]


def test_what_asks_one_view_to_wait_is_waited_for_by_all() -> None:
    """429 with Retry-After: 7 to one view: nobody asks anything for 7 s, then work goes on (F10)."""

    async def play() -> Refusing:
        cluster, log = Refusing(), FakeLog()
        watching = asyncio.create_task(both_views(cluster, log, 200))
        await asyncio.sleep(90)
        cluster.refusal = UnavailableError("HTTP 429", retry_after=7.0)
        cluster.skip_versions(1)
        cluster.send_bookmark(WORKFLOWS)  # the next answer of this watch is the refusal
        await asyncio.sleep(1)
        cluster.end_watches()
        await asyncio.sleep(5)
        cluster.refusal = None
        await watching
        return cluster

    cluster = virtual.run(play())

    assert 0 == cluster.between(90, 96.99)
    assert cluster.between(96.99, 110) >= 2
