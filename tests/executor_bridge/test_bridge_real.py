"""The bridge as a process, between a real nats-server and a real kube-apiserver; killed in the middle of its work."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio
import structlog

from runtime.errors import NotFoundError
from runtime.health import Dependency
from runtime.kinds import EVENTS, EXECUTIONS, WORKFLOWS
from runtime.nats_log import NatsLog
from schemas.messages import HoldWorkflow, ReleaseExecution, ReleaseWorkflow, Transition, WorkflowRef
from schemas.names import FINALIZER
from tests.contracts.cluster_worlds import RealWorld
from tests.eventually import eventually
from tests.executor_bridge.builders import (
    START,
    a_create,
    a_decision,
    a_state,
    a_step,
    a_workflow,
    change_of,
    on_the_log,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.ports import Log, Object
    from tests.nats_server import NatsServer

pytestmark = pytest.mark.real
RUNS = 15
LIMIT_SECONDS = 120


@asynccontextmanager
async def a_bridge(nats: NatsServer, kubeconfig: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A bridge with these settings too; killed at the end if it was not before."""
    environment = {
        **os.environ,
        "NATS_URL": nats.url,
        "KUBECONFIG": kubeconfig,
        "KUBERNAUT_HEALTH_PORT": "0",
        "KUBERNAUT_METRICS_PORT": "0",
        **settings,
    }
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "executor_bridge", env=environment, stdout=null
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Run:
    """A workflow on the API server and the scheduler's part of its run."""

    def __init__(self, world: RealWorld, log: Log, number: int) -> None:
        self.name = f"run-{number}"
        self._world = world
        self._log = log
        self._ref = WorkflowRef(namespace=world.namespace, name=self.name, uid="")
        self._fields: dict[str, Any] = {}

    async def _say(self, version: int, state: Any, *commands: Any, **fields: Any) -> None:
        decision = a_decision(version, state, *commands, workflow=self._ref, **fields)
        await self._log.publish(on_the_log(decision))

    def _create(self, step: int, *, hold: bool = False) -> Any:
        made = a_create(step, hold=hold, uid=self._ref.uid, parameters={"namespace": "shop"})
        return msgspec.structs.replace(made, name=f"{self.name}-step-{step}")

    async def execution(self, step: int) -> Object:
        """Wait for the execution of a step."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                try:
                    return await self._world.cluster.get(EXECUTIONS, self._world.namespace, f"{self.name}-step-{step}")
                except NotFoundError:
                    await asyncio.sleep(0.05)

    async def workflow(self) -> Object:
        """What a user sees."""
        return await self._world.cluster.get(WORKFLOWS, self._world.namespace, self.name)

    async def play(self) -> None:
        """Three steps, of which the second must not be done twice and the third waits for both."""
        body = a_workflow()
        body["metadata"] = {"name": self.name, "namespace": self._world.namespace}
        made = await self._world.cluster.create(WORKFLOWS, self._world.namespace, body)
        self._ref = msgspec.structs.replace(self._ref, uid=made["metadata"]["uid"])
        version = int(made["metadata"]["resourceVersion"])
        at = (await self._log.publish(change_of(made))).sequence
        known: dict[str, Any] = {"object_version": version, "definition_sequence": at}

        first = (a_step(1, "executing"), a_step(2, "executing", held=True), a_step(3))
        started = Transition(entity="workflow", what="started", before="planning", after="executing")
        creates = (self._create(1), self._create(2, hold=True))
        await self._say(1, a_state(*first, **known), *creates, HoldWorkflow(), transitions=(started,))
        seen = [(await self.execution(step))["metadata"]["uid"] for step in (1, 2)]

        done = [a_step(n, "completed", execution_uid=uid) for n, uid in enumerate(seen, 1)]
        release = ReleaseExecution(name=f"{self.name}-step-2", uid=seen[1], step=2)
        await self._say(2, a_state(*done, a_step(3, "executing"), **known), release, self._create(3))
        last = a_step(3, "completed", execution_uid=(await self.execution(3))["metadata"]["uid"])

        known |= {"phase": "completed", "held": False, "outcome": "success", "ended_at": START + 3000}
        ended = Transition(entity="workflow", what="completed", before="executing", after="completed")
        await self._say(3, a_state(*done, last, **known), ReleaseWorkflow(), transitions=(ended,))

    async def settled(self) -> None:
        """Wait until the last decision is shown and nothing is held any more."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                workflow, second = await self.workflow(), await self.execution(2)
                held = [*workflow["metadata"].get("finalizers", []), *second["metadata"].get("finalizers", [])]
                if (workflow.get("status") or {}).get("sequence") == 3 and FINALIZER not in held:
                    return
                await asyncio.sleep(0.1)


async def all_of(world: RealWorld, kind: Any) -> list[Object]:
    """Every object of a kind in the test's namespace."""
    page = await world.cluster.list(kind, world.namespace)
    return [msgspec.json.decode(raw) for raw in page.items]


async def told(world: RealWorld, count: int) -> None:
    """Wait for so many Events: what a killed bridge had in hand comes again after `ack_wait`, and its Events then."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            if len(await all_of(world, EVENTS)) >= count:
                return
            await asyncio.sleep(0.1)


async def watch_creations(world: RealWorld, since: str, counts: Counter[str]) -> None:
    """Count how often an execution of each name comes into being."""
    async for event in world.cluster.watch(EXECUTIONS, world.namespace, resource_version=since):
        if event.type == "ADDED":
            counts[msgspec.json.decode(event.object)["metadata"]["name"]] += 1


@pytest_asyncio.fixture
async def log(fresh_nats: NatsServer) -> AsyncIterator[Log]:
    """The log of the test itself."""
    own = NatsLog(fresh_nats.url, "test", Dependency("nats"), structlog.get_logger())
    keep = asyncio.create_task(own.keep())
    await own.verified()
    yield own
    await own.close()
    await keep


async def test_a_bridge_that_is_killed_in_the_middle_does_everything_once(
    kubeconfig: str, fresh_nats: NatsServer, log: Log
) -> None:
    """Runs go on over a kill -9: every execution is created once, the last status is shown, nothing stays held."""
    async with RealWorld(kubeconfig) as world:
        counts: Counter[str] = Counter()
        since = (await world.cluster.list(EXECUTIONS, world.namespace)).resource_version
        watch = asyncio.create_task(watch_creations(world, since, counts))
        runs = [Run(world, log, number) for number in range(RUNS)]
        async with a_bridge(fresh_nats, kubeconfig) as first:
            playing = asyncio.gather(*(run.play() for run in runs))
            await eventually(lambda: len(counts) >= RUNS, seconds=LIMIT_SECONDS)
            first.kill()
            in_the_middle = not playing.done()
        async with a_bridge(fresh_nats, kubeconfig) as second:
            await playing
            await asyncio.gather(*(run.settled() for run in runs))
            await told(world, 2 * RUNS)
            await eventually(lambda: len(counts) >= 3 * RUNS, seconds=LIMIT_SECONDS)
            second.terminate()
            code = await second.wait()
        watch.cancel()
        statuses = [(await run.workflow())["status"] for run in runs]
        reasons = Counter(event["reason"] for event in await all_of(world, EVENTS))

    assert in_the_middle, "all was done before the bridge was killed: the test has shown nothing"
    assert counts == {f"{run.name}-step-{step}": 1 for run in runs for step in (1, 2, 3)}
    assert {(s["phase"], s["progress"], s["workflowResult"]["outcome"]) for s in statuses} == {
        ("completed", "3/3", "success")
    }
    assert {step["name"] for s in statuses for step in s["stepStatuses"]} == {"name-1", "name-2", "name-3"}
    assert reasons == {"Executing": RUNS, "Completed": RUNS}
    assert code == 0
