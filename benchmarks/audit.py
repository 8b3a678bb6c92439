"""Rows a second of an auditor that catches up: the log is filled first, then the auditor is started."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final

import asyncpg

from benchmarks import usage
from benchmarks.figures import Figure, Goal, Measure
from benchmarks.graphs import TEN_STEPS
from benchmarks.options import Options
from benchmarks.runs import WrongError
from benchmarks.story import Story
from benchmarks.system import System, running, start
from kubernaut.local.progress import Progress
from kubernaut.local.services import AUDITOR as AUDITOR_SERVICE
from schemas.cloudevents import Event
from schemas.subjects import AUDITOR

_POLL_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 600.0
_FILL: Final = 2000


async def measure(options: Options, progress: Progress) -> Measure:
    """Fill the log, start the auditor, wait until it is through, count the rows."""
    async with running(progress, ()) as system:
        await _fill(system, options.rows, progress)
        size = await system.bus.size()
        before = usage.look(system.pids())
        await start(system, (AUDITOR_SERVICE,), profiles=options.profiles)
        seconds, taken = await _catch_up(system, size.messages, progress)
        after = usage.look(system.pids())
        rows = await _rows(system.stack.database_url or "")
        if rows != size.messages:
            raise WrongError(f"the audit holds {rows} rows for {size.messages} messages on the log")
    cpu = usage.spent(before, after) | {"auditor": after["auditor"].cpu}
    return Measure(
        name="audit",
        title=f"the auditor catches up with {size.messages:,} messages",
        figures=(
            Figure(name="rows a second", value=taken / seconds, unit="1/s", goal=Goal(least=5000)),
            *(
                Figure(name=f"CPU a row: {name}", value=1e6 * cpu[name] / rows, unit="µs")
                for name in ("auditor", "nats", "postgres")
            ),
            Figure(name="memory of the auditor", value=after["auditor"].peak / usage.MIB, unit="MiB"),
        ),
        details={"bytes_a_message": round(size.bytes / size.messages), "restarts": system.restarts()},
    )


async def _fill(system: System, rows: int, progress: Progress) -> None:
    stored = 0
    batch: list[Event] = []
    for event in _messages(rows):
        batch.append(event)
        if len(batch) == _FILL:
            await system.bus.store(batch)
            stored += len(batch)
            batch.clear()
            progress.show(f"audit: {stored:,} of {rows:,} messages are on the log")
    await system.bus.store(batch)


def _messages(rows: int) -> Iterator[Event]:
    """Yield the messages of whole runs until there are as many as wanted."""
    number = made = 0
    while made < rows:
        story = Story(TEN_STEPS, number=number)
        yield from story.events
        made += len(story.events)
        number += 1


async def _catch_up(system: System, messages: int, progress: Progress) -> tuple[float, int]:
    """Return the seconds from the first sight of acknowledged messages to the last one, and how many came in them."""
    first = 0
    began = 0.0
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            backlog = await system.bus.backlog(AUDITOR)
            now, done = time.perf_counter(), messages - backlog.waiting - backlog.in_hand
            if done > 0 and not began:
                began, first = now, done
            if backlog.empty:
                return now - began, done - first
            progress.show(f"audit: {done:,} of {messages:,} messages are in the database")
            await asyncio.sleep(_POLL_SECONDS)


async def _rows(database_url: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM audit_message"))
    finally:
        await connection.close()
