"""Steps a second with many runs at once, CPU a step and memory: the system, and the floor after it, in turn."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from benchmarks import floor, runs, sample, usage
from benchmarks.api import Requests
from benchmarks.figures import Figure, Goal, Measure, median
from benchmarks.graphs import TEN_STEPS, workflow
from benchmarks.options import Options
from benchmarks.system import API_SERVER, PRODUCT, SYSTEM_NAMESPACE, System, running
from kubernaut.local.progress import Progress

LIMIT: Final = 5
_WARM_UP: Final = 5
_PATIENCE_SECONDS: Final = 600.0


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one round of the system or of the floor has shown."""

    steps: int
    seconds: float
    """From the first create until the last workflow had its final status."""
    requests: Requests
    cpu: dict[str, float]
    """Seconds by process, until all that followed was done, too."""

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.steps / self.seconds


async def measure(options: Options, progress: Progress) -> Measure:
    """Run both in turn and compare the medians."""
    async with running(progress, profiles=options.profiles) as system:
        warm = await system_round(system, "warm", _WARM_UP)
        pattern = await sample.take(system.cluster, "warm-0")
        await floor_round(system, pattern, warm.requests.writes, "warm", _WARM_UP)
        systems, floors = [], []
        for number in range(options.rounds):
            progress.show(f"throughput: round {number + 1} of {options.rounds}, the system")
            systems.append(await system_round(system, f"round-{number}", options.runs))
            progress.show(f"throughput: round {number + 1} of {options.rounds}, the floor")
            counted = systems[-1].requests.writes
            floors.append(await floor_round(system, pattern, counted, f"round-{number}", options.runs))
            progress.say(f"throughput: {systems[-1].rate:.0f} steps/s, the floor {floors[-1].rate:.0f}")
        usages = usage.look(system.pids())
        details = _details(systems, floors) | {
            "kubernetes": await system.api.version(),
            "restarts": system.restarts(),
        }
    return Measure(
        name="throughput",
        title=f"{options.runs} runs of ten steps at once",
        figures=tuple(_figures(systems, floors, usages)),
        details=details,
    )


async def system_round(system: System, name: str, count: int) -> Round:
    """Let the system do `count` runs at once."""
    names = [f"{name}-{place}" for place in range(count)]
    workflows = [workflow(n, TEN_STEPS, namespace=SYSTEM_NAMESPACE, limit=LIMIT) for n in names]
    async with runs.endings(system) as ends:
        requests, before = await system.api.requests(), _look(system)
        began = time.perf_counter()
        await runs.apply(system.cluster, workflows)
        seconds = await ends.of(names, seconds=_PATIENCE_SECONDS) - began
        await runs.settled(system)
        cpu = usage.spent(before, _look(system))
        requests = await system.api.requests() - requests
    await runs.check(system.cluster, names, steps=len(TEN_STEPS))
    return Round(steps=count * len(TEN_STEPS), seconds=seconds, requests=requests, cpu=cpu)


async def floor_round(system: System, pattern: sample.Sample, counted: Counter[str], name: str, count: int) -> Round:
    """Let the bare client do the same: `counted` is what the system wrote in as many runs."""
    lane = floor.Lane(system.cluster)
    bare = [
        floor.Run(
            lane,
            pattern,
            TEN_STEPS,
            floor.writes_of(counted, count, place, len(TEN_STEPS)),
            name=f"{name}-{place}",
            limit=LIMIT,
            acknowledged=lambda _workflow, _step: None,
        )
        for place in range(count)
    ]
    requests, before = await system.api.requests(), _look(system)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for run in bare:
            group.create_task(run.run())
    seconds = max(run.ended_at for run in bare) - began
    cpu = usage.spent(before, _look(system))
    requests = await system.api.requests() - requests
    return Round(steps=count * len(TEN_STEPS), seconds=seconds, requests=requests, cpu=cpu)


def _look(system: System) -> dict[str, usage.Usage]:
    return usage.look(system.pids()) | {"benchmark": usage.Usage(usage.own_cpu(), 0, 0)}


def _figures(systems: Sequence[Round], floors: Sequence[Round], usages: Mapping[str, usage.Usage]) -> list[Figure]:
    rate, floor_rate = median([r.rate for r in systems]), median([r.rate for r in floors])
    ratios = [system.rate / bare.rate for system, bare in zip(systems, floors, strict=True)]
    cpu, floor_cpu = _cpu_per_step(systems), _cpu_per_step(floors)
    counted = [name for name in cpu if name in PRODUCT or name in ("nats", "postgres")]
    names = sorted((name for name in cpu if name != "benchmark"), key=lambda n: (n not in PRODUCT, n not in counted, n))
    largest = max(usages[name].peak for name in PRODUCT if name in usages)
    return [
        Figure(name="steps a second", value=rate, unit="1/s", floor=floor_rate),
        Figure(name="share of the floor", value=median(ratios), unit="", goal=Goal(least=0.8)),
        Figure(
            name="CPU a step, all but the API server",
            value=sum(cpu[name] for name in counted),
            unit="ms",
            goal=Goal(most=3.0),
        ),
        *(Figure(name=f"CPU a step: {n}", value=cpu[n], unit="ms", floor=_shown(floor_cpu, n)) for n in names),
        Figure(name="CPU a step: benchmark", value=cpu["benchmark"], unit="ms", floor=floor_cpu["benchmark"]),
        Figure(name="memory of the largest service", value=largest / usage.MIB, unit="MiB", goal=Goal(most=128)),
        *(
            Figure(name=f"memory at its peak: {name}", value=usages[name].peak / usage.MIB, unit="MiB")
            for name in names
            if name in usages
        ),
    ]


def _shown(floor_cpu: Mapping[str, float], name: str) -> float | None:
    return floor_cpu.get(name) if name in API_SERVER else None


def _cpu_per_step(rounds: Sequence[Round]) -> dict[str, float]:
    """Return the ms of CPU a step by process: the median of the rounds."""
    return {name: median([1000 * r.cpu[name] / r.steps for r in rounds if name in r.cpu]) for name in rounds[0].cpu}


def _details(systems: Sequence[Round], floors: Sequence[Round]) -> dict[str, Any]:
    last, bare = systems[-1], floors[-1]
    return {
        "ratios": [round(system.rate / bare.rate, 3) for system, bare in zip(systems, floors, strict=True)],
        "steps_a_second": [round(r.rate, 1) for r in systems],
        "floor_steps_a_second": [round(r.rate, 1) for r in floors],
        "writes_a_step": {kind: round(n / last.steps, 3) for kind, n in sorted(last.requests.writes.items())},
        "floor_writes_a_step": {kind: round(n / bare.steps, 3) for kind, n in sorted(bare.requests.writes.items())},
        "refused_writes": dict(last.requests.refused),
        "reads_a_step": {kind: round(n / last.steps, 3) for kind, n in sorted(last.requests.reads.items())},
        "not_in_the_floor": sorted(set(last.requests.writes) - set(floor.KINDS)),
    }
