"""Watchers on the fakes, composed as the service composes them; `kill` is kill -9."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import structlog

from runtime.errors import UnavailableError
from runtime.health import Dependency
from runtime.kinds import WORKFLOWS
from schemas.messages import WatchTold, decode
from schemas.subjects import WATCH_STORY
from tests.eventually import eventually
from tests.fakes.log import FakeLog
from watcher.__main__ import watch
from watcher.api import Api
from watcher.pace import Pace
from watcher.parts import Intervals
from watcher.view import View

if TYPE_CHECKING:
    from runtime.ports import Published, Resource, Stored
    from schemas.cloudevents import Event
    from tests.fakes.broker import Broker
    from tests.fakes.cluster import FakeCluster
    from watcher.publish import Correlations

SAY = structlog.get_logger(service="watcher")
CHANGES = "kubernaut.change.>"
AS_SET = Intervals()


class NoPace(Pace):
    """Waits for nothing, so that tests are quick; what a watch is told to wait is in `asked`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    def wait(self, lasted: float, error: Exception | None) -> float:
        """See `Pace.wait`."""
        self.asked.append(super().wait(lasted, error))
        return 0.0


class Reasons(Dependency):
    """A dependency that remembers why it was not well."""

    def __init__(self) -> None:
        super().__init__("kubernetes")
        self.reasons: list[str] = []

    def failed(self, reason: str) -> None:
        """See `Dependency.failed`."""
        self.reasons.append(reason)
        super().failed(reason)


class HoledLog(FakeLog):
    """A log that never answers about some objects, so that publishes end in another order than they began."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.refused: set[str] = set()

    async def publish(self, event: Event, *, expect: int | None = None, expect_filter: str | None = None) -> Published:
        """See `Log.publish`."""
        if event.extensions.get("uid") in self.refused:
            raise UnavailableError("no answer")
        return await super().publish(event, expect=expect, expect_filter=expect_filter)


class Watcher:
    """One process that watches one view."""

    def __init__(
        self,
        cluster: FakeCluster,
        log: FakeLog,
        view: View | None = None,
        *,
        name: str = "one",
        intervals: Intervals = AS_SET,
    ) -> None:
        self.log = HoledLog(log.broker)
        self.dependency = Reasons()
        self.freshness = Reasons()
        self.pace = NoPace()
        self.correlations: Correlations = {}
        self._task = asyncio.create_task(
            watch(
                view or View(resource=WORKFLOWS),
                Api(cluster),
                self.log,
                correlations=self.correlations,
                dependency=self.dependency,
                freshness=self.freshness,
                intervals=intervals,
                teller=name,
                say=SAY,
                pace=self.pace,
            )
        )

    async def kill(self) -> None:
        """End it at once: what it has not published, it never will."""
        self.log.unavailable = True
        while not self._task.done():
            self._task.cancel()
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """End it as a signal does: what was read is put on the log first."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        await self.stop()


def changes(log: FakeLog, uid: str = "") -> list[Stored]:
    """Return the changes in the log, of one object or of all."""
    return [m for m in log.stored(CHANGES) if not uid or m.headers["ce-uid"] == uid]


def versions(log: FakeLog, uid: str) -> list[int]:
    """Return the versions of an object in the log, in order."""
    return [int(message.headers["ce-version"]) for message in changes(log, uid)]


def last_versions(log: FakeLog) -> dict[str, int]:
    """Return the last version of each object in the log that is not deleted."""
    last: dict[str, int] = {}
    for message in changes(log):
        last[message.headers["ce-uid"]] = int(message.headers["ce-version"])
        if "ce-deleted" in message.headers:
            del last[message.headers["ce-uid"]]
    return last


def real_versions(cluster: FakeCluster, resource: Resource = WORKFLOWS) -> dict[str, int]:
    """Return the version of each object that exists."""
    return {body["metadata"]["uid"]: int(body["metadata"]["resourceVersion"]) for body in cluster.of(resource)}


async def caught_up(log: FakeLog, cluster: FakeCluster, resource: Resource = WORKFLOWS) -> None:
    """Return once the log's last state of every object is the cluster's (G1)."""
    await eventually(
        lambda: last_versions(log) == real_versions(cluster, resource),
        what=f"the log has {last_versions(log)}, the cluster {real_versions(cluster, resource)}",
    )


def body_of(message: Stored) -> Any:
    """Return the body of a message."""
    return decode(message.headers["ce-type"], message.data)


def told(log: FakeLog) -> list[WatchTold]:
    """Return the story that the watchers told."""
    return [body_of(message) for message in log.stored(WATCH_STORY)]
