"""Composition root of the simulated executor: `python -m kubernaut.simulator`. Carries out nothing; see the package."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping

from kubernaut.simulator.apply import Executor
from kubernaut.simulator.board import Board
from kubernaut.simulator.settings import read_scale
from kubernaut.simulator.simulator_loop import Watching, work_loop
from runtime.cluster import connect
from runtime.ports import Cluster
from runtime.service import Service, main
from schemas.actions import ACTIONS


def _clock() -> int:
    return time.time_ns() // 1_000_000


def _typical() -> Mapping[str, float]:
    return {name: action.typical_seconds for name, action in ACTIONS.items()}


async def run(service: Service) -> None:
    """Simulate executions until the service is told to stop; being stopped at any point is harmless."""
    scale = read_scale(os.environ)
    service.log.warning("simulated_executor", scale=scale, note="this is a simulation: no action is carried out")
    cluster = await connect(service.settings)
    try:
        await _simulate(service, cluster, scale)
    finally:
        await cluster.close()


async def _simulate(service: Service, cluster: Cluster, scale: float) -> None:
    board, news = Board(), asyncio.Event()
    executor = Executor(cluster, board, scale=scale, typical=_typical(), clock=_clock, log=service.log)
    health = service.health.dependency("kubernetes")
    watching = Watching(cluster, board, clock=_clock, news=news, health=health, log=service.log)
    namespaces: dict[str | None, asyncio.Event] = {
        namespace: asyncio.Event() for namespace in service.settings.watch_namespaces or (None,)
    }
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watching.watch_loop(*each)) for each in namespaces.items()]
        work = work_loop(board, executor, clock=_clock, news=news, listed=namespaces.values())
        tasks.append(group.create_task(work))
        await service.stopping.wait()
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    main("simulator", run)
