"""How many runs have not ended and how much is not told yet, as a watcher counts them: of all that it sees."""

from __future__ import annotations

import msgspec

from runtime.kinds import WORKFLOWS
from runtime.metrics import REGISTRY
from tests.eventually import eventually
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog
from tests.watcher.builders import a_workflow
from tests.watcher.harness import Watcher, caught_up, changes
from watcher.changes import Sighting, message_for
from watcher.known import entry_of
from watcher.objects import read
from watcher.view import View

VIEW = View(resource=WORKFLOWS)


def active() -> float | None:
    """Return what is told of it."""
    return REGISTRY.get_sample_value("workflowexecution_active_total")


def pending() -> float:
    """Return how many changes of workflows are told not to be on the log yet."""
    return REGISTRY.get_sample_value("kubernaut_watch_pending_changes", {"resource": WORKFLOWS.plural}) or 0


async def tell(cluster: FakeCluster, log: FakeLog, uid: str) -> None:
    """Put an object as it is on the log, as the watcher of another process does."""
    body = next(each for each in cluster.of(WORKFLOWS) if each["metadata"]["uid"] == uid)
    _, entry = entry_of(changes(log, uid)[-1])
    seen = read(WORKFLOWS.plural, msgspec.Raw(msgspec.json.encode(body)))
    message = message_for(VIEW, entry, Sighting(seen=seen), floor=0)
    assert message is not None
    await log.publish(message.event, expect=message.expect, expect_filter=message.filter)


async def test_an_end_that_another_watcher_told_first_is_counted() -> None:
    """It was learnt from the log: this watcher had nothing to publish."""
    cluster, log = FakeCluster(), FakeLog()
    uid = cluster.put(WORKFLOWS, a_workflow("w"))["metadata"]["uid"]
    async with Watcher(cluster, log) as watcher:
        await caught_up(log, cluster)
        assert active() == 1
        watcher.log.refused.add(uid)
        for sequence, phase in enumerate(("executing", "completed"), 2):  # of which the other saw the last only
            cluster.set_status(WORKFLOWS, "shop", "w", phase=phase, sequence=sequence)
        await tell(cluster, log, uid)
        watcher.log.refused.clear()

        await eventually(lambda: active() == 0)

        assert len(changes(log, uid)) == 2


async def test_the_runs_of_all_namespaces_are_counted_together() -> None:
    """Each is a view of its own."""
    cluster, log = FakeCluster(), FakeLog()
    for name, namespace in (("a", "shop"), ("b", "shop"), ("c", "bank")):
        body = a_workflow(name)
        body["metadata"]["namespace"] = namespace
        cluster.put(WORKFLOWS, body)

    shop, bank = (View(resource=WORKFLOWS, namespace=each) for each in ("shop", "bank"))
    async with Watcher(cluster, log, shop), Watcher(cluster, log, bank):
        await caught_up(log, cluster)

        assert active() == 3


async def test_what_waits_for_the_log_is_counted_over_all_namespaces() -> None:
    """Also while one of them has nothing left to tell."""
    cluster, log = FakeCluster(), FakeLog()
    before = pending()
    shop, bank = (View(resource=WORKFLOWS, namespace=each) for each in ("shop", "bank"))
    async with Watcher(cluster, log, shop), Watcher(cluster, log, bank) as held:
        await caught_up(log, cluster)
        held.log.refused.add("u-slow")
        cluster.put(WORKFLOWS, a_workflow("slow", "bank", uid="u-slow"))
        await eventually(lambda: pending() == before + 1)
        cluster.put(WORKFLOWS, a_workflow("quick", uid="u-quick"))
        await eventually(lambda: len(changes(log, "u-quick")) == 1)

        await eventually(lambda: pending() == before + 1)

        held.log.refused.clear()
        await eventually(lambda: pending() == before)
