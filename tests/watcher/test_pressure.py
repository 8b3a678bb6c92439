"""An API server that refuses is asked a few times a minute (F9), and not at all while it asks to wait (F10)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import ForbiddenError, StreamBrokenError, UnavailableError
from runtime.health import Dependency
from runtime.kinds import EXECUTIONS, WORKFLOWS
from tests.executor_bridge import virtual
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog
from tests.watcher.harness import SAY
from watcher.__main__ import watch
from watcher.api import Api
from watcher.pace import Pace
from watcher.parts import Intervals
from watcher.view import View

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

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


async def both_views(cluster: Refusing, log: FakeLog, seconds: float) -> None:
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
