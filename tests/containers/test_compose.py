"""compose.yaml, brought up for real: healthy, a workflow run to its end, what it keeps, and nothing left of it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from kubernaut.local.probes import HttpProbe, why_not_ready
from tests.containers.composed import SERVICES, composed
from tests.containers.product import IMAGE
from tests.e2e.world import a_workflow, assert_each_step_once, ten_steps, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.containers.bases import Bases
    from tests.containers.composed import Composed
    from tests.containers.engine import Engine
    from tests.containers.product import Product
    from tests.e2e.world import World

pytestmark = [pytest.mark.real, pytest.mark.timeout(3600), pytest.mark.asyncio(loop_scope="session")]


async def test_compose_runs_a_workflow_keeps_the_log_and_leaves_nothing(
    engine: Engine, images: Bases, product: Product, world: World, reachable: Path
) -> None:
    """Up, a run, stopped with code 0, up again on the same volumes with a second run, an audit that is whole, down."""
    assert IMAGE == product.image
    async with composed(engine, images, reachable, reachable.parent) as project:
        await project.run("up", "--detach", "--no-build")
        await _all_ready(project)
        first = await world.apply(a_workflow("composed", ten_steps()))
        statuses = await world.all_end(first, 300)
        containers = project.containers()
        for name in (*SERVICES, "nats", "postgres"):
            await until(partial(project.is_healthy, containers[name]), f"{name} is healthy", 60)
        # podman starts it again with each service
        await until(partial(_has_ended, engine, containers["install"]), "the installer is through", 120)

        await project.run("stop")
        codes = {name: _exit_code(engine, containers[name]) for name in (*SERVICES, "install")}
        await project.run("up", "--detach", "--no-build")
        await _all_ready(project)
        second = await world.apply(a_workflow("composed-again", ten_steps()))
        statuses |= await world.all_end(second, 300)
        await project.run("exec", "-T", "auditor", "kubernaut", "audit", "verify")

        await project.run("down", "--volumes")
        left = project.left()

    assert_each_step_once(world, first + second, statuses)
    assert dict.fromkeys((*SERVICES, "install"), 0) == codes
    assert [] == left


async def _all_ready(project: Composed) -> None:
    async def ready() -> bool:
        probes = [HttpProbe(url=f"http://127.0.0.1:{project.ports[name]}/readyz") for name in SERVICES]
        return not any(await asyncio.gather(*map(why_not_ready, probes)))

    await until(ready, "the four services are ready", 300)


async def _has_ended(engine: Engine, container: str) -> bool:
    return "false" == (await asyncio.to_thread(engine.run, "inspect", "--format={{.State.Running}}", container)).strip()


def _exit_code(engine: Engine, container: str) -> int:
    return int(engine.run("inspect", "--format={{.State.ExitCode}}", container))
