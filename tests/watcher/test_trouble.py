"""The watcher on the fakes when something goes wrong: nothing is lost, and what was not seen is said."""

from __future__ import annotations

import pytest

from runtime.errors import ForbiddenError, GoneError, NotFoundError, StreamBrokenError, UnavailableError
from runtime.kinds import WORKFLOWS
from schemas.messages import StatusChanged, WorkflowChanged
from tests.eventually import eventually
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog
from tests.watcher.builders import a_workflow
from tests.watcher.harness import Watcher, body_of, caught_up, changes, last_versions, real_versions, told, versions


def labelled(name: str, label: str) -> dict[str, object]:
    """A workflow whose only change is a label."""
    return a_workflow(name, labels={"round": label})


async def test_a_restart_resumes_where_the_log_ends() -> None:
    """The second process lists nothing: it watches from the floor in the log, and classifies as the first one would."""
    cluster, log = FakeCluster(), FakeLog()
    uid = cluster.put(WORKFLOWS, a_workflow("w"))["metadata"]["uid"]
    async with Watcher(cluster, log):
        await eventually(lambda: told(log))
        await caught_up(log, cluster)
    cluster.set_status(WORKFLOWS, "shop", "w", phase="planning", sequence=1)
    cluster.put(WORKFLOWS, a_workflow("meanwhile"))

    async with Watcher(cluster, log):
        await caught_up(log, cluster)

        assert [type(body_of(message)) for message in changes(log, uid)] == [WorkflowChanged, StatusChanged]
        assert [story.what for story in told(log)] == ["started", "resumed"]


async def test_a_deletion_while_nobody_watched_becomes_a_tombstone() -> None:
    """After 410 a list is compared with the log; the tombstone says that nobody saw it, and has the last version."""
    cluster, log = FakeCluster(), FakeLog()
    uid = cluster.put(WORKFLOWS, a_workflow("w", message="last words"))["metadata"]["uid"]
    cluster.put(WORKFLOWS, a_workflow("other"))
    async with Watcher(cluster, log):
        await eventually(lambda: told(log))
        cluster.set_status(WORKFLOWS, "shop", "w", phase="planning", sequence=1)
        await caught_up(log, cluster)
    cluster.remove(WORKFLOWS, "shop", "w")
    cluster.put(WORKFLOWS, a_workflow("new"))
    cluster.compact()

    async with Watcher(cluster, log):
        await eventually(lambda: told(log)[-1].what == "relisted")

        tombstone = changes(log, uid)[-1]
        body = body_of(tombstone)
        assert (body.deleted, body.synthesized) == (True, True)
        assert b"last words" in bytes(body.object)
        assert tombstone.headers["ce-id"] == f"workflowexecutions/{uid}/deleted"
        assert last_versions(log) == real_versions(cluster)
        gap, relisted = told(log)[-2:]
        assert (gap.what, relisted.published, relisted.tombstones) == ("gap", 2, 1)
        assert 0 < relisted.blind_from <= relisted.blind_to


async def test_a_deletion_that_was_seen_is_told_once() -> None:
    """The tombstone of a watch event has the object's last version; a list afterwards adds nothing."""
    cluster, log = FakeCluster(), FakeLog()
    uid = cluster.put(WORKFLOWS, a_workflow("w"))["metadata"]["uid"]
    async with Watcher(cluster, log):
        await caught_up(log, cluster)
        cluster.remove(WORKFLOWS, "shop", "w")
        await caught_up(log, cluster)
        cluster.fail("watch", GoneError("compacted"), after=True)
        cluster.put(WORKFLOWS, a_workflow("x"))
        await caught_up(log, cluster)
        await eventually(lambda: told(log)[-1].what == "relisted")

    bodies = [body_of(message) for message in changes(log, uid)]
    assert [(body.deleted, body.synthesized) for body in bodies] == [(False, False), (True, False)]


async def test_a_name_that_is_used_again_is_another_object() -> None:
    """A workflow made again under the same name while nobody watched is a tombstone and a new object."""
    cluster, log = FakeCluster(), FakeLog()
    before = cluster.put(WORKFLOWS, a_workflow("w"))["metadata"]["uid"]
    async with Watcher(cluster, log):
        await caught_up(log, cluster)
    cluster.remove(WORKFLOWS, "shop", "w")
    after = cluster.put(WORKFLOWS, a_workflow("w"))["metadata"]["uid"]
    cluster.compact()

    async with Watcher(cluster, log):
        await caught_up(log, cluster)

        assert body_of(changes(log, before)[-1]).deleted
        assert not body_of(changes(log, after)[-1]).deleted


async def test_broken_streams_are_healed_by_a_list() -> None:
    """After a line that is no event nothing of that stream is believed: what it swallowed is found by a list."""
    cluster, log = FakeCluster(), FakeLog()
    async with Watcher(cluster, log) as watcher:
        await eventually(lambda: watcher.dependency.well)
        cluster.fail("watch", StreamBrokenError("a line of the watch is no event"), after=True)
        cluster.put(WORKFLOWS, a_workflow("w"))
        await caught_up(log, cluster)
        await eventually(lambda: "relisted" in [story.what for story in told(log)])


async def test_an_outage_is_waited_for_and_resumed_without_a_list() -> None:
    """While the API server is away the view is not ready, and says why; what was asked to wait is waited for."""
    cluster, log = FakeCluster(), FakeLog()
    async with Watcher(cluster, log) as watcher:
        await caught_up(log, cluster)
        await eventually(lambda: watcher.dependency.well)
        lists = [call for call in cluster.calls if call[0] == "list"]
        cluster.fail("watch", UnavailableError("HTTP 503", retry_after=7.0), times=2)
        cluster.end_watches()
        await eventually(lambda: len(watcher.pace.asked) >= 3)
        cluster.put(WORKFLOWS, a_workflow("w"))
        await caught_up(log, cluster)

        assert [wait >= 7.0 for wait in watcher.pace.asked[1:3]] == [True, True]
        assert [story.what for story in told(log)].count("relisted") == 0
        assert len(lists) == 1


async def test_missing_rights_and_definitions_are_told_in_clear_words() -> None:
    """Readiness names what is missing, and comes back by itself."""
    cluster, log = FakeCluster(), FakeLog()
    for error in (ForbiddenError("User cannot list"), NotFoundError("404 page not found")):
        cluster.fail("list", error)

    async with Watcher(cluster, log) as watcher:
        await eventually(lambda: watcher.dependency.well)
        reasons = watcher.dependency.reasons

    assert "needs get, list and watch on workflowexecutions" in reasons[0]
    assert "install the CRDs" in reasons[1]


async def test_a_kill_with_publishes_in_flight_loses_nothing() -> None:
    """Publishes in flight end in any order; the floor stays below the first that did not, so that a restart sees it."""
    cluster, log = FakeCluster(), FakeLog()
    names = [f"w{number}" for number in range(20)]
    uids = [cluster.put(WORKFLOWS, a_workflow(name))["metadata"]["uid"] for name in names]
    first = Watcher(cluster, log)
    await eventually(lambda: told(log))
    await caught_up(log, cluster)
    stuck = uids[5]
    first.log.refused.add(stuck)
    for name in names:
        cluster.put(WORKFLOWS, labelled(name, "2"))
    await eventually(lambda: len(changes(log)) == 39)
    cluster.put(WORKFLOWS, labelled("w0", "3"))
    await eventually(lambda: len(changes(log)) == 40)
    await first.kill()
    assert len(versions(log, stuck)) == 1
    floors = [int(message.headers.get("ce-floor", 0)) for message in changes(log)]

    async with Watcher(cluster, log, name="two"):
        await caught_up(log, cluster)

    assert max(floors) < real_versions(cluster)[stuck]
    assert told(log)[-1].what == "resumed"
    assert len(versions(log, stuck)) == 2
    assert sum(len(versions(log, uid)) for uid in uids) == 41


async def test_a_lost_answer_is_not_published_twice() -> None:
    """A publish that was stored and whose answer was lost is found to be in the log."""
    cluster, log = FakeCluster(), FakeLog()
    async with Watcher(cluster, log) as watcher:
        await eventually(lambda: watcher.dependency.well)
        watcher.log.lose_answers = 3
        uid = cluster.put(WORKFLOWS, a_workflow("w"))["metadata"]["uid"]
        cluster.put(WORKFLOWS, a_workflow("x"))
        await caught_up(log, cluster)
        cluster.put(WORKFLOWS, labelled("w", "2"))
        await caught_up(log, cluster)

        assert len(versions(log, uid)) == 2


async def test_what_retention_has_dropped_is_still_known() -> None:
    """When the log has forgotten an object's messages, its next version is the first again."""
    cluster, log = FakeCluster(), FakeLog()
    uid = cluster.put(WORKFLOWS, a_workflow("w"))["metadata"]["uid"]
    async with Watcher(cluster, log):
        await eventually(lambda: told(log))
        log.broker.expire("KUBERNAUT", before=2)
        cluster.put(WORKFLOWS, labelled("w", "2"))
        await caught_up(log, cluster)

        assert versions(log, uid) == [real_versions(cluster)[uid]]


async def test_bookmarks_move_the_place_to_resume_from() -> None:
    """A watch that ends after a bookmark goes on from there, though nothing changed in between."""
    cluster, log = FakeCluster(), FakeLog()
    async with Watcher(cluster, log) as watcher:
        await eventually(lambda: watcher.dependency.well)
        cluster.skip_versions(100)
        cluster.send_bookmark(WORKFLOWS)
        cluster.compact()
        await eventually(lambda: told(log)[-1].what == "started")
        cluster.put(WORKFLOWS, a_workflow("w"))
        await caught_up(log, cluster)
        cluster.end_watches()
        cluster.put(WORKFLOWS, a_workflow("x"))
        await caught_up(log, cluster)

        assert [story.what for story in told(log)] == ["started", "resumed"]
        assert int(changes(log)[0].headers["ce-floor"]) > 100


class Asked(set[str]):
    """Refuses every object and remembers which were asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.uids: list[object] = []

    def __contains__(self, uid: object) -> bool:
        self.uids.append(uid)
        return True


async def test_an_order_to_stop_is_obeyed_although_the_log_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it could not put onto the log in time the next start sees again; that is no failure."""
    monkeypatch.setattr("runtime.service.FINISH_SECONDS", 0.05)
    cluster, log = FakeCluster(), FakeLog()
    stopped = Watcher(cluster, log)
    await eventually(lambda: told(log))
    stopped.log.refused = asked = Asked()
    uid = cluster.put(WORKFLOWS, a_workflow("w"))["metadata"]["uid"]
    await eventually(lambda: uid in asked.uids)

    await stopped.stop()

    assert [] == changes(log, uid)
    async with Watcher(cluster, log):
        await caught_up(log, cluster)
