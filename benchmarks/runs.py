"""Applies workflows as a person's client would, and waits for their end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import msgspec

from benchmarks.system import SYSTEM_NAMESPACE, System
from runtime.errors import KubernautError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.ports import Cluster, Object, Resource
from schemas import subjects

_SIDE_BY_SIDE: Final = 16
_SETTLE_SECONDS: Final = 120.0
_QUIET_SECONDS: Final = 0.5


class WrongError(KubernautError):
    """What was to be measured did not happen as it should: its figures would mean nothing."""


class Endings:
    """Which workflows have ended, by name, and when each was seen to (on the monotonic clock)."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self._news = asyncio.Event()

    def note(self, name: str) -> None:
        """Take in that a workflow has ended."""
        self.times.setdefault(name, time.perf_counter())
        self._news.set()

    async def of(self, names: Iterable[str], *, seconds: float) -> float:
        """Wait until all of these have ended and return when the last one did. Raises WrongError after `seconds`."""
        wanted = set(names)
        try:
            async with asyncio.timeout(seconds):
                while not wanted <= self.times.keys():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            left = sorted(wanted - self.times.keys())
            raise WrongError(f"{len(left)} runs had not ended after {seconds:g} s: {', '.join(left[:5])} …") from None
        return max(self.times[name] for name in wanted)


@asynccontextmanager
async def endings(system: System) -> AsyncGenerator[Endings, None]:
    """Watch for the ends of runs in the system's namespace."""
    seen = Endings()

    async def watch_loop() -> None:
        async with aclosing(system.api.ended(SYSTEM_NAMESPACE)) as names:
            async for name in names:
                seen.note(name)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch_loop())
        yield seen
        watching.cancel()


async def apply(cluster: Cluster, workflows: Iterable[Object]) -> None:
    """Create workflows, some at a time."""
    room = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def create(body: Object) -> None:
        async with room:
            await cluster.create(WORKFLOWS, body["metadata"]["namespace"], body)

    async with asyncio.TaskGroup() as group:
        for body in workflows:
            group.create_task(create(body))


async def settled(system: System, consumers: Sequence[subjects.Consumer] = subjects.CONSUMERS) -> None:
    """Wait until nothing is left to do: all consumers are through the log, twice with a pause for new messages."""
    await system.bus.through(consumers, seconds=_SETTLE_SECONDS)
    before = await system.bus.size()
    while True:
        await asyncio.sleep(_QUIET_SECONDS)
        await system.bus.through(consumers, seconds=_SETTLE_SECONDS)
        after = await system.bus.size()
        if after == before:
            return
        before = after


async def all_of(cluster: Cluster, resource: Resource, namespace: str) -> list[Object]:
    """List all objects of a kind."""
    page = await cluster.list(resource, namespace)
    items = list(page.items)
    while page.next_page:
        page = await cluster.list(resource, namespace, next_page=page.next_page)
        items.extend(page.items)
    return [msgspec.json.decode(item) for item in items]


async def check(cluster: Cluster, names: Iterable[str], *, steps: int) -> None:
    """Raise WrongError unless each of these runs has completed with one completed execution for each step."""
    wanted = set(names)
    phases = {
        body["metadata"]["name"]: body.get("status", {}).get("phase")
        for body in await all_of(cluster, WORKFLOWS, SYSTEM_NAMESPACE)
    }
    bad = {name: phases.get(name) for name in wanted if phases.get(name) != "completed"}
    if bad:
        raise WrongError(f"{len(bad)} of {len(wanted)} runs did not complete, such as {dict(sorted(bad.items())[:3])}")
    executions = await all_of(cluster, EXECUTIONS, SYSTEM_NAMESPACE)
    done = [e for e in executions if _parent(e) in wanted and (e.get("status") or {}).get("phase") == "completed"]
    if len(done) != steps * len(wanted):
        raise WrongError(f"{len(done)} executions completed for {len(wanted)} runs of {steps} steps")


def _parent(execution: Object) -> Any:
    return execution["spec"]["workflowExecutionRef"]["name"]
