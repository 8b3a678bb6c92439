"""One run: faults for a minute, then everything is healed, then all must come to rest, and stay so."""

from __future__ import annotations

import asyncio
import gc
import random
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runtime.kinds import WORKFLOWS
from schemas import subjects
from tests.simulation import loop as loops
from tests.simulation.effects import Effects
from tests.simulation.roots import connected
from tests.simulation.scenario import SECONDS
from tests.simulation.world import BrokenError, World

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.simulation.loop import SimLoop
    from tests.simulation.scenario import Fault, Planned, Scenario

PATIENCE: Final = 1800.0
"""Within this everything must be at rest once it is healed: approvals wait five minutes, runs as long again."""
QUIET: Final = 60.0
LOOK: Final = 2.0
TOLD: Final = 12


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run."""

    seed: str
    failure: str
    """Empty when everything held."""
    digest: str
    steps: int
    seconds: float
    """Virtual."""
    trace: list[tuple[float, str, str]]
    phases: tuple[str, ...]
    """How the runs ended."""
    creations: int

    @property
    def guarantee(self) -> str:
        """What does not hold, in a word."""
        return self.failure.partition(":")[0]


def simulate(scenario: Scenario) -> Outcome:
    """Run a scenario to its end."""
    gc.freeze()  # only what this run leaves is looked through afterwards
    gc.disable()  # what a collection finds, and when, would depend on what ran before
    try:
        return _simulate(scenario)
    finally:
        gc.enable()
        gc.collect()  # once nothing of the run is held any more: what stays now stays for ever
        gc.unfreeze()


def _simulate(scenario: Scenario) -> Outcome:
    worlds: list[World] = []

    async def main(loop: SimLoop) -> None:
        world = World(loop, scenario)
        worlds.append(world)
        try:
            with connected(world):
                await _live(world)
        finally:
            if world.failure.done():
                world.failure.exception()
            await world.bury_all()

    random.seed(f"library/{scenario.number}")  # back-offs draw from the library's own generator
    failure = ""
    try:
        loops.run(f"order/{scenario.number}", main)
    except (BrokenError, loops.DeadlockError, loops.HotLoopError) as error:
        failure = str(error) if isinstance(error, BrokenError) else f"{type(error).__name__}: {error}"
    (world,) = worlds
    runs = world.oracle.runs.values()
    return Outcome(
        seed=scenario.seed,
        failure=failure,
        digest=world.digest(),
        steps=world.loop.steps,
        seconds=world.loop.time(),
        trace=world.trace,
        phases=tuple(f"{run.last.state.phase}/{run.last.state.outcome}" if run.last else "" for run in runs),
        creations=world.oracle.creations,
    )


async def _live(world: World) -> None:
    effects = Effects(world)
    world.furnish()
    world.start_all()
    planned, faults = world.scenario.workflows, world.scenario.faults
    story = asyncio.create_task(_story(world, effects))
    others = [
        asyncio.create_task(_told(world, each))
        for each in (
            world.rhythm(),
            *(_apply(world, each) for each in planned),
            *(_strike(effects, each) for each in faults),
        )
    ]
    try:
        await asyncio.wait([story, world.failure], return_when=asyncio.FIRST_COMPLETED)
        if world.failure.done():
            world.failure.result()
        await story
    finally:
        for task in (*others, story):
            task.cancel()
        await asyncio.gather(*others, story, return_exceptions=True)


async def _told(world: World, work: Coroutine[Any, Any, None]) -> None:
    """Do it; a defect of the harness ends the run."""
    try:
        await work
    except Exception as error:
        if not world.failure.done():
            world.failure.set_exception(error)
        raise


async def _apply(world: World, planned: Planned) -> None:
    await asyncio.sleep(planned.at)
    world.cluster.put(WORKFLOWS, planned.body)


async def _strike(effects: Effects, fault: Fault) -> None:
    await asyncio.sleep(fault.at)
    await effects.strike(fault)


async def _story(world: World, effects: Effects) -> None:
    faults, planned = world.scenario.faults, world.scenario.workflows
    last = max((*(fault.at + fault.seconds for fault in faults), *(each.at for each in planned)), default=0.0)
    await asyncio.sleep(min(last, SECONDS) + 0.001)
    await effects.heal()
    await _come_to_rest(world)
    await _stay_at_rest(world)
    world.say("world", "is at rest")


async def _come_to_rest(world: World) -> None:
    until = world.loop.time() + PATIENCE + world.oracle.patience
    while True:
        await asyncio.sleep(LOOK)
        missing = next(world.oracle.missing(), None)
        if missing is None:
            return
        for overdue in world.oracle.overdue():
            raise BrokenError(overdue)
        if world.loop.time() > until:
            raise BrokenError("\n  ".join(list(world.oracle.missing())[:TOLD]))


async def _stay_at_rest(world: World) -> None:
    since, messages = world.loop.time(), _messages(world)
    await asyncio.sleep(QUIET)
    if world.last_write > since or _messages(world) != messages:
        late = [f"{who}: {what}" for at, who, what in world.trace if at >= since and who not in {"world", "fault"}]
        raise BrokenError(f"quiet: somebody wrote although everything had ended: {late[:TOLD]}")
    for wrong in (*world.oracle.missing(), *world.counters.wrong(world)):
        raise BrokenError(wrong)


def _messages(world: World) -> int:
    stored = world.broker.stored(subjects.LOG.name)
    return sum(1 for message in stored if not message.subject.startswith("kubernaut.watch."))
