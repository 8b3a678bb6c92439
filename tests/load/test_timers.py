"""Many timers at one instant, and timers that the stream has lost: every run is woken, none too early."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from runtime.logs import get_logger
from scheduler.sweep_loop import Sweeper
from scheduler.wake import Waker
from schemas.messages import TimerDue, decode
from schemas.subjects import TIMER_CONSUMER, TIMER_STREAM, timer_schedule
from tests.contracts.log_worlds import NatsWorld
from tests.eventually import eventually
from tests.nats_server import administrator
from tests.scheduler.test_sweep import a_decision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.ports import Log
    from tests.nats_server import NatsServer

pytestmark = pytest.mark.real

MANY: Final = 1000
SIDE_BY_SIDE: Final = 64


class Woken:
    """The runs that were woken, how often each, and the least lateness in ms by broker time."""

    def __init__(self) -> None:
        """Nobody was."""
        self.times: Counter[str] = Counter()
        self.least_late: int | None = None

    async def collect(self, log: Log) -> None:
        """Take in what is due, for ever."""
        async with aclosing(log.consume(TIMER_CONSUMER, in_hand=100)) as deliveries:
            async for delivery in deliveries:
                due = decode(delivery.message.headers["ce-type"], delivery.message.data)
                assert isinstance(due, TimerDue)
                late = delivery.message.time_ms - due.due_at
                self.least_late = late if self.least_late is None else min(late, self.least_late)
                self.times[due.workflow_uid] += 1
                await delivery.ack()


@asynccontextmanager
async def woken(log: Log) -> AsyncIterator[Woken]:
    """Collect until the end of the block."""
    found = Woken()
    task = asyncio.create_task(found.collect(log))
    yield found
    task.cancel()


async def arm(log: Log, uids: list[str], at: int) -> None:
    """Arm the wake-ups of runs, and tell of the timers in their decisions, as the scheduler does."""
    waker, room = Waker(log), asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(uid: str) -> None:
        async with room:
            await waker.arm(uid, at)
            await log.publish(a_decision(uid, timers={"phase": at}, wake_at=at))

    await asyncio.gather(*(one(uid) for uid in uids))


async def test_1000_timers_at_one_instant_all_come_once_and_none_comes_early(fresh_nats: NatsServer) -> None:
    """(F43) All of them are due in the same millisecond."""
    uids = [f"run-{number}" for number in range(MANY)]
    async with NatsWorld(fresh_nats) as world:
        log = await world.open()
        async with woken(log) as found:
            await arm(log, uids, await log.now() + 5000)
            await eventually(lambda: len(found.times) == MANY, seconds=120.0, what="all were woken")

    assert Counter(dict.fromkeys(uids, 1)) == found.times
    assert found.least_late is not None
    assert found.least_late >= 0


async def test_timers_that_the_stream_has_lost_are_found_by_the_sweep(fresh_nats: NatsServer) -> None:
    """(F36, F43) It drops the oldest at its limit, as schedules need it, and somebody removes one by hand."""
    uids = [f"run-{number}" for number in range(200)]
    async with NatsWorld(fresh_nats) as world, administrator(fresh_nats.url) as connection:
        log = await world.open()
        info = msgspec.json.decode(await connection.api(f"STREAM.INFO.{TIMER_STREAM.name}"))
        await connection.api(f"STREAM.UPDATE.{TIMER_STREAM.name}", info["config"] | {"max_bytes": 20_000})
        at = await log.now() + 500
        await arm(log, uids, at)
        await connection.api(f"STREAM.PURGE.{TIMER_STREAM.name}", {"filter": timer_schedule(uids[-1], at)})
        kept = msgspec.json.decode(await connection.api(f"STREAM.INFO.{TIMER_STREAM.name}"))["state"]["messages"]
        async with woken(log) as found:
            sweeper = Sweeper(log, get_logger("test"))
            async with asyncio.timeout(120.0):
                while len(found.times) < len(uids):
                    await sweeper.sweep()
                    await asyncio.sleep(0.1)

    assert kept < len(uids)
    assert found.least_late is not None
    assert found.least_late >= 0
