"""The simulated executor's loops on the in-memory API: what it writes, and that being killed changes nothing of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from kubernaut.simulator.apply import ANNOTATIONS_KEPT_MS, Clock, Executor
from kubernaut.simulator.board import Board
from kubernaut.simulator.execution import ENDING, timestamp
from kubernaut.simulator.simulator_loop import Watching, work_loop
from runtime.errors import ConflictError, GoneError, RefusedError, StreamBrokenError, UnavailableError
from runtime.health import Health
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.logs import get_logger
from tests.eventually import eventually
from tests.fakes.cluster import FakeCluster
from tests.simulator.builders import TYPICAL, a_workflow_object, an_execution_object

FAST = 0.004
"""Scale by which the 30 s of the tests' action become 0.12 s."""


def clock() -> int:
    """Return the milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def a_cluster(annotations: dict[str, str] | None = None, *, steps: int = 1) -> FakeCluster:
    """Return a cluster with a workflow and executions of its first steps."""
    cluster = FakeCluster()
    cluster.put(WORKFLOWS, a_workflow_object(annotations or {}))
    for step in range(1, steps + 1):
        cluster.put(EXECUTIONS, an_execution_object(step))
    return cluster


@asynccontextmanager
async def simulated(cluster: FakeCluster, *, scale: float = 0.0, clock: Clock = clock) -> AsyncIterator[Health]:
    """Run the simulator; leaving kills it wherever it is."""
    board, news, listed, health = Board(), asyncio.Event(), asyncio.Event(), Health()
    log = get_logger("simulator")
    executor = Executor(cluster, board, scale=scale, typical=TYPICAL, clock=clock, log=log)
    watching = Watching(cluster, board, clock=clock, news=news, health=health.dependency("kubernetes"), log=log)
    tasks = [
        asyncio.create_task(watching.watch_loop(None, listed)),
        asyncio.create_task(work_loop(board, executor, clock=clock, news=news, listed=[listed])),
    ]
    try:
        yield health
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def phases(cluster: FakeCluster) -> list[str]:
    """Return the phase of each execution, by name."""
    return [body.get("status", {}).get("phase", "") for body in cluster.of(EXECUTIONS)]


def ended(cluster: FakeCluster) -> bool:
    """Tell whether every execution has ended."""
    return all(phase in {"completed", "failed"} for phase in phases(cluster))


def count(cluster: FakeCluster, verb: str, plural: str = "kubernetesexecutions") -> int:
    """Count the calls of a verb."""
    return sum(call[:2] == (verb, plural) for call in cluster.calls)


async def story(cluster: FakeCluster, name: str = "leak-step-1") -> list[str]:
    """Return every phase that the execution was ever in, in order."""
    seen = []
    cluster.send_bookmark(EXECUTIONS)
    async for event in cluster.watch(EXECUTIONS, None, resource_version="0"):
        if event.type == "BOOKMARK" and event.object == cluster._history[-1].event.object:  # noqa: SLF001
            break
        body: dict[str, Any] = msgspec.json.decode(event.object)
        if body["metadata"].get("name") == name and body.get("status"):
            seen.append(body["status"]["phase"])
    return seen


async def test_each_execution_goes_through_its_phases() -> None:
    """With a scale every phase is seen, once, in order."""
    cluster = a_cluster()

    async with simulated(cluster, scale=FAST):
        await eventually(lambda: ended(cluster))

    assert await story(cluster) == ["validating", "validated", "executing", "completed"]


async def test_without_scale_an_execution_costs_one_write_and_a_workflow_one_read() -> None:
    """For benchmarks: 50 executions of a workflow end by 50 writes and one read of the workflow."""
    cluster = a_cluster(steps=50)

    async with simulated(cluster):
        await eventually(lambda: ended(cluster))

    assert count(cluster, "replace_status") == 50
    assert count(cluster, "get", "workflowexecutions") <= 16, "at most one for each that is in hand at the start"
    assert set(phases(cluster)) == {"completed"}


async def test_annotations_of_the_workflow_rule_its_steps() -> None:
    """Each step obeys its own annotation, others are not touched by it."""
    cluster = a_cluster({"step-2": "fail-not-retryable"}, steps=3)

    async with simulated(cluster):
        await eventually(lambda: ended(cluster))

    assert phases(cluster) == ["completed", "failed", "completed"]


async def test_what_is_created_later_is_seen() -> None:
    """An execution that is created while the simulator watches is taken up."""
    cluster = a_cluster(steps=1)

    async with simulated(cluster):
        await eventually(lambda: ended(cluster))
        cluster.put(EXECUTIONS, an_execution_object(2))
        await eventually(lambda: ended(cluster))

    assert phases(cluster) == ["completed", "completed"]


async def test_killed_at_every_moment_it_runs_nothing_twice() -> None:
    """Killed again and again, it goes on from the status found: every phase is entered once."""
    cluster = a_cluster(steps=4)

    for life in range(60):
        async with simulated(cluster, scale=FAST):
            await asyncio.sleep(0.001 * (life % 7))
        if ended(cluster):
            break
    async with simulated(cluster, scale=FAST):
        await eventually(lambda: ended(cluster))

    for step in range(1, 5):
        assert await story(cluster, f"leak-step-{step}") == ["validating", "validated", "executing", "completed"]


async def test_a_lost_answer_is_not_written_again() -> None:
    """A status write whose answer was lost is found done by the next look, not repeated."""
    cluster = a_cluster()
    cluster.fail("replace_status", UnavailableError("timeout"), after=True)

    async with simulated(cluster):
        await eventually(lambda: ended(cluster))

    assert await story(cluster) == ["completed"]


@pytest.mark.parametrize(
    ("verb", "error", "after"),
    [
        ("list", UnavailableError("503"), False),
        ("watch", UnavailableError("503", retry_after=0.01), False),
        ("watch", GoneError("410"), False),
        ("watch", StreamBrokenError("cut"), True),
        ("get", UnavailableError("503"), False),
        ("replace_status", UnavailableError("503"), False),
    ],
)
async def test_trouble_with_the_api_passes(verb: Any, error: Exception, *, after: bool) -> None:
    """After any trouble it lists anew or tries again, and everything ends."""
    cluster = a_cluster(steps=2)
    cluster.fail(verb, error, times=2, after=after)

    async with simulated(cluster) as health:
        cluster.put(EXECUTIONS, an_execution_object(3))
        await eventually(lambda: len(phases(cluster)) == 3 and ended(cluster))
        await eventually(lambda: health.ready)

    assert phases(cluster) == ["completed"] * 3


async def test_a_status_that_somebody_else_changed_is_read_again() -> None:
    """A conflict is answered by reading the object; what was found there counts."""
    cluster = a_cluster({"step-1": "take:50ms"})
    start, passed = clock(), 0

    async with simulated(cluster, clock=lambda: start + passed):
        await eventually(lambda: phases(cluster) == ["executing"])
        cluster.set_status(EXECUTIONS, "shop", "leak-step-1", jobName="by-hand")
        passed = 50
        await eventually(lambda: ended(cluster))

    assert cluster.of(EXECUTIONS)[0]["status"]["jobName"] == "by-hand"


async def test_an_execution_is_deleted_where_that_was_asked_for() -> None:
    """`delete` has the simulator delete the execution in the middle, as a person might."""
    cluster = a_cluster({"step-1": "delete"})

    async with simulated(cluster):
        await eventually(lambda: cluster.of(EXECUTIONS) == [])


async def test_a_hanging_one_costs_nothing_and_holds_up_nobody() -> None:
    """What hangs is written once, and others that come later end."""
    cluster = a_cluster({"step-1": "hang"})

    async with simulated(cluster):
        await eventually(lambda: phases(cluster) == ["executing"])
        cluster.put(EXECUTIONS, an_execution_object(2))
        await eventually(lambda: phases(cluster) == ["executing", "completed"])

    assert count(cluster, "replace_status") == 2


async def test_two_executions_of_one_key_are_carried_out_once() -> None:
    """The second of two executions with one idempotency key reports the result of the first."""
    cluster = a_cluster()
    async with simulated(cluster):
        await eventually(lambda: ended(cluster))
    twin = an_execution_object(1)
    twin["metadata"]["name"] = "leak-step-1-again"
    first = cluster.of(EXECUTIONS)[0]
    cluster.put(EXECUTIONS, twin)

    async with simulated(cluster):
        await eventually(lambda: ended(cluster))

    assert cluster.of(EXECUTIONS)[1]["status"]["repeatOf"] == first["metadata"]["uid"]


async def test_an_object_that_is_no_execution_holds_nobody_up() -> None:
    """A broken object is left alone and the others end."""
    cluster = a_cluster(steps=2)
    broken = an_execution_object(3)
    broken["spec"]["stepNumber"] = "three"
    cluster.put(EXECUTIONS, broken)

    async with simulated(cluster):
        await eventually(lambda: phases(cluster)[:2] == ["completed", "completed"])

    assert phases(cluster)[2] == ""


async def test_a_write_that_is_refused_is_not_repeated_in_a_hurry() -> None:
    """A refusal is tried again after a growing pause, and one step's refusal holds up no other."""
    cluster = a_cluster(steps=2)
    cluster.fail("replace_status", RefusedError("no", reason="invalid"), times=1)

    async with simulated(cluster):
        await eventually(lambda: ended(cluster))

    assert count(cluster, "replace_status") == 3


async def test_what_is_deleted_while_it_runs_is_let_alone() -> None:
    """An execution that somebody else keeps after its deletion is not written to any more."""
    body = an_execution_object(1)
    body["metadata"]["finalizers"] = ["other.io/theirs"]
    cluster = FakeCluster()
    cluster.put(WORKFLOWS, a_workflow_object({"step-1": "take:200ms"}))
    cluster.put(EXECUTIONS, body)

    async with simulated(cluster):
        await eventually(lambda: phases(cluster) == ["executing"])
        cluster.remove(EXECUTIONS, "shop", "leak-step-1")
        cluster.put(WORKFLOWS, a_workflow_object({"step-1": "take:200ms"}))
        cluster.put(EXECUTIONS, an_execution_object(2))
        await eventually(lambda: phases(cluster)[1] == "completed")

    assert phases(cluster)[0] == "executing"


async def test_a_slowly_ending_one_stays_for_its_time_after_its_deletion() -> None:
    """`slow-end` keeps a deleted execution by a finalizer, others' finalizers beside it, and then lets it go."""
    body = an_execution_object(1)
    body["metadata"]["finalizers"] = ["other.io/theirs"]
    cluster = a_cluster({"step-1": "slow-end:300ms"}, steps=0)
    cluster.put(EXECUTIONS, body)

    async with simulated(cluster):
        await eventually(lambda: phases(cluster) == ["executing"])
        assert cluster.of(EXECUTIONS)[0]["metadata"]["finalizers"] == ["other.io/theirs", ENDING]
        deleted_at = clock()
        cluster.now = timestamp(deleted_at)
        cluster.remove(EXECUTIONS, "shop", "leak-step-1")
        await eventually(lambda: cluster.of(EXECUTIONS)[0]["metadata"]["finalizers"] == ["other.io/theirs"])

    assert clock() - deleted_at >= 300
    assert phases(cluster) == ["executing"]


async def test_a_kept_one_goes_also_after_its_workflow_has_gone() -> None:
    """With the workflow its annotations are gone; the finalizer must not stay for ever."""
    cluster = a_cluster({"step-1": "slow-end:1h"})
    async with simulated(cluster):
        await eventually(lambda: phases(cluster) == ["executing"])
    cluster.remove(WORKFLOWS, "shop", "leak")
    cluster.remove(EXECUTIONS, "shop", "leak-step-1")

    async with simulated(cluster):
        await eventually(lambda: cluster.of(EXECUTIONS) == [])


async def test_what_a_workflow_asked_for_holds_on_after_it_has_gone() -> None:
    """Looked at again long after, a hanging execution still hangs; it does not end well as though nobody had asked."""
    cluster = a_cluster({"step-1": "hang"})
    later = 0

    async with simulated(cluster, clock=lambda: clock() + later):
        await eventually(lambda: phases(cluster) == ["executing"])
        cluster.remove(WORKFLOWS, "shop", "leak")
        later = ANNOTATIONS_KEPT_MS
        looks = count(cluster, "get", "workflowexecutions")
        cluster.put(EXECUTIONS, cluster.of(EXECUTIONS)[0] | {"touched": True})
        await eventually(lambda: count(cluster, "get", "workflowexecutions") > looks)
        cluster.put(EXECUTIONS, an_execution_object(2))
        await eventually(lambda: phases(cluster)[1] == "completed")

    assert phases(cluster)[0] == "executing"


async def test_somebody_else_may_change_an_execution_just_when_it_is_to_be_kept() -> None:
    """A conflict on the finalizer is answered by reading the object again."""
    cluster = a_cluster({"step-1": "slow-end:0s"})
    cluster.fail("patch", ConflictError("409"), times=2)

    async with simulated(cluster):
        await eventually(lambda: phases(cluster) == ["executing"])

    assert cluster.of(EXECUTIONS)[0]["metadata"]["finalizers"] == [ENDING]
