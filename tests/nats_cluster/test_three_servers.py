"""Three nats-servers, three copies of everything (F30).

The leader goes, all are killed, two of three are away, no two hear each other.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from kubernaut.local.stack import StackOptions
from runtime.errors import KubernautError
from schemas.subjects import watch_story
from tests.e2e.system import a_world
from tests.e2e.world import World, a_workflow, assert_each_step_once, ten_steps, until
from tests.nats_cluster import gap
from tests.nats_cluster.cluster import NAMES, Cluster

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

LOG = "KUBERNAUT"
RUNS = 12
GAP_SECONDS = 5.0
"""The longest that no publish is taken though there is a leader."""
INSTALL = (sys.executable, "-m", "kubernaut.install", "--replicas", "3")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """The three."""
    async with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(servers: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The system on them."""
    home = tmp_path_factory.mktemp("three")
    options = StackOptions(name="three", home=home, audit_log=True, nats_url=servers.url, install_command=INSTALL)
    async with a_world(options) as found:
        yield found


def workflows(prefix: str) -> list[dict[str, Any]]:
    """Ten-step graphs whose steps take a while."""
    return [a_workflow(f"{prefix}-{n}", ten_steps(), simulate={"all-steps": "take:1s"}) for n in range(RUNS)]


async def under_way(world: World, prefix: str) -> list[str]:
    """Apply runs and wait until all of them are in the middle."""
    names = await world.apply(*workflows(prefix))
    await world.under_way(names)
    return names


async def last_sequence(servers: Cluster) -> int:
    """The last sequence of the log; -1 while nobody tells."""
    try:
        return int((await servers.stream(LOG))["state"]["last_seq"])
    except (KubernautError, TimeoutError):
        return -1


async def assert_all_is_well(world: World, servers: Cluster, names: list[str]) -> None:
    """Every run ended, each step once, one audit row for each message, three copies that are up to date."""
    statuses = await world.all_end(names, 240)
    assert_each_step_once(world, names, statuses)
    await world.all_ready()
    await world.audit_is_complete()

    async def copied() -> bool:
        copies = (await servers.stream(LOG))["cluster"]["replicas"]
        return len(copies) == 2 and all(copy["current"] and not copy.get("offline") for copy in copies)

    await until(copied, "all copies of the log are up to date", 120)


async def cannot_go_on(world: World) -> None:
    """Wait until the scheduler says so."""
    scheduler = world.stack.supervisor["scheduler"]

    async def said() -> bool:
        return await scheduler.process.why_not_ready() is not None

    await until(said, "the scheduler says that it cannot go on", 120)


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_the_leader_of_the_log_may_go_at_any_time(world: World, servers: Cluster, how: str) -> None:
    """Another takes over, and the work goes on while it is away; one that was frozen leads nothing when it wakes.

    Once the servers have elected another, a publish is taken within 5 s.
    """
    names = await under_way(world, f"leader-{how}")
    name = await servers.leader(LOG)
    leader = servers.servers[name]
    before = await last_sequence(servers)

    began = time.monotonic()
    if how == "killed":
        found = await gap.kill(servers, name)
        print(f"{found} after the leader was killed")  # noqa: T201 - a figure
        assert found.after <= GAP_SECONDS
    else:
        leader.pause()

    async def goes_on() -> bool:
        return await last_sequence(servers) > before + RUNS

    await until(goes_on, "the log goes on without its leader", 120)
    print(f"the log went on {time.monotonic() - began:.1f} s after its leader was {how}")  # noqa: T201 - a figure
    if how == "killed":
        await leader.start()
        await leader.wait_ready(120)
    else:
        leader.resume()

    await assert_all_is_well(world, servers, names)


async def test_all_three_may_be_killed_at_once(world: World, servers: Cluster) -> None:
    """What they acknowledged is there when they come back."""
    names = await under_way(world, "all-killed")
    before = await last_sequence(servers)

    await asyncio.gather(*(server.kill() for server in servers.servers.values()))
    await asyncio.gather(*(server.start() for server in servers.servers.values()))

    async def is_back() -> bool:
        return await last_sequence(servers) >= before

    await until(is_back, "the log is back, with all that was in it", 120)
    await assert_all_is_well(world, servers, names)


async def test_one_of_three_takes_nothing_alone_and_the_rest_goes_on_when_they_are_back(
    world: World, servers: Cluster
) -> None:
    """A minority refuses; nothing that it did not store with another is taken for done."""
    names = await under_way(world, "minority")
    leader, story = await servers.leader(LOG), watch_story("minority")
    with_the_others = await servers.acknowledges(leader, story)
    for name in NAMES:
        if name != leader:
            servers.servers[name].pause()

    await cannot_go_on(world)
    alone = await servers.acknowledges(leader, story)
    for name in NAMES:
        if name != leader:
            servers.servers[name].resume()

    assert (True, False) == (with_the_others, alone)
    await assert_all_is_well(world, servers, names)


async def test_each_of_three_alone_takes_nothing_and_all_goes_on_when_they_hear_each_other(
    world: World, servers: Cluster
) -> None:
    """None has a majority, and who led cannot know that yet: it acknowledges nothing then, and nothing later."""
    names = await under_way(world, "apart")
    story = watch_story("apart")

    async def acknowledge() -> list[bool]:
        return await asyncio.gather(*(servers.acknowledges(name, story) for name in NAMES))

    together = await acknowledge()
    servers.part()
    alone = await acknowledge()
    await cannot_go_on(world)
    later = await acknowledge()
    servers.join()

    assert ([True] * 3, [False] * 3, [False] * 3) == (together, alone, later)
    await assert_all_is_well(world, servers, names)
