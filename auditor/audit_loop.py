"""The auditor's endless loops: one reads the log ahead, one writes batches and acknowledges them after the commit.

Nothing is remembered between batches: what was not acknowledged comes again, and storing it again does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from auditor import metrics
from auditor.apply import apply
from auditor.batches import MOST_MESSAGES, Batches
from auditor.gather import gather
from auditor.newest import RowsGoneError
from auditor.rows import read
from runtime.backoff import Backoff
from runtime.errors import UnavailableError
from runtime.service import FINISH_SECONDS
from schemas import subjects

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import structlog

    from auditor.memory import Memory
    from auditor.ports import AuditStore, Written
    from runtime.health import Dependency
    from runtime.ports import Delivery, Log
    from runtime.tracing import Tracer

IN_HAND: Final = 3 * MOST_MESSAGES
"""One batch being written, one standing ready, one on its way."""
TEND_SECONDS: Final = 10.0
"""How often the store is asked whether it is there: readiness may be that old."""


class Auditor:
    """Moves messages from the log to the store."""

    def __init__(
        self,
        log: Log,
        store: AuditStore,
        *,
        stopping: asyncio.Event,
        health: Dependency,
        logger: structlog.typing.FilteringBoundLogger,
        batches: Batches | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.time,
        reported: asyncio.Event | None = None,
        tracer: Tracer | None = None,
        memory: Memory | None = None,
    ) -> None:
        """`clock`: seconds since 1970, for the lag that is shown. `reported` is set whenever a report was stored.

        `memory`: compares log and store, before anything is written.
        """
        self._log = log
        self._store = store
        self._stopping = stopping
        self._health = health
        self._logger = logger
        self._batches = Batches() if batches is None else batches
        self._backoff = Backoff() if backoff is None else backoff
        self._clock = clock
        self._reported = asyncio.Event() if reported is None else reported
        self._tracer = tracer
        self._memory = memory
        self._tended_at = float("-inf")
        self._compared = False
        self._until: float | None = None
        self._under_way: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Audit until told to stop; what is in hand by then is stored, or given back when that takes too long."""
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(), name="audit reader")
            tasks.create_task(self._write(), name="audit writer")
            await self._stopping.wait()
            reading.cancel()
            self._until = asyncio.get_running_loop().time() + FINISH_SECONDS
            if self._under_way is not None:
                self._under_way.reschedule(self._until)

    async def _read(self) -> None:
        try:
            async with contextlib.aclosing(self._log.consume(subjects.AUDITOR, in_hand=IN_HAND)) as deliveries:
                async for delivery in deliveries:
                    await self._batches.put(delivery)
        finally:
            self._batches.close()

    async def _write(self) -> None:
        while True:
            await self._tend()
            batch = await self._batches.take(TEND_SECONDS)
            if batch is None:
                return
            if batch and not await self._store_whatever_it_takes(batch):
                await _give_back(batch)

    async def _store_whatever_it_takes(self, batch: list[Delivery]) -> bool:
        """Store a batch and acknowledge it; False when the order to stop came and it could not be done in time."""
        while True:
            try:
                await self._in_time(self._store_batch(batch))
            except UnavailableError as error:
                self._failed(error, batch)
            except TimeoutError:
                return False
            else:
                self._backoff.reset()
                self._health.ok()
                return True
            if await self._stopped_within(self._backoff.next()):
                return False
            await self._tend(now=True)

    async def _in_time(self, work: Awaitable[None]) -> None:
        """Raise TimeoutError when it is not done in time after the order to stop, whenever that comes."""
        try:
            async with asyncio.timeout_at(self._until) as self._under_way:
                await work
        finally:
            self._under_way = None

    async def _store_batch(self, batch: list[Delivery]) -> None:
        began, wall = time.monotonic(), time.time_ns()
        if self._memory is not None and not self._compared:
            await self._memory.compare(self._store)
            self._compared = True
        entries = await gather(self._log, [read(delivery.message) for delivery in batch])
        written = await apply(self._store, entries)
        self._store.least = max(self._store.least, *(delivery.message.sequence for delivery in batch))
        if self._tracer is not None:
            for delivery in batch:
                self._tracer.row(delivery.message, wall)
        if reports := sum(entry.report is not None for entry in entries):
            metrics.RUNS.inc(reports)
            self._reported.set()
        for delivery in batch:
            # An acknowledgement that is lost costs a repeat, nothing else.
            with contextlib.suppress(UnavailableError):
                await delivery.ack()
        self._count(written, batch, time.monotonic() - began)

    async def _tend(self, *, now: bool = False) -> None:
        if now or asyncio.get_running_loop().time() - self._tended_at >= TEND_SECONDS:
            with contextlib.suppress(TimeoutError):
                await self._in_time(self._look_after())

    async def _look_after(self) -> None:
        try:
            await self._store.tend()
            if self._memory is not None:
                await self._memory.compare(self._store)
        except UnavailableError as error:
            await self._tell(error)
            self._failed(error, [])
        else:
            self._tended_at = asyncio.get_running_loop().time()
            self._compared = True
            self._health.ok()

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    async def _tell(self, error: UnavailableError) -> None:
        if self._memory is not None and isinstance(error, RowsGoneError):
            with contextlib.suppress(UnavailableError):
                await self._memory.gone(error)

    def _failed(self, error: UnavailableError, batch: list[Delivery]) -> None:
        self._compared = False
        self._health.failed(str(error))
        metrics.FAILURES.inc()
        if batch:
            metrics.LAG.set(self._age(batch))
        self._logger.warning("audit_waits", error=str(error), messages=len(batch))

    def _count(self, written: Written, batch: list[Delivery], seconds: float) -> None:
        metrics.ROWS.inc(written.messages)
        metrics.REPEATS.inc(written.repeats)
        metrics.QUARANTINED.inc(written.quarantined)
        metrics.BATCH_ROWS.observe(len(batch))
        metrics.BATCH_SECONDS.observe(seconds)
        metrics.LAG.set(self._age(batch))
        if written.repeats or written.quarantined:
            self._logger.warning(
                "audit_found_odd_messages",
                repeats=written.repeats,
                quarantined=written.quarantined,
                from_sequence=min(delivery.message.sequence for delivery in batch),
                to_sequence=max(delivery.message.sequence for delivery in batch),
            )

    def _age(self, batch: list[Delivery]) -> float:
        return max(0.0, self._clock() - min(delivery.message.time_ms for delivery in batch) / 1000)


async def _give_back(batch: list[Delivery]) -> None:
    for delivery in batch:
        with contextlib.suppress(UnavailableError):
            await delivery.nak()
