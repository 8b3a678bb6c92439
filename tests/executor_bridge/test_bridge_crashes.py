"""The bridge is killed at every call of its ports, before and after the effect, and another one takes over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from runtime.kinds import BY_KIND, EVENTS, EXECUTIONS, WORKFLOWS
from schemas import messages
from schemas.messages import (
    CheckTarget,
    DeleteWorkflow,
    HoldWorkflow,
    ReleaseExecution,
    ReleaseWorkflow,
    RunCheck,
    Transition,
)
from schemas.run_state import CheckState, MonitorState
from schemas.subjects import AUDITOR
from tests.executor_bridge.builders import START, a_create, a_decision, a_side, a_state, a_step
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


def told(world: World) -> dict[str, bool]:
    """Every check that the log was told of, with its verdict; each is told once."""
    found: dict[str, bool] = {}
    for stored in world.log.stored("kubernaut.outcome.>"):
        body = messages.decode(stored.headers["ce-type"], stored.data)
        assert isinstance(body, messages.CheckReported)
        assert body.check not in found
        found[body.check] = body.passed
    return found


CHECKS: tuple[messages.CheckType, ...] = ("rbac", "capacity", "health", "network")


async def a_checked_run(world: World) -> None:
    """The scheduler's part of a run with checks, a dry run, a rollback, monitoring and the end of its object."""
    version = int(world.workflow["metadata"]["resourceVersion"])
    known: dict[str, Any] = {"object_version": version, "held": False}
    more = {"deployment": "web", "namespace": "shop", "replicas": 3}
    target = CheckTarget(step=1, action="scale_deployment", parameters=more)
    commands = [RunCheck(check=f"check-{n}", type=kind, targets=(target,)) for n, kind in enumerate(CHECKS, 1)]
    checks = tuple(CheckState(f"check-{n}", kind, required=True) for n, kind in enumerate(CHECKS, 1))
    await world.decide(a_decision(1, a_state(a_step(1), phase="validating", checks=checks, **known), *commands))
    await world.until(lambda: len(told(world)) == len(CHECKS))

    await world.decide(
        a_decision(2, a_state(a_step(1), dry_runs=(a_side(1),), **known), a_create(1, purpose="dry_run"))
    )
    await world.until(lambda: world.execution(DRY))

    look = RunCheck(check="monitor-1", type="monitor", targets=(CheckTarget(resource="Deployment/shop/web"),))
    watching = a_state(a_step(1, "completed"), phase="monitoring", monitor=MonitorState(looks=1), **known)
    await world.decide(a_decision(3, watching, look))
    await world.until(lambda: "monitor-1" in told(world))

    rolling = a_state(a_step(1, "completed"), phase="rolling_back", rollbacks=(a_side(1),), **known)
    await world.decide(a_decision(4, rolling, a_create(1, purpose="rollback")))
    await world.until(lambda: world.execution(UNDO))

    ended = a_state(a_step(1, "completed"), phase="failed", audit_looks=1, ended_at=START + 4000, **known)
    await world.decide(a_decision(5, ended, RunCheck(check="audit-1", type="audit")))
    await world.until(lambda: "audit-1" in told(world))
    await world.settled()

    await world.decide(a_decision(6, ended, DeleteWorkflow()))
    await world.settled()


DRY, UNDO = f"{FIRST}-dryrun", f"{FIRST}-rollback"


def a_world_to_check() -> World:
    """A deployment that is well, a node with room for more of it, and an auditor that is far ahead."""
    world = World()
    status = {"observedGeneration": 1, "availableReplicas": 2}
    pods = {"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]}}
    world.cluster.put(
        BY_KIND["Deployment"],
        {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"replicas": 2, "template": pods}, "status": status},
    )
    node = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "allocatable": {"cpu": "9", "memory": "9Gi", "pods": "9"},
    }
    world.cluster.put(BY_KIND["Node"], {"metadata": {"name": "n1", "namespace": ""}, "status": node})
    world.broker.durable(AUDITOR).next = 1000
    return world


def assert_checked_once(world: World) -> None:
    """Every check was told once, every execution created once, the object is gone at the end and was deleted once."""
    verdicts = {"check-1": False, "check-2": True, "check-3": True, "check-4": True}
    assert told(world) == verdicts | {"monitor-1": True, "audit-1": True}
    assert world.created() == [DRY, UNDO]
    assert world.cluster.of(WORKFLOWS) == []
    assert [name for what, name, _ in world.effects if what == "delete workflowexecutions"] == ["restart-web"]
    assert world.log.stored("kubernaut.deadletter.>") == []


async def killed_at(
    point: int,
    play: Callable[[World], Awaitable[None]] = a_run,
    make: Callable[[], World] = World,
) -> tuple[World, bool]:
    """Play a run with a first bridge that dies at a point; whether the run got that far."""
    world = make()
    await world.begin()
    first = world.start(point)

    async def take_over() -> None:
        await first.calls.killed.wait()
        await first.die()
        world.start()

    watch = asyncio.create_task(take_over())
    await play(world)
    killed = first.calls.killed.is_set()
    watch.cancel()
    await world.close()
    return world, killed


def test_a_run_without_faults_takes_effect_once() -> None:
    """Without a fault, each execution is created once and the last status is shown."""
    world, _ = run(killed_at(0))

    assert_all_done_once(world)
    assert world.processes[0].log.acked == [2, 3, 4]


@pytest.mark.parametrize(
    ("play", "make", "assert_all", "least"),
    [
        pytest.param(a_run, World, assert_all_done_once, 30, id="a run of three steps"),
        pytest.param(a_checked_run, a_world_to_check, assert_checked_once, 60, id="checks, dry run, rollback and end"),
    ],
)
def test_killed_at_any_call_another_bridge_finishes_the_work(
    play: Callable[[World], Awaitable[None]],
    make: Callable[[], World],
    assert_all: Callable[[World], None],
    least: int,
) -> None:
    """Whichever call of a port is the last one of a process, its successor ends the run with each effect once."""
    point = 0
    while True:
        point += 1
        world, killed = run(killed_at(point, play, make))
        try:
            assert_all(world)
        except AssertionError as error:
            raise AssertionError(f"killed at point {point} ({world.processes[0].calls.names[-1]})") from error
        if not killed:
            break

    assert point > least, "the run has fewer calls than it should; were they made through the ports?"


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
