"""The disk of NATS is full: whoever writes waits and says so, and once there is room again nothing was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubernaut.local.probes import why_not_ready
from tests.e2e.world import a_step, a_workflow, assert_each_step_once, until

if TYPE_CHECKING:
    from tests.load.loaded import Loaded
    from tests.load.small_disk import SmallDisk

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]

LEFT = 40_000
"""Bytes: some runs go on before the disk is full."""


async def test_a_full_disk_of_nats_loses_nothing_and_readiness_tells_of_it(loaded: Loaded, disk: SmallDisk) -> None:
    """(F33) No write is acknowledged; with room and a restart of NATS, which it needs for that, everything goes on."""
    await loaded.world.audit_is_complete(120)
    pids = loaded.pids()
    disk.fill(leave=LEFT)
    try:
        names = await loaded.world.apply(*(a_workflow(f"full-disk-{n}", [a_step(1), a_step(2, 1)]) for n in range(30)))
        await until_unready(loaded, 120)
    finally:
        disk.empty()
        await loaded.world.stack.supervisor.restart("nats")
    statuses = await loaded.world.all_end(names, 240)

    assert_each_step_once(loaded.world, names, statuses, steps=2)
    assert pids == loaded.pids()
    await loaded.all_ready()
    await loaded.world.audit_is_complete(120)


async def until_unready(loaded: Loaded, seconds: float) -> None:
    """Wait until the watcher says that it cannot write, and NATS that it is not well.

    The watcher alone may say so earlier, where NATS has let a publish wait for too long.
    """
    nats = loaded.world.stack.supervisor["nats"].spec.probe

    async def both_say() -> bool:
        told = await loaded.why_not_ready("watcher")
        return "takes nothing" in told and "no space left" in (await why_not_ready(nats) or "")

    await until(both_say, "the watcher is not ready because nothing is stored, nor NATS", seconds)
