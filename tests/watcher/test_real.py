"""The watcher as a process, between a real kube-apiserver and a real nats-server; killed in the middle of its work."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
import structlog

from runtime.health import Dependency
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.nats_log import NatsLog
from schemas.subjects import LOG
from tests.contracts.cluster_worlds import RealWorld
from tests.watcher.builders import a_workflow, an_execution, owned_by

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.ports import Log
    from tests.nats_server import NatsServer

pytestmark = pytest.mark.real
OBJECTS = 200


@asynccontextmanager
async def a_watcher(nats: NatsServer, kubeconfig: str, namespace: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A watcher of one namespace; killed at the end if it was not before."""
    environment = {
        **os.environ,
        "NATS_URL": nats.url,
        "KUBECONFIG": kubeconfig,
        "KUBERNAUT_WATCH_NAMESPACES": namespace,
        "KUBERNAUT_HEALTH_PORT": "0",
        "KUBERNAUT_METRICS_PORT": "0",
    }
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "watcher", env=environment, stdout=null)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def in_the_log(log: Log) -> dict[str, list[tuple[int, bool]]]:
    """Versions of each object in the log, in order, and whether each is a tombstone."""
    found: dict[str, list[tuple[int, bool]]] = {}
    async for message in log.scan(LOG.name, "kubernaut.change.>"):
        version = (int(message.headers["ce-version"]), "ce-deleted" in message.headers)
        found.setdefault(message.headers["ce-uid"], []).append(version)
    return found


async def in_the_cluster(world: RealWorld) -> dict[str, int]:
    """Version of each object that exists."""
    found: dict[str, int] = {}
    for resource in (WORKFLOWS, EXECUTIONS):
        page = await world.cluster.list(resource, world.namespace)
        for raw in page.items:
            meta = msgspec.json.decode(raw)["metadata"]
            found[meta["uid"]] = int(meta["resourceVersion"])
    return found


async def make(world: RealWorld, number: int) -> None:
    """A workflow with an execution, a status each, and every fifth of them deleted again."""
    cluster, namespace = world.cluster, world.namespace
    workflow = await cluster.create(WORKFLOWS, namespace, a_workflow(f"w{number}", namespace))
    uid = workflow["metadata"]["uid"]
    body = an_execution(f"e{number}", namespace, workflow_uid=uid, **owned_by(workflow))
    execution = await cluster.create(EXECUTIONS, namespace, body)
    for resource, made, phase in ((WORKFLOWS, workflow, "executing"), (EXECUTIONS, execution, "completed")):
        made["status"] = {"phase": phase}
        await cluster.replace_status(resource, namespace, made["metadata"]["name"], made)
    if number % 5 == 0:
        await cluster.delete(WORKFLOWS, namespace, f"w{number}", uid=uid)


async def caught_up(log: Log, world: RealWorld, *, seconds: float = 60.0) -> dict[str, list[tuple[int, bool]]]:
    """Return the log's versions once its last state of every object is the API server's (G1)."""
    async with asyncio.timeout(seconds):
        while True:
            found = await in_the_log(log)
            last = {uid: versions[-1][0] for uid, versions in found.items() if not versions[-1][1]}
            if last == await in_the_cluster(world):
                return found
            await asyncio.sleep(0.1)


async def has(log: Log, count: int) -> None:
    """Return once the log knows so many objects."""
    async with asyncio.timeout(60):
        while True:
            if len(await in_the_log(log)) >= count:
                return
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def log(fresh_nats: NatsServer) -> AsyncIterator[Log]:
    """The log of the test itself."""
    own = NatsLog(fresh_nats.url, "test", Dependency("nats"), structlog.get_logger())
    keep = asyncio.create_task(own.keep())
    await own.verified()
    yield own
    await own.close()
    await keep


async def test_a_watcher_that_is_killed_in_the_middle_loses_nothing(
    kubeconfig: str, fresh_nats: NatsServer, log: Log
) -> None:
    """200 objects are made and changed while it is killed, is dead, and is back: the log ends equal to the API."""
    async with RealWorld(kubeconfig) as world:
        killed = asyncio.Event()
        making = asyncio.create_task(make_all(world, killed))
        async with a_watcher(fresh_nats, kubeconfig, world.namespace) as first:
            await has(log, OBJECTS // 4)
            first.kill()
            killed.set()
        await making
        async with a_watcher(fresh_nats, kubeconfig, world.namespace):
            found = await caught_up(log, world)

    for versions in found.values():
        numbers = [number for number, _ in versions]
        assert numbers == sorted(set(numbers))
        assert [gone for _, gone in versions[:-1]] == [False] * (len(versions) - 1)


async def make_all(world: RealWorld, killed: asyncio.Event) -> None:
    """Make all objects, five at a time; the last of them when the watcher was killed."""
    for start in range(0, OBJECTS // 2, 5):
        if start + 5 >= OBJECTS // 2:
            await killed.wait()
        await asyncio.gather(*(make(world, number) for number in range(start, start + 5)))
