"""Many runs that are active together: memory, health answers meanwhile, and whether all of them complete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from benchmarks import runs, usage
from benchmarks.answers import Answers
from benchmarks.figures import Figure, Goal, Measure, quantile
from benchmarks.graphs import TEN_STEPS, workflow
from benchmarks.options import Options
from benchmarks.system import PRODUCT, SYSTEM_NAMESPACE, System, running
from kubernaut.local.probes import HttpProbe
from kubernaut.local.progress import Progress

_STEP: Final = "15s"
"""How long each step takes, so that all runs have begun before the first one ends."""
_ANNOTATIONS: Final = {"simulator.kubernaut.io/all-steps": f"take:{_STEP}"}
_PATIENCE_SECONDS: Final = 1800.0


async def measure(options: Options, progress: Progress) -> Measure:
    """Start all runs as fast as the API server takes them, and watch until they have ended."""
    names = [f"active-{place}" for place in range(options.active)]
    environment = {"KUBERNAUT_MAX_ACTIVE_WORKFLOWS": str(options.active)}
    async with (
        running(progress, environment=environment, profiles=options.profiles) as system,
        runs.endings(system) as ends,
    ):
        idle = usage.look(system.pids())
        peaks, answers = usage.Peaks(system.pids), Answers(_probes(system))
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(loop) for loop in (peaks.sample_loop(), answers.ask_loop())]
            tasks.append(group.create_task(_show_loop(ends, len(names), progress)))
            await runs.apply(system.cluster, [_workflow(name) for name in names])
            applied = time.perf_counter() - began
            seconds = await ends.of(names, seconds=_PATIENCE_SECONDS) - began
            for task in tasks:
                task.cancel()
        peaks.look()
        together = sum(1 for moment in ends.times.values() if moment > began + applied)
        await runs.settled(system)
        await runs.check(system.cluster, names, steps=len(TEN_STEPS))
        restarts = system.restarts()
    largest = max(peaks.most[name] for name in PRODUCT)
    return Measure(
        name="active",
        title=f"{options.active:,} runs of ten steps, each step of {_STEP}",
        figures=(
            Figure(name="runs that completed", value=len(names), unit="", goal=Goal(least=options.active)),
            Figure(name="runs that were active together", value=together, unit=""),
            Figure(name="steps a second, over all", value=len(names) * len(TEN_STEPS) / seconds, unit="1/s"),
            Figure(name="memory of the largest service", value=largest / usage.MIB, unit="MiB", goal=Goal(most=128)),
            *_memory(peaks.most, idle),
            *_health(answers),
        ),
        details={"seconds": round(seconds, 1), "seconds_to_apply": round(applied, 1), "restarts": restarts},
    )


def _memory(most: Mapping[str, int], idle: Mapping[str, usage.Usage]) -> list[Figure]:
    found = []
    for name in sorted(most, key=lambda name: (name not in PRODUCT, name)):
        before = idle[name].memory / usage.MIB if name in idle else 0.0
        told = f"memory at its peak: {name} ({before:.0f} before)"
        found.append(Figure(name=told, value=most[name] / usage.MIB, unit="MiB"))
    return found


def _health(answers: Answers) -> list[Figure]:
    longest = 1000 * max(answers.seconds)
    return [
        Figure(name="health answers: p50", value=1000 * quantile(answers.seconds, 0.5), unit="ms"),
        Figure(name="health answers: p99", value=1000 * quantile(answers.seconds, 0.99), unit="ms"),
        Figure(name="health answers: the longest", value=longest, unit="ms", goal=Goal(most=1000)),
        Figure(name="health answers that said no", value=answers.bad, unit="", goal=Goal(most=0)),
    ]


def _workflow(name: str) -> dict[str, object]:
    return workflow(name, TEN_STEPS, namespace=SYSTEM_NAMESPACE, annotations=_ANNOTATIONS)


async def _show_loop(ends: runs.Endings, count: int, progress: Progress) -> None:
    while True:
        progress.show(f"active: {len(ends.times):,} of {count:,} runs have ended")
        await asyncio.sleep(1)


def _probes(system: System) -> list[str]:
    members = [member.spec for member in system.stack.supervisor.members if member.spec.name in PRODUCT]
    return [spec.probe.url for spec in members if isinstance(spec.probe, HttpProbe)]
