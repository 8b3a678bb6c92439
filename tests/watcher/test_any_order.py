"""Whatever comes in whatever order: the log strictly rises per object and ends equal to the cluster (G1, G2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import GoneError, StreamBrokenError, UnavailableError
from runtime.kinds import WORKFLOWS
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog
from tests.watcher.builders import a_workflow
from tests.watcher.harness import Watcher, caught_up, changes, versions

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("a", "b", "c")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["label", "status", "remove"]), st.sampled_from(NAMES)),
        st.sampled_from(
            [
                ("compact", ""),
                ("end", ""),
                ("bookmark", ""),
                ("gone", ""),
                ("broken", ""),
                ("cut", ""),
                ("lost", ""),
                ("turn", ""),
                ("restart", ""),
                ("kill", ""),
            ]
        ),
    ),
    max_size=40,
)


class World:
    """A cluster, a log and two watchers, and what may happen to them."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.log = FakeLog()
        self.watchers = [Watcher(self.cluster, self.log, name=name) for name in ("one", "two")]
        self.count = 0

    async def step(self, what: str, name: str) -> None:
        """Let one thing happen."""
        self.count += 1
        faults: dict[str, Callable[[], object]] = {
            "compact": self.cluster.compact,
            "end": self.cluster.end_watches,
            "bookmark": lambda: self.cluster.send_bookmark(WORKFLOWS),
            "gone": lambda: self.cluster.fail("watch", GoneError("compacted"), after=True),
            "broken": lambda: self.cluster.fail("watch", StreamBrokenError("garbage"), after=True),
            "cut": lambda: self.cluster.fail("list", UnavailableError("503")),
            "lost": lambda: setattr(self.watchers[0].log, "lose_answers", 1),
        }
        there = ("workflowexecutions", "shop", name) in self.cluster.objects
        if what == "label":
            self.cluster.put(WORKFLOWS, a_workflow(name, labels={"count": str(self.count)}))
        elif what == "status" and there:
            self.cluster.set_status(WORKFLOWS, "shop", name, phase="executing", sequence=self.count)
        elif what == "remove" and there:
            self.cluster.remove(WORKFLOWS, "shop", name)
        elif what in {"restart", "kill"}:
            await (self.watchers[0].kill() if what == "kill" else self.watchers[0].stop())
            self.watchers[0] = Watcher(self.cluster, self.log, name=f"one-{self.count}")
        elif what == "turn":
            for _ in range(5):
                await asyncio.sleep(0)
        elif what in faults:
            faults[what]()


async def live(steps: list[tuple[str, str]]) -> None:
    """Let everything happen, then let the watchers catch up."""
    world = World()
    try:
        for what, name in steps:
            await world.step(what, name)
        world.cluster.put(WORKFLOWS, a_workflow("last"))
        await caught_up(world.log, world.cluster)
    finally:
        for watcher in world.watchers:
            await watcher.kill()
    uids = {message.headers["ce-uid"] for message in changes(world.log)}
    for uid in uids:
        assert versions(world.log, uid) == sorted(set(versions(world.log, uid)))
        deleted = ["ce-deleted" in message.headers for message in changes(world.log, uid)]
        assert deleted.count(True) <= 1
        assert True not in deleted[:-1]
    ids = [message.headers["ce-id"] for message in world.log.stored()]
    assert len(ids) == len(set(ids))


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_log_rises_and_ends_equal_to_the_cluster(steps: list[tuple[str, str]]) -> None:
    """Changes, repeats, ended and broken watches, forgotten versions, lost answers, kills; two watchers at once."""
    asyncio.run(live(steps))
