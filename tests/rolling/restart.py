"""Restarts one process after the other as a rollout does, and asks all others meanwhile whether they live."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import aiohttp

from kubernaut.local.process import describe_exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubernaut.local.supervisor import Supervisor

LIVE_SECONDS: Final = 5.0
"""In which /livez must answer: far more than it needs, far less than a kubelet waits before it restarts."""
_READY_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.2


class Liveness:
    """Asks each process for /livez, but for those that are away by order."""

    def __init__(self, supervisor: Supervisor, names: Iterable[str]) -> None:
        self._supervisor = supervisor
        self._names = tuple(names)
        self.away: set[str] = set()
        self.answers: Counter[str] = Counter()
        """How often each said that it lives."""
        self.problems: list[str] = []

    async def ask_for_ever(self) -> None:
        """Ask all of them side by side, again and again."""
        timeout = aiohttp.ClientTimeout(total=LIVE_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await asyncio.gather(*(self._ask(session, name) for name in self._names))
                await asyncio.sleep(_POLL_SECONDS)

    async def _ask(self, session: aiohttp.ClientSession, name: str) -> None:
        if name in self.away:
            return
        process = self._supervisor[name].process.pid
        try:
            async with session.get(f"http://127.0.0.1:{self._supervisor[name].spec.ports['health']}/livez") as answer:
                said = "" if answer.status == 200 else f"{answer.status}: {await answer.text()}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            said = str(error) or type(error).__name__
        if name in self.away or self._supervisor[name].process.pid != process:
            return  # it was told to end meanwhile
        if said:
            self.problems.append(f"{name} does not live: {said}")
        else:
            self.answers[name] += 1


class Rollout:
    """Stops processes with their own stop signal, and starts them anew."""

    def __init__(self, supervisor: Supervisor, liveness: Liveness) -> None:
        self._supervisor = supervisor
        self._liveness = liveness
        self.longest: dict[str, float] = {}
        """Of each, the most seconds that it took to end."""
        self.problems: list[str] = []
        self.restarts = 0

    async def restart(self, name: str, *, down_seconds: float, within: float) -> None:
        """Stop it, which is to take at most `within` seconds; leave it down for a while; wait until it is ready."""
        member, began = self._supervisor[name], time.monotonic()
        self._liveness.away.add(name)
        await self._supervisor.stop(name)
        took = time.monotonic() - began
        self.longest[name] = max(took, self.longest.get(name, 0.0))
        self.restarts += 1
        if member.process.exit_code != 0:
            self.problems.append(f"{name} ended with {describe_exit(member.process.exit_code)}")
        if took > within:
            self.problems.append(f"{name} took {took:.1f} s to end, it has {within:g} s")
        await asyncio.sleep(down_seconds)  # the fault itself
        await self._supervisor.start(name)
        await self._supervisor.wait_ready(name, _READY_SECONDS)
        self._liveness.away.discard(name)
