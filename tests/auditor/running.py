"""An auditor that runs in a test, on the log in memory and on whatever store."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

import structlog

from auditor.audit_loop import Auditor
from auditor.batches import Batches
from runtime.backoff import Backoff
from runtime.health import Dependency

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from prometheus_client import Counter

    from auditor.ports import AuditStore, Entry, Written
    from auditor.rows import Row
    from tests.fakes.log import FakeLog


class Running:
    """One process. Use it with `async with`; leaving it is kill -9 unless it was stopped."""

    def __init__(
        self, log: FakeLog, store: AuditStore, *, linger: float = 0.002, reported: asyncio.Event | None = None
    ) -> None:
        self.log = log
        self.health = Dependency("postgresql")
        self.stopping = asyncio.Event()
        self._batches = Batches(linger=linger)
        self._auditor = Auditor(
            log,
            store,
            stopping=self.stopping,
            health=self.health,
            logger=structlog.get_logger(),
            batches=self._batches,
            backoff=Backoff(first=0.01, most=0.02),
            clock=log.broker.clock.now,
            reported=reported,
        )
        self.task: asyncio.Task[None]

    @property
    def waiting(self) -> int:
        """Messages that were read and are in no batch yet."""
        return len(self._batches)

    async def __aenter__(self) -> Self:
        """Start."""
        self.task = asyncio.create_task(self._auditor.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Die."""
        await self.kill()

    async def kill(self) -> None:
        """Die at once, with nothing put in order."""
        if not self.task.done():
            self.log.crash()
            self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def stop(self, seconds: float = 10.0) -> None:
        """Ask it to stop and wait until it has."""
        self.stopping.set()
        async with asyncio.timeout(seconds):
            await self.task


class Halting:
    """A store that stands still before or after its first write, so that a test can kill the process there."""

    def __init__(self, store: AuditStore, where: str) -> None:
        self._store = store
        self._where = where
        self.reached = asyncio.Event()

    async def write(self, entries: Sequence[Entry]) -> Written:
        """See `AuditStore.write`."""
        await self._halt("before commit")
        written = await self._store.write(entries)
        await self._halt("after commit, before ack")
        return written

    async def quarantine(self, row: Row, reason: str) -> Written:
        """See `AuditStore.quarantine`."""
        return await self._store.quarantine(row, reason)

    async def tend(self) -> None:
        """See `AuditStore.tend`."""
        await self._store.tend()

    async def close(self) -> None:
        """See `AuditStore.close`."""
        await self._store.close()

    async def _halt(self, where: str) -> None:
        if where == self._where:
            self.reached.set()
            await asyncio.Event().wait()


async def until(holds: Callable[[], bool] | Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Wait until a condition holds; fail after a limit."""
    async with asyncio.timeout(seconds):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.005)


def count(counter: Counter) -> float:
    """Return what a counter without labels shows."""
    return next(sample.value for metric in counter.collect() for sample in metric.samples)
