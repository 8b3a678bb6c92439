"""Kills and outages in the middle of fifty runs: all of them end, each step executed once (G5, G6, G8, G9)."""

from __future__ import annotations

import asyncio

import pytest

from kubernaut.local.kubernetes import API_SERVER
from kubernaut.local.stack import StackOptions
from tests.e2e.fifty import fifty_runs
from tests.e2e.system import a_world
from tests.e2e.world import SERVICES, World, a_workflow, assert_each_step_once, ten_steps

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500), pytest.mark.asyncio(loop_scope="session")]

PARTS = ("nats", "postgres", API_SERVER)
END_SECONDS = 600.0
"""Fifty runs take half a minute on a quiet machine; how soon they go on after an outage is not asked here."""


@pytest.mark.parametrize("service", SERVICES)
async def test_kill_9_of_a_service_in_the_middle_changes_nothing(world: World, service: str) -> None:
    """It is started again and goes on from the log."""
    names = await fifty_runs(world, f"kill-{service.replace('_', '-')}", "1s")

    await world.stack.supervisor.kill(service)
    statuses = await world.all_end(names, END_SECONDS)

    assert_each_step_once(world, names, statuses)
    await world.all_ready()
    await world.audit_is_complete()


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_is_away_for_30_seconds_in_the_middle_costs_time_only(world: World, part: str) -> None:
    """NATS, PostgreSQL or the API server: services stay alive, become unready, and go on when it is back."""
    names = await fifty_runs(world, f"away-{part}", "2s")
    pids = {m.spec.name: m.process.pid for m in world.stack.supervisor.members if m.spec.name in SERVICES}

    await world.stack.supervisor.kill(part, stay_down=True)
    await asyncio.sleep(30)  # the outage itself, as long as the issue names it
    await world.stack.supervisor.start(part)
    if part == "postgres":
        await world.reconnect_database()
    statuses = await world.all_end(names, END_SECONDS)

    assert_each_step_once(world, names, statuses)
    await world.all_ready()
    await world.audit_is_complete()
    assert pids == {m.spec.name: m.process.pid for m in world.stack.supervisor.members if m.spec.name in SERVICES}


@pytest.mark.parametrize("part", PARTS)
async def test_services_that_start_before_a_part_wait_for_it(world: World, part: str) -> None:
    """They live, are not ready and say why; when the part comes, what was applied meanwhile runs."""
    await world.stack.supervisor.kill(part, stay_down=True)
    for service in SERVICES:
        await world.stack.supervisor.stop(service)
        await world.stack.supervisor.start(service)
    await world.stack.supervisor.start(part)
    if part == "postgres":
        await world.stack.supervisor.wait_ready(part)
        await world.reconnect_database()
    await world.all_ready()

    names = await world.apply(*(a_workflow(f"late-{part}-{n}", ten_steps()) for n in range(5)))
    statuses = await world.all_end(names)

    assert_each_step_once(world, names, statuses)
    await world.audit_is_complete()


async def test_two_of_each_service_and_one_of_each_frozen_and_woken(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Replicas share the work; a frozen one's is taken over, and when it wakes it does nothing twice."""
    doubled = {name: 2 for name in SERVICES if name != "executor"}
    options = StackOptions(name="replicas", home=tmp_path_factory.mktemp("replicas"), audit_log=True, replicas=doubled)
    async with a_world(options) as world:
        names = await fifty_runs(world, "frozen", "1s")

        for service in doubled:
            world.stack.supervisor.pause(service)
        statuses = await world.all_end(names, END_SECONDS)
        for service in doubled:
            world.stack.supervisor.resume(service)
        more = await world.apply(*(a_workflow(f"woken-{n}", ten_steps()) for n in range(10)))
        statuses |= await world.all_end(more, END_SECONDS)

        assert_each_step_once(world, names + more, statuses)
        await world.audit_is_complete()
