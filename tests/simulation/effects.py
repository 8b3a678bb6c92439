"""What each kind of fault does to the world, and how all of them are healed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from schemas.subjects import TIMER_STREAM
from tests.simulation import people
from tests.simulation.processes import Process
from tests.simulation.scenario import PEOPLE

if TYPE_CHECKING:
    from tests.simulation.scenario import Fault
    from tests.simulation.world import World


class Effects:
    """Does what the scenario says."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ill: set[str] = set()

    async def strike(self, fault: Fault) -> None:
        """Let it happen."""
        if self._world.healed:
            return
        self._world.say("fault", _words(fault))
        if fault.kind in PEOPLE:
            people.do(self._world, fault)
        else:
            await getattr(self, f"_{fault.kind}")(fault)

    async def heal(self) -> None:
        """End all faults: everything runs, answers, and goes on."""
        world = self._world
        world.healed, world.healed_at = True, world.clock.now()
        world.say("world", "heals everything")
        world.broker.start()
        for process in list(world.processes.values()):
            process.away.clear()
            process.slow.clear()
            process.lost.clear()
            process.doomed = None
            process.log.lose_acks = 0
            process.log.shuffled_until = 0.0
            process.lagging = (0.0, 0.0)
            process.repeats = process.swallows = 0
            world.thaw(process)
        for name in sorted(self._ill):
            world.set_health(name, well=True)
        world.start_all()
        people.let_go_on(world)

    def _meant(self, fault: Fault) -> list[Process]:
        processes = self._world.processes
        return [processes[fault.who]] if fault.who in processes else [] if fault.who else list(processes.values())

    async def _back_later(self, slot: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._world.start(slot)

    async def _crash(self, fault: Fault) -> None:
        for process in self._meant(fault):
            self._world.kill(process)
        await self._back_later(fault.who, fault.seconds)

    async def _crash_at(self, fault: Fault) -> None:
        for process in self._meant(fault):
            process.doomed = (fault.server, fault.amount, fault.word == "after")  # type: ignore[assignment]
            while process.doomed and not process.dead and not self._world.healed:  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.1)
            if process.dead:
                await self._back_later(fault.who, fault.seconds)

    async def _stop(self, fault: Fault) -> None:
        for process in self._meant(fault):
            await self._world.stop(process)
        await self._back_later(fault.who, fault.seconds)

    async def _pause(self, fault: Fault) -> None:
        for process in self._meant(fault):
            self._world.freeze(process)
            await asyncio.sleep(fault.seconds)
            self._world.thaw(process)

    async def _lose_answers(self, fault: Fault) -> None:
        for process in self._meant(fault):
            process.lost[fault.server] = fault.amount  # type: ignore[index]
        await asyncio.sleep(0)

    async def _refuse(self, fault: Fault) -> None:
        until = self._world.loop.time() + fault.seconds
        for process in self._meant(fault):
            process.away[fault.server] = until  # type: ignore[index]
            if fault.server == "log":
                process.log.froze()
                process.log.lose_acks = 1_000_000
            if fault.server == "api":
                process.cuts, process.cut_roughly = process.cuts + 1, True
        self._world.cluster.nudge()
        await asyncio.sleep(fault.seconds)
        for process in self._meant(fault):
            if fault.server == "log":
                process.log.lose_acks = 0
                process.log.thawed()

    async def _slow(self, fault: Fault) -> None:
        until = self._world.loop.time() + fault.seconds
        for process in self._meant(fault):
            process.slow[fault.server] = (until, 40.0 * fault.amount)  # type: ignore[index]
        await asyncio.sleep(0)

    async def _lose_acks(self, fault: Fault) -> None:
        for process in self._meant(fault):
            process.log.lose_acks += fault.amount * 3
        await asyncio.sleep(0)

    async def _shuffle(self, fault: Fault) -> None:
        for process in self._meant(fault):
            process.log.shuffled_until = self._world.loop.time() + fault.seconds
        await asyncio.sleep(0)

    async def _redeliver(self, fault: Fault) -> None:
        self._world.broker.forget_acks(fault.amount)
        self._world.broker.redeliver()
        await asyncio.sleep(0)

    async def _restart_broker(self, fault: Fault) -> None:
        self._world.broker.stop()
        await asyncio.sleep(fault.seconds)
        self._world.broker.forget_acks(fault.seconds + 1.5)
        self._world.broker.forget_counts()
        self._world.broker.start()

    async def _cut_watch(self, fault: Fault) -> None:
        for process in self._meant(fault):
            process.cuts, process.cut_roughly = process.cuts + 1, fault.amount > 1
        self._world.cluster.nudge()
        await asyncio.sleep(0)

    async def _lag_watch(self, fault: Fault) -> None:
        for process in self._meant(fault):
            process.lagging = (self._world.loop.time() + fault.seconds, fault.seconds / 5)
        await asyncio.sleep(0)

    async def _repeat_watch(self, fault: Fault) -> None:
        for process in self._meant(fault):
            process.repeats += fault.amount
        await asyncio.sleep(0)

    async def _swallow(self, fault: Fault) -> None:
        """Only the watcher promises to find out; the executor has no resync."""
        for process in self._meant(fault):
            if process.kind == "watcher":
                process.swallows += fault.amount % 3 + 1
        await asyncio.sleep(0)

    async def _skew(self, fault: Fault) -> None:
        """Clocks stay wrong when all else is healed: there is nothing about them that must be right."""
        for slot in [fault.who] if fault.who else sorted(self._world.processes):
            self._world.skews[slot] = float(fault.amount)
        await asyncio.sleep(0)

    async def _compact(self, fault: Fault) -> None:
        self._world.cluster.compact()
        await self._cut_watch(fault)

    async def _skip_versions(self, fault: Fault) -> None:
        self._world.cluster.skip_versions(fault.amount)
        await asyncio.sleep(0)

    async def _purge_timers(self, _: Fault) -> None:
        self._world.broker.purge(TIMER_STREAM.name, "kubernaut.timer.>")
        await asyncio.sleep(0)

    async def _sick(self, fault: Fault) -> None:
        name = ("web", "api")[fault.amount % 2]
        self._ill.add(name)
        self._world.set_health(name, well=False)
        await asyncio.sleep(fault.seconds)
        self._world.set_health(name, well=True)


def _words(fault: Fault) -> str:
    fields = {name: getattr(fault, name) for name in ("who", "server", "seconds", "amount", "word")}
    return " ".join((fault.kind, *(f"{name}={value}" for name, value in fields.items() if value)))
