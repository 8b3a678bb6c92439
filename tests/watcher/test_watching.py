"""The watcher on the fakes: what it puts on the log."""

from __future__ import annotations

import msgspec

from runtime.kinds import EXECUTIONS, WORKFLOWS
from scheduler.inputs import read_execution
from schemas.messages import ExecutionChanged, StatusChanged, WorkflowChanged
from tests.eventually import eventually
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog
from tests.watcher.builders import a_workflow, an_execution
from tests.watcher.harness import Watcher, body_of, caught_up, changes, last_versions, real_versions, told, versions
from watcher.gather import recall
from watcher.view import View


def labelled(name: str, label: str) -> dict[str, object]:
    """A workflow whose only change is a label."""
    return a_workflow(name, labels={"round": label})


async def test_what_was_there_is_listed_and_what_comes_is_watched() -> None:
    """A first start puts every object on the log, tells so, and goes on with the changes."""
    cluster, log = FakeCluster(), FakeLog()
    for name in "abc":
        cluster.put(WORKFLOWS, a_workflow(name))

    async with Watcher(cluster, log) as watcher:
        await eventually(lambda: told(log))
        made = cluster.put(WORKFLOWS, a_workflow("d"))
        await caught_up(log, cluster)

        assert next((story.what, story.published) for story in told(log)) == ("started", 3)
        assert watcher.dependency.well
        assert [message.subject for message in changes(log, made["metadata"]["uid"])] == [
            f"kubernaut.change.workflow.shop.{made['metadata']['uid']}"
        ]


async def test_a_status_change_is_told_without_the_object() -> None:
    """Of a change of the status alone the log gets phase and sequence; of any other the whole object."""
    cluster, log = FakeCluster(), FakeLog()
    uid = cluster.put(WORKFLOWS, a_workflow("w"))["metadata"]["uid"]

    async with Watcher(cluster, log):
        await caught_up(log, cluster)
        cluster.set_status(WORKFLOWS, "shop", "w", phase="planning", sequence=2)
        await caught_up(log, cluster)
        await cluster.patch(WORKFLOWS, "shop", "w", {"metadata": {"labels": {"round": "2"}}})
        await caught_up(log, cluster)

        bodies = [body_of(message) for message in changes(log, uid)]
        assert [type(body) for body in bodies] == [WorkflowChanged, StatusChanged, WorkflowChanged]
        assert (bodies[1].phase, bodies[1].sequence) == ("planning", 2)


async def test_two_watchers_put_each_version_on_the_log_once() -> None:
    """Whoever is first publishes; the other finds it there and drops its own."""
    cluster, log = FakeCluster(), FakeLog()
    async with Watcher(cluster, log, name="one"), Watcher(cluster, log, name="two"):
        uids = [cluster.put(WORKFLOWS, a_workflow(f"w{number}"))["metadata"]["uid"] for number in range(10)]
        await caught_up(log, cluster)
        for turn in range(5):
            for number in range(10):
                cluster.put(WORKFLOWS, labelled(f"w{number}", str(turn)))
            await caught_up(log, cluster)

        for uid in uids:
            assert versions(log, uid) == sorted(set(versions(log, uid)))
        assert sum(len(versions(log, uid)) for uid in uids) == 60


async def test_shares_split_the_objects_between_watchers() -> None:
    """Two shares publish everything together, each its own objects."""
    cluster, log = FakeCluster(), FakeLog()
    shares = [View(resource=WORKFLOWS, share=share, shares=2) for share in (0, 1)]
    async with Watcher(cluster, log, shares[0], name="one"), Watcher(cluster, log, shares[1], name="two"):
        await eventually(lambda: len(told(log)) == 2)
        for number in range(20):
            cluster.put(WORKFLOWS, a_workflow(f"w{number}"))
        await caught_up(log, cluster)

    owners = {message.headers["ce-uid"]: message.headers["ce-shard"] for message in changes(log)}
    assert owners == {uid: f"{0 if shares[0].owns(uid) else 1}/2" for uid in real_versions(cluster)}
    assert set(owners.values()) == {"0/2", "1/2"}


async def test_a_floor_of_another_layout_is_not_believed() -> None:
    """After one of two shares alone, a watcher of all objects lists: that share's floor says nothing of the rest."""
    cluster, log = FakeCluster(), FakeLog()
    for number in range(20):
        cluster.put(WORKFLOWS, a_workflow(f"w{number}"))
    async with Watcher(cluster, log, View(resource=WORKFLOWS, share=0, shares=2), name="one"):
        await eventually(lambda: told(log))
    assert 0 < len(last_versions(log)) < 20

    async with Watcher(cluster, log, name="all"):
        await eventually(lambda: told(log)[-1].what == "relisted")

    assert last_versions(log) == real_versions(cluster)
    assert [story.what for story in told(log)] == ["started", "gap", "relisted"]


async def test_executions_lie_under_their_workflow_and_tell_its_correlation() -> None:
    """Subject and correlation id of an execution are those of the workflow that its spec names."""
    cluster, log = FakeCluster(), FakeLog()
    body = a_workflow("w")
    body["spec"]["remediationRequestRef"] = {"name": "rr-7"}
    workflow = cluster.put(WORKFLOWS, body)["metadata"]["uid"]
    async with Watcher(cluster, log) as workflows:
        await eventually(lambda: workflows.correlations)
        async with Watcher(cluster, log, View(resource=EXECUTIONS)) as executions:
            executions.correlations.update(workflows.correlations)
            await eventually(lambda: executions.dependency.well)
            uid = cluster.put(EXECUTIONS, an_execution("e", workflow_uid=workflow))["metadata"]["uid"]
            cluster.set_status(EXECUTIONS, "shop", "e", phase="completed")
            await eventually(lambda: len(changes(log, uid)) == 2)

    messages = changes(log, uid)
    assert {message.subject for message in messages} == {f"kubernaut.change.execution.shop.{workflow}.{uid}"}
    assert [type(body_of(message)) for message in messages] == [ExecutionChanged, ExecutionChanged]
    assert {message.headers["ce-correlationid"] for message in messages} == {"rr-7"}


async def test_an_object_too_large_for_the_log_is_told_with_its_metadata() -> None:
    """Nothing is lost without a word: the message says how large it was, and its next small version is whole."""
    cluster, log = FakeCluster(), FakeLog()
    log.broker.max_payload = 4096
    async with Watcher(cluster, log) as watcher:
        await eventually(lambda: watcher.dependency.well)
        uid = cluster.put(WORKFLOWS, a_workflow("w", message="x" * 9000))["metadata"]["uid"]
        await caught_up(log, cluster)
        cluster.put(WORKFLOWS, a_workflow("w", message="short"))
        await caught_up(log, cluster)

        large, small = (body_of(message) for message in changes(log, uid))
        assert large.oversized > 9000
        assert msgspec.json.decode(large.object)["metadata"]["name"] == "w"
        assert b'"spec"' not in bytes(large.object)
        assert (small.oversized, b"short" in bytes(small.object)) == (0, True)


async def test_an_execution_too_large_for_the_log_still_tells_whose_it_is_and_how_it_ended() -> None:
    """An executor that reports a megabyte must not leave its step waiting for ever."""
    cluster, log = FakeCluster(), FakeLog()
    log.broker.max_payload = 4096
    async with Watcher(cluster, log, View(resource=EXECUTIONS)) as watcher:
        await eventually(lambda: watcher.dependency.well)
        uid = cluster.put(EXECUTIONS, an_execution())["metadata"]["uid"]
        await caught_up(log, cluster, EXECUTIONS)
        cluster.set_status(
            EXECUTIONS,
            "shop",
            "w-step-1",
            phase="failed",
            failure={"reason": "OutOfDisk", "message": "m" * 9000},
            executionResults={"success": False, "dump": "x" * 9000},
        )
        await caught_up(log, cluster, EXECUTIONS)

        body = body_of(changes(log, uid)[-1])
        seen = read_execution(body)
        assert body.oversized > 9000
        assert ("failed", "OutOfDisk", 1, "key-w-step-1") == (seen.ending, seen.reason, seen.step, seen.key)


async def test_secrets_do_not_get_into_the_log() -> None:
    """Neither a secret in a parameter nor managedFields nor the last applied configuration is in any message."""
    cluster, log = FakeCluster(), FakeLog()
    body = a_workflow("w", annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"})
    body["metadata"]["managedFields"] = [{"manager": "somebody"}]
    body["spec"]["workflowDefinition"]["steps"][0]["parameters"] |= {"password": "hunter2-hunter2"}
    cluster.put(WORKFLOWS, body)
    async with Watcher(cluster, log):
        await caught_up(log, cluster)

    data = changes(log)[0].data
    found = [word for word in (b"hunter2", b"managedFields", b"last-applied", b"kept") if word in data]
    assert found == [b"kept"]


async def test_the_runs_that_have_not_ended_are_counted_across_a_restart() -> None:
    """From the log alone: a run ends by its status, and by going away."""
    cluster, log = FakeCluster(), FakeLog()
    for name in "abc":
        cluster.put(WORKFLOWS, a_workflow(name))
    async with Watcher(cluster, log):
        await caught_up(log, cluster)
        cluster.set_status(WORKFLOWS, "shop", "a", phase="completed", sequence=9)
        cluster.set_status(WORKFLOWS, "shop", "b", phase="executing", sequence=2)
        cluster.remove(WORKFLOWS, "shop", "c")
        await caught_up(log, cluster)

    recalled = await recall(log, View(resource=WORKFLOWS), {})

    assert recalled.known.active == 1
