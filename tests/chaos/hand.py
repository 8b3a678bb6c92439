"""Carries out faults on the processes of a stack, and heals all of them in the end. Draws nothing, judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from kubernaut.local.supervisor import State
from tests.chaos.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kubernaut.local.supervisor import Supervisor

_POLL_SECONDS: Final = 0.02
_SPAWN_SECONDS: Final = 60.0


class Hand:
    """Does one thing at a time to a process; faults of different processes overlap."""

    def __init__(self, supervisor: Supervisor, say: Callable[[str], None]) -> None:
        self._supervisor = supervisor
        self._say = say
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.done: Counter[str] = Counter()
        """How many processes were treated, by kind of fault."""

    async def play(self, faults: Iterable[Fault]) -> None:
        """Do all of them in their time; return when the last one is over and everything runs."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(max(0.0, began + fault.at - loop.time()))
                self._say(str(fault))
                for name in fault.who:
                    group.create_task(self._one(fault, name), name=f"{fault.kind} {name}")
        await self.heal()

    async def _one(self, fault: Fault, name: str) -> None:
        if self._locks[name].locked():
            return  # something is being done to it
        async with self._locks[name]:
            self.done[f"{fault.kind} {name.partition('-2')[0]}"] += 1
            if fault.kind == "freeze":
                await self.freeze(name, fault.seconds)
            else:
                await self.away(name, fault.seconds, kill=fault.kind == "kill")

    async def freeze(self, name: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after `seconds`."""
        self._supervisor.pause(name)
        await asyncio.sleep(seconds)  # the fault itself
        self._supervisor.resume(name)

    async def away(self, name: str, seconds: float, *, kill: bool) -> None:
        """SIGKILL or SIGTERM, and a new process after `seconds`."""
        if kill:
            await self._supervisor.kill(name, stay_down=True)
        else:
            await self._supervisor.stop(name)
        await asyncio.sleep(seconds)  # the fault itself
        await self.start(name)

    async def start(self, name: str) -> None:
        """Start it if it is down; return once there is a process."""
        await self._supervisor.start(name)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SPAWN_SECONDS):
                while self._supervisor[name].process.pid is None:  # noqa: ASYNC110 - nobody tells of it
                    await asyncio.sleep(_POLL_SECONDS)

    async def heal(self) -> None:
        """Let everything run."""
        for member in self._supervisor.members:
            if member.state is State.FROZEN:
                self._supervisor.resume(member.spec.name)
            await self.start(member.spec.name)
