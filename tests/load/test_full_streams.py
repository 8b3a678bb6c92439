"""Streams at the limit that an operator has set: what is new waits with its writer, what is old stays."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from schemas.subjects import EVENT_STREAM, LOG
from tests.e2e.world import a_step, a_workflow, assert_each_step_once, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.load.loaded import Loaded

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]

ROOM = 10_000
"""Bytes that a stream still takes: fewer than the objects of a test fill."""


async def state_of(loaded: Loaded, stream: str) -> dict[str, Any]:
    """What JetStream says that a stream holds."""
    found: dict[str, Any] = (await loaded.ask(f"STREAM.INFO.{stream}"))["state"]
    return found


async def limit(loaded: Loaded, stream: str, most: int) -> None:
    """Set the most bytes of a stream, as an operator does; -1 for no limit."""
    info = await loaded.ask(f"STREAM.INFO.{stream}")
    await loaded.ask(f"STREAM.UPDATE.{stream}", info["config"] | {"max_bytes": most})


@asynccontextmanager
async def limited(loaded: Loaded, stream: str, more: int) -> AsyncIterator[dict[str, Any]]:
    """Let a stream take `more` bytes and no more until the end of the block; gives what it held before."""
    before = await state_of(loaded, stream)
    await limit(loaded, stream, before["bytes"] + more)
    try:
        yield before
    finally:
        await limit(loaded, stream, -1)


async def until_it_says(loaded: Loaded, service: str, stream: str) -> None:
    """Wait until a service is not ready and says that it is for that stream."""

    async def says() -> bool:
        return f"{stream} takes nothing" in await loaded.why_not_ready(service)

    await until(says, f"{service} says that {stream} is full", 120)


async def test_a_full_log_loses_nothing_and_all_goes_on_when_there_is_room(loaded: Loaded) -> None:
    """(F36) Publishes are refused, the watcher waits and says why it is not ready; with room it resumes by itself."""
    await loaded.world.audit_is_complete(120)
    pids = loaded.pids()
    async with limited(loaded, LOG.name, ROOM) as before:
        names = await loaded.world.apply(*(a_workflow(f"full-log-{n}", [a_step(1), a_step(2, 1)]) for n in range(30)))
        await until_it_says(loaded, "watcher", LOG.name)
        full = await state_of(loaded, LOG.name)
    statuses = await loaded.world.all_end(names, 240)

    assert_each_step_once(loaded.world, names, statuses, steps=2)
    assert before["first_seq"] == full["first_seq"]
    assert full["bytes"] <= before["bytes"] + ROOM
    assert pids == loaded.pids()
    await loaded.all_ready()
    await loaded.world.audit_is_complete(120)


async def test_full_public_events_keep_no_run_waiting_and_are_all_told_later(loaded: Loaded) -> None:
    """(F36) Runs end meanwhile; afterwards every run has all of its events, in order and without a gap."""
    async with limited(loaded, EVENT_STREAM.name, 1000):
        names = await loaded.world.apply(*(a_workflow(f"full-events-{n}", [a_step(1)]) for n in range(10)))
        await until_it_says(loaded, "scheduler", EVENT_STREAM.name)
        statuses = await loaded.world.all_end(names, 240)

    async def told() -> bool:
        uids = [(await loaded.world.get(name))["metadata"]["uid"] for name in names]
        return all([await loaded.has_event(uid, "completed") for uid in uids])

    await until(told, "every run's end is told", 120)
    assert_each_step_once(loaded.world, names, statuses, steps=1)
    await loaded.all_ready()
