"""Many more workflows at once than may be active: applied as fast as the API server takes them, watched to their end.

What is reported is what the kernel, the API server and JetStream say; nothing of it comes from the services' own words.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from benchmarks.answers import Answers
from benchmarks.figures import quantile
from runtime.errors import GoneError, KubernautError
from runtime.kinds import WORKFLOWS
from schemas.subjects import CONSUMERS
from schemas.workflow_status import TERMINAL_PHASES
from tests.e2e.world import NAMESPACE, a_step, a_workflow, until
from tests.load.loaded import NAMES
from tests.load.memory_limits import MIB, resident

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.ports import Object
    from tests.load.loaded import Loaded

_SIDE_BY_SIDE: Final = 16
_SAMPLE_SECONDS: Final = 0.5


class Sample(msgspec.Struct, frozen=True):
    """What was seen at one time."""

    seconds: float
    """Since the first workflow was applied."""
    ended: int
    memory: dict[str, int]
    """Resident bytes of each service."""
    lag: dict[str, int]
    """Messages that wait in the log for each consumer."""


class Flood:
    """One flood: `names` are applied, `ended` are those of them that were seen to have ended, with their phases."""

    def __init__(self, loaded: Loaded, names: Iterable[str]) -> None:
        """Nothing is applied yet."""
        self.names = tuple(names)
        self.ended: dict[str, str] = {}
        self.samples: list[Sample] = []
        self.applied_seconds = 0.0
        self.seconds = 0.0
        self.answers = Answers(loaded.readiness_urls())
        self._loaded = loaded
        self._wanted = frozenset(self.names)
        self._began = time.perf_counter()

    async def run(self, seconds: float, *, tell: Callable[[str], object] = lambda _: None) -> None:
        """Apply all of them and wait until all have ended; fails after `seconds`. `tell` gets a line now and then."""
        self._began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            loops = (self._watch_loop(), self._sample_loop(tell), self.answers.ask_loop())
            tasks = [group.create_task(loop) for loop in loops]
            await self._apply()
            self.applied_seconds = time.perf_counter() - self._began
            tell(f"{len(self.names)} workflows were applied in {self.applied_seconds:.1f} s")
            await until(self._all_ended, f"{len(self.names)} workflows have ended", seconds)
            self.seconds = time.perf_counter() - self._began
            for task in tasks:
                task.cancel()

    def most(self, service: str) -> int:
        """The most resident bytes that a service was seen with."""
        return max(sample.memory.get(service, 0) for sample in self.samples)

    def growth(self, service: str) -> int:
        """How many resident bytes the peak of the last third of the time lies above that of the one before it."""
        third = len(self.samples) // 3
        before, after = self.samples[third : 2 * third], self.samples[2 * third :]
        peaks = [max(sample.memory.get(service, 0) for sample in part) for part in (before, after)]
        return peaks[1] - peaks[0]

    def figures(self) -> list[str]:
        """Return what came of it, a line each."""
        lags = {name: max(sample.lag.get(name, 0) for sample in self.samples) for name in self.samples[-1].lag}
        answers = self.answers.seconds
        p50, p99 = (1000 * quantile(answers, part) for part in (0.5, 0.99))
        memory = {name: f"{self.most(name) / MIB:.0f}" for name in NAMES}
        growth = {name: f"{self.growth(name) / MIB:+.0f}" for name in NAMES}
        kinds = {limit.kind for limit in self._loaded.limits.values()}
        ended = f"{len(self.ended)} of {len(self.names)} ended in {self.seconds:.0f} s"
        spread = f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest {1000 * max(answers):.0f} ms"
        return [
            f"{ended}; they were applied in {self.applied_seconds:.0f} s",
            f"memory at its peak, MiB: {memory}; the last third against the second: {growth}",
            f"most messages that waited in the log: {lags}",
            f"{len(answers)} health answers: {spread}, {self.answers.bad} said no",
            f"killed for their memory: {self._loaded.kills() or 'none'}; limits kept by: {', '.join(kinds)}",
        ]

    async def _apply(self) -> None:
        room = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def create(name: str) -> None:
            async with room:
                await self._loaded.world.cluster.create(WORKFLOWS, NAMESPACE, a_workflow(name, [a_step(1)]))

        async with asyncio.TaskGroup() as group:
            for name in self.names:
                group.create_task(create(name))

    async def _all_ended(self) -> bool:
        return len(self.ended) == len(self.names)

    async def _watch_loop(self) -> None:
        cluster, version = self._loaded.world.cluster, ""
        while True:
            try:
                version = version or await self._list()
                events = cluster.watch(WORKFLOWS, NAMESPACE, resource_version=version)
                async with aclosing(events):
                    async for event in events:
                        found = msgspec.json.decode(event.object)
                        version = found["metadata"]["resourceVersion"]
                        self._note(found)
            except GoneError:
                version = ""
            except KubernautError:
                await asyncio.sleep(_SAMPLE_SECONDS)

    async def _list(self) -> str:
        token, version = "", ""
        while not version or token:
            page = await self._loaded.world.cluster.list(WORKFLOWS, NAMESPACE, next_page=token)
            for raw in page.items:
                self._note(msgspec.json.decode(raw))
            token, version = page.next_page, page.resource_version
        return version

    def _note(self, workflow: Object) -> None:
        name, phase = workflow["metadata"].get("name", ""), workflow.get("status", {}).get("phase", "")
        if name in self._wanted and phase in TERMINAL_PHASES:
            self.ended[name] = phase

    async def _sample_loop(self, tell: Callable[[str], object]) -> None:
        while True:
            memory = {name: resident(pid) for name, pid in self._loaded.pids().items()}
            lag = {}
            with suppress(KubernautError):
                lag = {each.name: await self._lag(each.stream, each.name) for each in CONSUMERS}
            sample = Sample(time.perf_counter() - self._began, len(self.ended), memory, lag)
            self.samples.append(sample)
            if len(self.samples) % 40 == 0:
                shown = {name: found // MIB for name, found in memory.items()}
                tell(f"{sample.seconds:.0f} s: {sample.ended} ended; MiB {shown}; waiting {lag}")
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _lag(self, stream: str, consumer: str) -> int:
        info: dict[str, Any] = await self._loaded.ask(f"CONSUMER.INFO.{stream}.{consumer}")
        return int(info["num_pending"]) + int(info["num_ack_pending"])
