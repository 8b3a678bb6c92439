"""More workflows at once than can be carried out: they wait in the log, nobody is killed, all of them end (G14)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.figures import quantile
from tests.e2e.world import a_step, a_workflow, assert_each_step_once, until
from tests.load.flood import Flood
from tests.load.loaded import NAMES
from tests.load.memory_limits import MIB

if TYPE_CHECKING:
    from tests.load.loaded import Loaded

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]

MANY = 400
"""At once, with places for 25; `python -m tests.load` has 10,000."""


async def test_a_flood_waits_in_the_log_and_memory_stays_flat(loaded: Loaded) -> None:
    """(F25) Nobody is killed, the newest health answer comes within a second, and each step is executed once."""
    flood = Flood(loaded, [f"flood-{number}" for number in range(MANY)])
    before = loaded.restarts()

    await flood.run(600)

    print(*flood.figures(), sep="\n")  # noqa: T201 - pytest shows it when the test fails
    assert Counter(completed=MANY) == Counter(flood.ended.values())
    assert ({}, before) == (loaded.kills(), loaded.restarts())
    assert [] == [name for name in NAMES if flood.growth(name) > 30 * MIB]
    assert quantile(flood.answers.seconds, 0.99) < 1
    assert flood.answers.bad <= len(flood.answers.seconds) // 100
    assert Counter({f"{name}-step-1": 1 for name in flood.names}) == loaded.world.creations(list(flood.names))
    await loaded.world.audit_is_complete(300)


async def test_a_service_killed_for_its_memory_in_a_flood_comes_back_and_goes_on(loaded: Loaded) -> None:
    """(F52) Each of the four in turn; what it had in hand is taken up again, and nothing is done twice."""
    names: list[str] = []
    for service in NAMES:
        wanted = [f"no-memory-{service.replace('_', '-')}-{number}" for number in range(20)]
        flood = asyncio.create_task(
            loaded.world.apply(*(a_workflow(name, [a_step(1), a_step(2, 1)]) for name in wanted))
        )
        await squeeze(loaded, service)
        names += await flood

    statuses = await loaded.world.all_end(names, 300)

    assert_each_step_once(loaded.world, names, statuses, steps=2)
    await loaded.all_ready()
    await loaded.world.audit_is_complete(120)
    assert set(NAMES) == loaded.kills().keys()


async def squeeze(loaded: Loaded, service: str) -> None:
    """Take the memory of a service away until it is killed for it, and see it come back."""
    limit = loaded.limits[service]
    before = limit.kills

    async def killed() -> bool:
        return limit.kills > before

    limit.exhaust(loaded.pids()[service])
    try:
        await until(killed, f"{service} is killed", 120)
    finally:
        limit.relax()
    await loaded.world.stack.supervisor.wait_ready(service, 240)
