"""Handoff: from the acknowledgement of the last dependency's end to the sight of the dependent's object in a watch.

At a steady rate, well below what the system can do. The benchmark itself is the executor, because only the executor
knows when its write was answered; it looks by the same kind of watch at the system's executions and at the floor's.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Final

import msgspec

from benchmarks import floor, runs, sample, throughput
from benchmarks.figures import Figure, Goal, Measure, quantile
from benchmarks.graphs import TEN_STEPS, workflow
from benchmarks.options import Options
from benchmarks.system import FLOOR_NAMESPACE, FOUR, SYSTEM_NAMESPACE, System, running
from kubernaut.local.progress import Progress
from runtime.kinds import EXECUTIONS
from runtime.ports import Cluster, WatchEvent
from schemas.names import EXECUTION_GROUP, EXECUTION_KIND, VERSION

_PATIENCE_SECONDS: Final = 120.0
_WARM_UP: Final = 5
_STATUS: Final = {
    "phase": "completed",
    "executionResults": {"success": True, "executionTime": "1s", "resourcesAffected": []},
}
Step = tuple[str, int]
"""Name of the workflow, number of the step."""


class _Ref(msgspec.Struct, frozen=True):
    name: str


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    workflow_execution_ref: _Ref
    step_number: int


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    uid: str = ""
    resource_version: str = ""


class _Execution(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: _Spec


class _Named(msgspec.Struct, frozen=True):
    metadata: _Meta


_NAMED: Final = msgspec.json.Decoder(_Named)
_DECODER: Final = msgspec.json.Decoder(_Execution)


class Times:
    """When steps were seen and when their ends were acknowledged, on the monotonic clock."""

    def __init__(self) -> None:
        self.seen: dict[Step, float] = {}
        self.acknowledged: dict[Step, float] = {}
        self.cuts = 0
        """Times that the API server ended the watch; what was seen late because of it is in the handoffs."""

    def acknowledge(self, workflow_name: str, step: int) -> None:
        """Take in that the status that ends a step was answered."""
        self.acknowledged[workflow_name, step] = time.perf_counter()

    def handoffs(self) -> list[float]:
        """Return the ms of each handoff: for each step with dependencies, from the last of these to itself."""
        return [
            1000 * (self.seen[name, step] - max(self.acknowledged[name, before] for before in TEN_STEPS[step]))
            for name, step in self.seen
            if TEN_STEPS[step]
        ]


async def measure(options: Options, progress: Progress) -> Measure:
    """Run both in turn at the same rate and compare."""
    async with running(progress, FOUR, profiles=options.profiles) as system:
        bodies = [workflow(f"warm-{n}", TEN_STEPS, namespace=SYSTEM_NAMESPACE) for n in range(_WARM_UP)]
        requests = await system.api.requests()
        async with _executing(system.cluster), runs.endings(system) as ends:
            await runs.apply(system.cluster, bodies)
            await ends.of([f"warm-{n}" for n in range(_WARM_UP)], seconds=_PATIENCE_SECONDS)
            await runs.settled(system)
        pattern = await sample.take(system.cluster, "warm-0")
        counted = (await system.api.requests() - requests).writes
        await throughput.floor_round(system, pattern, counted, "warm", _WARM_UP)
        handoffs: list[float] = []
        floor_handoffs: list[float] = []
        count = max(1, round(options.handoff_seconds * options.rate / len(TEN_STEPS)))
        for number in range(options.rounds):
            progress.show(f"handoff: round {number + 1} of {options.rounds}, the system")
            requests = await system.api.requests()
            handoffs += await _system_round(system, options, f"round-{number}", count)
            counted = (await system.api.requests() - requests).writes
            progress.show(f"handoff: round {number + 1} of {options.rounds}, the floor")
            bare = _bare(system, pattern, counted, count)
            floor_handoffs += await _floor_round(system, options, f"round-{number}", count, bare)
        restarts = system.restarts()
    return Measure(
        name="handoff",
        title=f"from a dependency's end to its dependent, at {options.rate:g} steps a second",
        figures=tuple(_figures(handoffs, floor_handoffs)),
        details={"handoffs": len(handoffs), "floor_handoffs": len(floor_handoffs), "restarts": restarts},
    )


def _figures(handoffs: list[float], floor_handoffs: list[float]) -> list[Figure]:
    found = []
    for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        value, bare = quantile(handoffs, part), quantile(floor_handoffs, part)
        found.append(Figure(name=f"handoff {name}", value=value, unit="ms", floor=bare))
        goal = Goal(most=2.0) if name != "p90" else None
        found.append(Figure(name=f"handoff {name}, as a multiple of the floor", value=value / bare, unit="", goal=goal))
    return found


async def _system_round(system: System, options: Options, name: str, count: int) -> list[float]:
    names = [f"{name}-{place}" for place in range(count)]
    async with _executing(system.cluster) as times, runs.endings(system) as ends:

        async def start(place: int) -> None:
            await runs.apply(system.cluster, [workflow(names[place], TEN_STEPS, namespace=SYSTEM_NAMESPACE)])

        await _paced(start, count, len(TEN_STEPS) / options.rate)
        await ends.of(names, seconds=_PATIENCE_SECONDS)
        await runs.settled(system)
    await runs.check(system.cluster, names, steps=len(TEN_STEPS))
    return times.handoffs()


Bare = Callable[[str, int, floor.Acknowledged], floor.Run]


def _bare(system: System, pattern: sample.Sample, counted: Counter[str], count: int) -> Bare:
    lane = floor.Lane(system.cluster)

    def run(name: str, place: int, acknowledged: floor.Acknowledged) -> floor.Run:
        return floor.Run(
            lane,
            pattern,
            TEN_STEPS,
            floor.writes_of(counted, count, place, len(TEN_STEPS)),
            name=name,
            limit=throughput.LIMIT,
            acknowledged=acknowledged,
        )

    return run


async def _floor_round(system: System, options: Options, name: str, count: int, bare: Bare) -> list[float]:
    times = Times()
    async with _watching(system.cluster, FLOOR_NAMESPACE, times):

        async def start(place: int) -> None:
            await bare(f"{name}-{place}", place, times.acknowledge).run()

        await _paced(start, count, len(TEN_STEPS) / options.rate)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while len(times.seen) < count * len(TEN_STEPS):  # noqa: ASYNC110 - the watch tells each by itself
                await asyncio.sleep(0.05)
    return times.handoffs()


async def _paced(start: Callable[[int], Coroutine[None, None, None]], count: int, pause: float) -> None:
    """Begin one after the other, whether those before have ended or not; return when all have."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for place in range(count):
            await asyncio.sleep(max(0.0, began + place * pause - loop.time()))
            group.create_task(start(place))


@asynccontextmanager
async def _executing(cluster: Cluster) -> AsyncGenerator[Times, None]:
    """Be the executor of the system's namespace: each execution ends well at once."""
    times = Times()

    async def end(execution: _Execution) -> None:
        meta = execution.metadata
        body = {
            "apiVersion": f"{EXECUTION_GROUP}/{VERSION}",
            "kind": EXECUTION_KIND,
            "metadata": {
                "name": meta.name,
                "namespace": SYSTEM_NAMESPACE,
                "uid": meta.uid,
                "resourceVersion": meta.resource_version,
            },
            "status": _STATUS,
        }
        await cluster.replace_status(EXECUTIONS, SYSTEM_NAMESPACE, meta.name, body)
        times.acknowledge(execution.spec.workflow_execution_ref.name, execution.spec.step_number)

    async with (
        asyncio.TaskGroup() as group,
        _watching(cluster, SYSTEM_NAMESPACE, times, lambda execution: group.create_task(end(execution))),
    ):
        yield times


@asynccontextmanager
async def _watching(
    cluster: Cluster, namespace: str, times: Times, new: Callable[[_Execution], object] = lambda _: None
) -> AsyncGenerator[None, None]:
    """Note when each new execution of a namespace is seen, and tell of it."""
    version = (await cluster.list(EXECUTIONS, namespace, limit=1)).resource_version

    def take(event: WatchEvent) -> str:
        now = time.perf_counter()
        if event.type != "ADDED":
            return _NAMED.decode(event.object).metadata.resource_version
        execution = _DECODER.decode(event.object)
        times.seen[execution.spec.workflow_execution_ref.name, execution.spec.step_number] = now
        new(execution)
        return execution.metadata.resource_version

    async def watch_loop(version: str) -> None:
        while True:  # a server without CPU to spare ends watches that it cannot serve fast enough
            async with aclosing(cluster.watch(EXECUTIONS, namespace, resource_version=version)) as events:
                async for event in events:
                    version = take(event)
            times.cuts += 1

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch_loop(version))
        yield
        watching.cancel()
