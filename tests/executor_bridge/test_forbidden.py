"""Not ready for want of a right, and for no longer: work that was refused here may be done by another replica."""

from __future__ import annotations

import asyncio

from executor_bridge.forbidden import QUIET_SECONDS, REMEMBERED, Forbidden
from runtime.errors import ForbiddenError
from runtime.health import Dependency
from tests.executor_bridge.builders import a_create, a_decision, a_state, a_step
from tests.executor_bridge.virtual import run
from tests.executor_bridge.world import World

REFUSED = ForbiddenError("no", reason="forbidden")


def a_memory() -> tuple[Dependency, Forbidden]:
    """One that saw nothing yet, and what it tells."""
    rights = Dependency("rights")
    return rights, Forbidden(rights)


def test_work_that_another_replica_took_over_is_not_waited_for() -> None:
    """(F22) After a restart the API server refuses for a moment; the message then goes to the other replica."""

    async def play() -> tuple[list[bool], list[str]]:
        world = World()
        await world.begin()
        refused = world.start()
        rights = refused.health.dependency("rights")
        world.cluster.fail("create", REFUSED)
        await world.decide(a_decision(1, a_state(a_step(1, "executing")), a_create(1)))
        await world.until(lambda: not rights.well)
        seen = [rights.well]
        refused.pull_no_more()
        world.start()
        await world.settled()
        await asyncio.sleep(2 * QUIET_SECONDS)
        seen.append(rights.well)
        await world.close()
        return seen, world.created()

    assert run(play()) == ([False, True], ["restart-web-step-1"])


def test_a_status_that_is_out_of_date_when_its_right_is_back_is_not_waited_for() -> None:
    """A newer decision came meanwhile, and its message shows the status."""

    async def play() -> tuple[bool, list[int]]:
        world = World()
        await world.begin()
        rights = world.start().health.dependency("rights")
        world.cluster.fail("replace_status", REFUSED)
        await world.decide(a_decision(1, a_state(a_step(1))))
        await world.until(lambda: not rights.well)
        await world.decide(a_decision(2, a_state(a_step(1, "executing")), a_create(1)))
        await world.settled()
        well = rights.well
        await world.close()
        return well, world.statuses()

    assert run(play()) == (True, [2])


def test_the_same_right_used_by_other_work_is_there_again() -> None:
    """What was refused need not come back to this replica first."""
    rights, memory = a_memory()
    memory.hopeful("a", "create in shop", 0.0, 120.0, "no")
    memory.hopeful("b", "create in shop", 1.0, 120.0, "no")

    memory.granted("create in office")
    memory.granted("delete in shop")
    before = rights.well
    memory.granted("create in shop")

    assert (before, rights.well) == (False, True)


def test_work_that_is_refused_again_and_again_is_remembered_from_the_first_time_on() -> None:
    """Looking whether all is quiet forgets nothing that still comes."""
    rights, memory = a_memory()
    hopes = []
    for now in range(0, 125, 5):
        hopes.append(memory.hopeful("a", "create in shop", float(now), 120.0, "no"))
        memory.forget(float(now))

    assert hopes == [True] * 24 + [False]
    assert rights.well


def test_all_is_well_only_when_the_last_is_quiet() -> None:
    """One of two came again."""
    rights, memory = a_memory()
    memory.hopeful("a", "create in shop", 0.0, 120.0, "no")
    memory.hopeful("b", "delete in shop", 0.0, 120.0, "no")
    memory.hopeful("b", "delete in shop", 5.0, 120.0, "no")
    seen = []
    for now in (QUIET_SECONDS - 1, QUIET_SECONDS, QUIET_SECONDS + 5):
        memory.forget(now)
        seen.append(rights.well)

    assert seen == [False, False, True]


def test_the_memory_has_an_end() -> None:
    """A flood of refusals takes no more than so many places."""
    rights, memory = a_memory()
    for number in range(REMEMBERED + 1):
        memory.hopeful(str(number), "create in shop", 0.0, 120.0, "no")
    for number in range(1, REMEMBERED + 1):
        memory.settled(str(number))

    assert rights.well
