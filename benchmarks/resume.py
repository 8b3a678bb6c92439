"""How long the watcher takes to know again what it knew, after a restart over many objects."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from benchmarks import runs, usage
from benchmarks.figures import Figure, Goal, Measure
from benchmarks.graphs import TEN_STEPS, workflow
from benchmarks.options import Options
from benchmarks.system import SYSTEM_NAMESPACE, System, running, start
from kubernaut.local.progress import Progress
from kubernaut.local.services import WATCHER
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.ports import Object
from schemas.names import EXECUTION_GROUP, EXECUTION_KIND, VERSION, idempotency_key

_PER_WORKFLOW: Final = 11
"""Objects of one ten-step run."""
_SIDE_BY_SIDE: Final = 16
_POLL_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 600.0


async def measure(options: Options, progress: Progress) -> Measure:
    """Make the objects, let the watcher publish them, stop it, change one object, and start it again."""
    count = max(1, options.objects // _PER_WORKFLOW)
    async with running(progress, ()) as system:
        await _make(system, count, progress)
        first = await _known_after_start(system, count * _PER_WORKFLOW, progress)
        await system.stack.supervisor.stop(WATCHER.name)
        published = await system.bus.size()
        await runs.apply(system.cluster, [workflow("marker", TEN_STEPS, namespace=SYSTEM_NAMESPACE)])
        began = time.perf_counter()
        await system.stack.supervisor.start(WATCHER.name)
        await _until_published(system, published.messages, "the marker", progress)
        seconds = time.perf_counter() - began
        await system.stack.supervisor.wait_ready(WATCHER.name)
        after = await system.bus.size()
        watcher = usage.look(system.pids())[WATCHER.name]
    return Measure(
        name="resume",
        title=f"the watcher over {count * _PER_WORKFLOW:,} objects",
        figures=(
            Figure(name="from its start until it publishes what is new", value=seconds, unit="s", goal=Goal(most=5)),
            Figure(name="first start: until all objects are on the log", value=first, unit="s"),
            Figure(name="messages on the log more than before", value=(after - published).messages, unit=""),
            Figure(name="CPU of the watcher to resume", value=watcher.cpu, unit="s"),
            Figure(name="memory of the watcher", value=watcher.peak / usage.MIB, unit="MiB", goal=Goal(most=128)),
        ),
    )


async def _known_after_start(system: System, objects: int, progress: Progress) -> float:
    began = time.perf_counter()
    await start(system, (WATCHER,))
    await _until_published(system, objects - 1, f"{objects:,} objects", progress)
    await asyncio.sleep(1)
    return time.perf_counter() - began - 1


async def _until_published(system: System, before: int, what: str, progress: Progress) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (held := (await system.bus.size("KUBERNAUT")).messages) <= before:
            progress.show(f"resume: the watcher is to publish {what}; {held:,} messages are on the log")
            await asyncio.sleep(_POLL_SECONDS)


async def _make(system: System, count: int, progress: Progress) -> None:
    room = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def make(number: int) -> None:
        async with room:
            body = workflow(f"kept-{number}", TEN_STEPS, namespace=SYSTEM_NAMESPACE)
            found = await system.cluster.create(WORKFLOWS, SYSTEM_NAMESPACE, body)
            for step in TEN_STEPS:
                await system.cluster.create(EXECUTIONS, SYSTEM_NAMESPACE, _execution(found, step))
        progress.show(f"resume: making {count * _PER_WORKFLOW:,} objects; {number * _PER_WORKFLOW:,} are there")

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(make(number))


def _execution(found: Object, step: int) -> Object:
    meta = found["metadata"]
    return {
        "apiVersion": f"{EXECUTION_GROUP}/{VERSION}",
        "kind": EXECUTION_KIND,
        "metadata": {"name": f"{meta['name']}-step-{step}", "namespace": SYSTEM_NAMESPACE},
        "spec": {
            "workflowExecutionRef": {name: meta[name] for name in ("name", "namespace", "uid")},
            "stepNumber": step,
            "action": "notify_only",
            "parameters": {"message": f"step {step}"},
            "idempotencyKey": idempotency_key(meta["uid"], step, 1),
        },
    }
