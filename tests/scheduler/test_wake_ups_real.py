"""Wake-ups and the sweep on a real nats-server that is killed again and again."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from runtime.errors import UnavailableError
from runtime.logs import get_logger
from runtime.metrics import REGISTRY
from scheduler.sweep_loop import Sweeper
from scheduler.timer_index import GRACE_MS
from scheduler.wake import Waker
from schemas import subjects
from schemas.messages import TimerDue, decode
from schemas.subjects import TIMER_CONSUMER, TIMER_STREAM
from tests.contracts.log_worlds import NatsWorld
from tests.eventually import eventually
from tests.nats_server import administrator
from tests.scheduler.test_sweep import a_decision

if TYPE_CHECKING:
    from runtime.ports import Log
    from tests.nats_server import NatsServer

TIMERS = 200
KILLS = 4
LOGGER = get_logger("test")


Fired = dict[str, dict[int, int]]
"""Of each run the messages that came, by sequence, and how late each was, in ms by broker time."""


async def collect(log: Log, fired: Fired) -> None:
    """Acknowledge what is due, for ever."""
    async with aclosing(log.consume(TIMER_CONSUMER, in_hand=50)) as deliveries:
        async for delivery in deliveries:
            message = delivery.message
            due = decode(message.headers["ce-type"], message.data)
            assert isinstance(due, TimerDue)
            fired.setdefault(due.workflow_uid, {})[message.sequence] = message.time_ms - due.due_at
            await delivery.ack()


async def arm(waker: Waker, uid: str, at: int) -> None:
    """Arm a wake-up as the scheduler does: again, while the server is away for longer than one try."""
    while True:
        try:
            return await waker.arm(uid, at)
        except UnavailableError as error:
            LOGGER.info("armed_again", error=str(error))


@pytest.mark.real
async def test_of_200_wake_ups_none_is_early_and_none_is_lost_by_kills(fresh_nats: NatsServer) -> None:
    """The server is killed while they are armed, while they wait and while they come."""
    chance = random.Random(4)  # noqa: S311 - spreads the times, guards nothing
    fired: Fired = {}
    async with NatsWorld(fresh_nats) as world:
        log = await world.open()
        waker = Waker(log)
        collecting = asyncio.create_task(collect(log, fired))
        start = await log.now()
        times = {f"run-{number}": start + 1000 + chance.randrange(8000) for number in range(TIMERS)}

        async def kill() -> None:
            for number in range(KILLS):
                await eventually(lambda share=number: len(fired) >= share * TIMERS // KILLS, seconds=60.0)  # type: ignore[misc]
                await fresh_nats.kill()
                await fresh_nats.start()

        killing = asyncio.create_task(kill())
        for uid, at in times.items():
            await arm(waker, uid, at)
        await killing
        await eventually(lambda: len(fired) == TIMERS, seconds=60.0, what=f"{TIMERS - len(fired)} were lost")
        collecting.cancel()

    late = sorted(lateness for each in fired.values() for lateness in each.values())
    LOGGER.info(
        "lateness_ms", messages=len(late), p50=late[len(late) // 2], p99=late[len(late) * 99 // 100], most=late[-1]
    )
    assert late[0] >= 0
    assert set(times) == set(fired)


def swept() -> float | None:
    """How many wake-ups sweeps have sent."""
    return REGISTRY.get_sample_value("kubernaut_timers_swept_total")


@pytest.mark.real
async def test_what_was_purged_is_sent_by_the_sweep_and_the_rest_comes_by_itself(fresh_nats: NatsServer) -> None:
    """Somebody removes one schedule of two by hand; both runs are woken, and the sweep needs one message for it."""
    async with NatsWorld(fresh_nats) as world, administrator(fresh_nats.url) as connection:
        log = await world.open()
        at = await log.now() + 2000
        await Waker(log).arm("purged", at)
        purged = subjects.timer_schedule("purged", at)
        await connection.api(f"STREAM.PURGE.{TIMER_STREAM.name}", {"filter": purged})
        await Waker(log).arm("kept", at)
        for uid in ("kept", "purged"):
            await log.publish(a_decision(uid, timers={"phase": at}, wake_at=at))
        fired: Fired = {}
        collecting = asyncio.create_task(collect(log, fired))
        await eventually(lambda: "kept" in fired)
        await log.publish(a_decision("kept", version=2))
        sweeper, before = Sweeper(log, LOGGER), swept()

        async with asyncio.timeout(30.0):
            while swept() == before:
                await sweeper.sweep()
                await asyncio.sleep(0.1)
        await eventually(lambda: "purged" in fired)
        collecting.cancel()

    assert {"kept": 1, "purged": 1} == {uid: len(each) for uid, each in fired.items()}
    assert [True] == [late > GRACE_MS for late in fired["purged"].values()]
