"""The bridge is killed at every call of its ports, before and after the effect, and another one takes over."""

from __future__ import annotations

import asyncio
import random

import pytest

from runtime.kinds import EVENTS, EXECUTIONS, WORKFLOWS
from schemas.messages import HoldWorkflow, ReleaseExecution, ReleaseWorkflow, Transition
from tests.executor_bridge.builders import START, a_create, a_decision, a_state, a_step
from tests.executor_bridge.virtual import run
from tests.executor_bridge.world import World

FIRST, SECOND, THIRD = (f"restart-web-step-{n}" for n in (1, 2, 3))


async def a_run(world: World) -> None:
    """The scheduler's part of a run of three steps; each decision waits for what the watcher would have seen."""
    version = int(world.workflow["metadata"]["resourceVersion"])
    begun = a_state(a_step(1, "executing"), a_step(2, "executing", held=True), a_step(3), object_version=version)
    move = Transition(entity="workflow", what="started", before="planning", after="executing")
    await world.decide(a_decision(1, begun, a_create(1), a_create(2, hold=True), HoldWorkflow(), transitions=(move,)))
    await world.until(lambda: world.execution(FIRST) and world.execution(SECOND))

    seen = {name: world.execution(name)["metadata"]["uid"] for name in (FIRST, SECOND)}  # type: ignore[index]
    done = [a_step(n, "completed", execution_uid=uid) for n, uid in enumerate(seen.values(), 1)]
    await world.decide(
        a_decision(
            2,
            a_state(*done, a_step(3, "executing"), object_version=version),
            ReleaseExecution(name=SECOND, uid=seen[SECOND], step=2),
            a_create(3),
        )
    )
    await world.until(lambda: world.execution(THIRD))

    uid = world.execution(THIRD)["metadata"]["uid"]  # type: ignore[index]
    ended = a_state(
        *done,
        a_step(3, "completed", execution_uid=uid),
        phase="completed",
        object_version=version,
        held=False,
        outcome="success",
        ended_at=START + 3000,
    )
    move = Transition(entity="workflow", what="completed", before="executing", after="completed")
    await world.decide(a_decision(3, ended, ReleaseWorkflow(), transitions=(move,)))
    await world.settled()


def assert_all_done_once(world: World) -> None:
    """Each execution was created once, statuses only went forward, nothing is held, people were told."""
    assert sorted(world.created()) == [FIRST, SECOND, THIRD]
    assert world.statuses() == sorted(world.statuses())
    assert (world.status()["sequence"], world.status()["phase"]) == (3, "completed")
    assert [e["metadata"].get("finalizers") or [] for e in world.cluster.of(EXECUTIONS)] == [[], [], []]
    assert [w["metadata"].get("finalizers") or [] for w in world.cluster.of(WORKFLOWS)] == [[]]
    assert world.log.stored("kubernaut.outcome.>") == []
    assert sorted(e["reason"] for e in world.cluster.of(EVENTS)) == ["Completed", "Executing"]


async def killed_at(point: int) -> tuple[World, bool]:
    """Play the run with a first bridge that dies at a point; whether the run got that far."""
    world = World()
    await world.begin()
    first = world.start(point)

    async def take_over() -> None:
        await first.calls.killed.wait()
        await first.die()
        world.start()

    watch = asyncio.create_task(take_over())
    await a_run(world)
    killed = first.calls.killed.is_set()
    watch.cancel()
    await world.close()
    return world, killed


def test_a_run_without_faults_takes_effect_once() -> None:
    """Without a fault, each execution is created once and the last status is shown."""
    world, _ = run(killed_at(0))

    assert_all_done_once(world)
    assert world.processes[0].log.acked == [2, 3, 4]


def test_killed_at_any_call_another_bridge_finishes_the_work() -> None:
    """Whichever call of a port is the last one of a process, its successor ends the run with each effect once."""
    point = 0
    while True:
        point += 1
        world, killed = run(killed_at(point))
        try:
            assert_all_done_once(world)
        except AssertionError as error:
            raise AssertionError(f"killed at point {point} ({world.processes[0].calls.names[-1]})") from error
        if not killed:
            break

    assert point > 30, "the run has fewer calls than it should; were they made through the ports?"


@pytest.mark.parametrize("seed", range(25))
def test_several_bridges_that_die_now_and_then_agree(seed: int) -> None:
    """Two bridges at once, slow in random ways and killed now and then: each effect once, statuses only forward."""

    async def go() -> World:
        draw = random.Random(seed)  # noqa: S311 - a test's dice
        world = World()
        await world.begin()
        pause = lambda: draw.expovariate(20)  # noqa: E731 - one distribution for all
        for kill_at in (draw.randrange(1, 60), draw.randrange(1, 60)):
            world.start(kill_at, pause=pause)

        async def replace() -> None:
            while True:
                for process in [p for p in world.processes if p.calls.killed.is_set() and not p.log.crashed]:
                    await process.die()
                    world.start(pause=pause)
                await asyncio.sleep(0.5)

        supervisor = asyncio.create_task(replace())
        for process in world.processes:
            process.log.lose_acks = draw.randrange(3)
        await a_run(world)
        supervisor.cancel()
        await world.close()
        return world

    world = run(go())

    assert_all_done_once(world)
