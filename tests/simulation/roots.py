"""The services' own composition roots, given adapters in memory where they would connect to something real."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import auditor.__main__ as auditor_root
import executor_bridge.__main__ as bridge_root
import kubernaut.simulator.__main__ as executor_root
import scheduler.__main__ as scheduler_root
import watcher.__main__ as watcher_root
from kubernaut.simulator import results
from runtime import cluster
from tests.simulation.processes import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.ports import SimCluster, SimStore
    from tests.simulation.world import World

ROOTS: Final[dict[str, Any]] = {
    "watcher": watcher_root.run,
    "scheduler": scheduler_root.run,
    "bridge": bridge_root.run,
    "auditor": auditor_root.run,
    "executor": executor_root.run,
}


async def _connect(_settings: Any, **_rest: Any) -> SimCluster:
    await asyncio.sleep(0)
    return running().cluster()


def _store(_url: str) -> SimStore:
    return running().store()


class _Unsealed:
    """Seals nothing: seals are tried on a real PostgreSQL, in tests/auditor."""

    def __init__(self, *_: Any, health: Any, **__: Any) -> None:
        health.ok()

    async def seal_loop(self) -> None:
        await asyncio.Event().wait()


def _no_memory(*_: Any) -> None:
    """Compare nothing: the log in memory never loses what it holds; `tests/storage` hurts real ones."""


def _honest(affected: Callable[..., list[dict[str, Any]]]) -> Callable[..., list[dict[str, Any]]]:
    """Let the executor say that it changed things in earnest, so that monitoring has something to look at."""

    def told(action: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        found = affected(action, parameters)
        return [{name: value for name, value in each.items() if name != "simulated"} for each in found]

    return told


@contextmanager
def connected(world: World) -> Iterator[None]:
    """Have whatever is started meanwhile connect to this world."""
    with ExitStack() as stack:

        def instead(where: Any, name: str, what: Any) -> None:
            stack.enter_context(patch.object(where, name, what))

        instead(cluster, "connect", _connect)
        instead(bridge_root, "connect", _connect)
        instead(executor_root, "connect", _connect)
        instead(executor_root, "read_scale", lambda _environment: world.scenario.scale)
        instead(os, "getpid", lambda: running().life)
        instead(time, "time", world.wall)
        instead(time, "time_ns", world.wall_ns)
        instead(auditor_root, "PostgresStore", _store)
        instead(auditor_root, "PostgresSeals", _store)
        instead(auditor_root, "Sealer", _Unsealed)
        instead(auditor_root, "Memory", _no_memory)
        if world.scenario.honest:
            instead(results, "affected", _honest(results.affected))
        yield
