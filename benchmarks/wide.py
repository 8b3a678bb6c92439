"""One large run alone: a step must not cost more because there are many of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from benchmarks import runs, usage
from benchmarks.bus import Size
from benchmarks.figures import Figure, Goal, Measure
from benchmarks.graphs import TEN_STEPS, WIDEST, chain, fan, workflow
from benchmarks.options import Options
from benchmarks.system import PRODUCT, SYSTEM_NAMESPACE, System, running
from kubernaut.local.progress import Progress

_SMALL, _LARGE = 64, 256
_SHAPES: Final = {"in a chain": chain, "side by side": fan}
_PATIENCE_SECONDS: Final = 600.0
_TIMES: Final = 2
"""How often each graph is run; the better one counts, because trouble of the machine only ever adds."""
_LINEAR: Final = Goal(most=2.0)
"""With quadratic cost, a step of a run that is four times as large takes four times as long."""


class _Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one step of a run took."""

    seconds: float
    cpu: float
    """Seconds of all four services."""
    log: float
    """Bytes on the log."""


async def measure(options: Options, progress: Progress) -> Measure:
    """Run each shape small and large."""
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    async with running(progress, profiles=options.profiles) as system:
        await _run(system, "warm", TEN_STEPS)
        for shape, graph in _SHAPES.items():
            costs = {}
            for steps in (_SMALL, _LARGE):
                progress.show(f"wide: {steps} steps {shape}")
                tries = [await _run(system, f"wide-{len(details)}-{n}", graph(steps)) for n in range(_TIMES)]
                costs[steps] = _Cost(
                    seconds=min(cost.seconds for cost in tries),
                    cpu=min(cost.cpu for cost in tries),
                    log=min(cost.log for cost in tries),
                )
                details[f"{steps} steps {shape}"] = msgspec.to_builtins(tries)
            figures += _figures(shape, costs)
        details["restarts"] = system.restarts()
    return Measure(name="wide", title="one run of 256 steps beside one of 64", figures=tuple(figures), details=details)


def _figures(shape: str, costs: Mapping[int, _Cost]) -> list[Figure]:
    small, large = costs[_SMALL], costs[_LARGE]
    found = []
    for steps, cost in costs.items():
        found.append(Figure(name=f"{steps} steps {shape}: time a step", value=1000 * cost.seconds, unit="ms"))
        found.append(Figure(name=f"{steps} steps {shape}: CPU a step, services", value=1000 * cost.cpu, unit="ms"))
        found.append(Figure(name=f"{steps} steps {shape}: log a step", value=cost.log / 1024, unit="KiB"))
    times, cpu = large.seconds / small.seconds, large.cpu / small.cpu
    return [
        *found,
        Figure(name=f"{shape}: time a step, 256 to 64", value=times, unit="", goal=_LINEAR),
        Figure(name=f"{shape}: CPU a step, 256 to 64", value=cpu, unit="", goal=_LINEAR),
    ]


async def _run(system: System, name: str, graph: Mapping[int, tuple[int, ...]]) -> _Cost:
    async with runs.endings(system) as ends:
        before, held = usage.look(system.pids()), await system.bus.size()
        began = time.perf_counter()
        await runs.apply(system.cluster, [workflow(name, graph, namespace=SYSTEM_NAMESPACE, limit=WIDEST)])
        seconds = await ends.of([name], seconds=_PATIENCE_SECONDS) - began
        await runs.settled(system)
        cpu = usage.spent(before, usage.look(system.pids()))
        written: Size = await system.bus.size() - held
    await runs.check(system.cluster, [name], steps=len(graph))
    steps = len(graph)
    services = sum(cpu[service] for service in PRODUCT)
    return _Cost(seconds=seconds / steps, cpu=services / steps, log=written.bytes / steps)
