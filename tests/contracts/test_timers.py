"""What the log promises of events that are published at a time, held against the fake and a real nats-server alike."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from runtime.errors import RefusedError
from schemas.cloudevents import Event, from_message
from schemas.messages import TYPE_OF, TimerDue, decode, encode
from schemas.subjects import TIMER_CONSUMER, TIMER_STREAM, decision, timer_due, timer_schedule
from tests.contracts.log_worlds import FakeWorld, NatsWorld, World
from tests.eventually import eventually
from tests.nats_server import running_nats

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from runtime.ports import Delivery, Log, Stored

UID = "u1"
LATE_MS = 5000
"""No promise of the server's, only a limit that a busy machine keeps."""


@pytest_asyncio.fixture(params=["fake", pytest.param("nats", marks=pytest.mark.real)])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A server, on which logs are opened."""
    if request.param == "fake":
        yield FakeWorld()
        return
    async with running_nats(tmp_path / "nats") as server, NatsWorld(server) as nats:
        yield nats


@pytest_asyncio.fixture
async def log(world: World) -> Log:
    """The log of one process."""
    return await world.open()


def a_wake_up(at_ms: int, *, subject: str = "", identity: str = "") -> Event:
    """Build a wake-up of the run, scheduled on the subject of its time."""
    return Event(
        subject=subject or timer_schedule(UID, at_ms),
        id=identity or f"{UID}/wake/{at_ms}",
        type=TYPE_OF[TimerDue],
        source="/test",
        data=encode(TimerDue(workflow_uid=UID, due_at=at_ms)),
        correlation_id="remediation-1",
        traceparent="00-1-2-01",
    )


async def take(deliveries: AsyncGenerator[Delivery, None]) -> Stored:
    """Acknowledge the next delivery and return its message."""
    async with asyncio.timeout(15.0):
        delivery = await anext(deliveries)
    await delivery.ack()
    return delivery.message


async def schedules(log: Log) -> list[str]:
    """Subjects of what still waits for its time."""
    return [message.subject async for message in log.scan(TIMER_STREAM.name, "kubernaut.timer.schedule.>")]


async def test_a_wake_up_comes_once_at_its_time_as_it_was_scheduled(log: Log) -> None:
    """Not before its time, whole, on the subject that it was meant for; its schedule is gone afterwards."""
    at = await log.now() + 1300
    event = a_wake_up(at)
    await log.schedule(event, at_ms=at, target=timer_due(UID, at))

    async with aclosing(log.consume(TIMER_CONSUMER, in_hand=10)) as deliveries:
        message = await take(deliveries)

    read = from_message(message.subject, dict(message.headers), message.data)
    assert (timer_due(UID, at), event.id, event.type) == (read.subject, read.id, read.type)
    assert (event.correlation_id, event.traceparent) == (read.correlation_id, read.traceparent)
    assert TimerDue(workflow_uid=UID, due_at=at) == decode(read.type, read.data)
    assert at <= message.time_ms < at + LATE_MS
    assert [] == await schedules(log)


async def test_wake_ups_come_in_the_order_of_their_times(log: Log) -> None:
    """Each at its own time, whatever the order in which they were scheduled."""
    now = await log.now()
    times = [now + 3000, now + 1000, now + 2000]
    for at in times:
        await log.schedule(a_wake_up(at), at_ms=at, target=timer_due(UID, at))

    async with aclosing(log.consume(TIMER_CONSUMER, in_hand=10)) as deliveries:
        messages = [await take(deliveries) for _ in times]

    assert [timer_due(UID, at) for at in sorted(times)] == [message.subject for message in messages]
    assert all(message.time_ms >= at for message, at in zip(messages, sorted(times), strict=True))


async def test_what_is_past_is_due_at_once(log: Log) -> None:
    """Nobody waits for a time that is over."""
    now = await log.now()
    await log.schedule(a_wake_up(now - 60_000), at_ms=now - 60_000, target=timer_due(UID, now - 60_000))

    async with aclosing(log.consume(TIMER_CONSUMER, in_hand=10)) as deliveries:
        message = await take(deliveries)

    assert now <= message.time_ms < now + LATE_MS


async def test_the_same_again_is_a_success_and_comes_once(log: Log) -> None:
    """A repeat of what waits, or of what has come a moment ago, brings nothing more."""
    at = await log.now() + 700
    await log.schedule(a_wake_up(at), at_ms=at, target=timer_due(UID, at))
    await log.schedule(a_wake_up(at), at_ms=at, target=timer_due(UID, at))
    async with aclosing(log.consume(TIMER_CONSUMER, in_hand=10)) as deliveries:
        await take(deliveries)
        await log.schedule(a_wake_up(at), at_ms=at, target=timer_due(UID, at))
        marker = a_wake_up(at + 1)
        await log.schedule(marker, at_ms=at + 1, target=timer_due(UID, at + 1))

        assert timer_due(UID, at + 1) == (await take(deliveries)).subject


async def test_another_on_the_same_subject_takes_the_place_of_the_first(log: Log) -> None:
    """Of two on one subject only the second one comes, at its own time."""
    now = await log.now()
    subject = timer_schedule(UID, 1)
    for number, at in enumerate((now + 1500, now + 2500)):
        event = a_wake_up(at, subject=subject, identity=f"{UID}/{number}")
        await log.schedule(event, at_ms=at, target=timer_due(UID, 1))

    async with aclosing(log.consume(TIMER_CONSUMER, in_hand=10)) as deliveries:
        message = await take(deliveries)
        assert f"{UID}/1" == message.headers["ce-id"]
        assert message.time_ms >= now + 2500
        assert [] == await schedules(log)


async def test_a_wake_up_that_was_purged_never_comes(log: Log, world: World) -> None:
    """It is lost without a word, as by an administrator's hand: whoever needs it must look by himself (F43)."""
    now = await log.now()
    for at in (now + 2000, now + 3000):
        await log.schedule(a_wake_up(at), at_ms=at, target=timer_due(UID, at))

    await world.purge(TIMER_STREAM.name, timer_schedule(UID, now + 2000))

    async with aclosing(log.consume(TIMER_CONSUMER, in_hand=10)) as deliveries:
        assert timer_due(UID, now + 3000) == (await take(deliveries)).subject


async def test_a_long_wait_is_kept(log: Log) -> None:
    """What is due much later is there, with its time to the millisecond, and not given to anybody yet."""
    at = await log.now() + 3_600_000
    await log.schedule(a_wake_up(at), at_ms=at, target=timer_due(UID, at))

    stored = await log.last(TIMER_STREAM.name, timer_schedule(UID, at))

    assert stored is not None
    told = dt.datetime.fromisoformat(stored.headers["Nats-Schedule"].removeprefix("@at "))
    assert at == round(told.timestamp() * 1000)


async def test_a_killed_server_forgets_no_wake_up(log: Log, world: World) -> None:
    """One that came due while the server was down comes when it is up again, and the later one at its time."""
    loop = asyncio.get_running_loop()
    now, began = await log.now(), loop.time()
    for at in (now + 4000, now + 8000):
        await log.schedule(a_wake_up(at), at_ms=at, target=timer_due(UID, at))
    await world.stop()
    await eventually(lambda: loop.time() - began > 4.5, seconds=30.0)

    await world.start()

    async with aclosing(log.consume(TIMER_CONSUMER, in_hand=10)) as deliveries:
        first, second = [await take(deliveries) for _ in range(2)]
    assert [timer_due(UID, now + 4000), timer_due(UID, now + 8000)] == [first.subject, second.subject]
    assert first.time_ms >= now + 4500
    assert second.time_ms >= now + 8000


@pytest.mark.parametrize(
    ("subject", "target"),
    [
        (timer_schedule(UID, 1), decision(UID)),
        (timer_schedule(UID, 1), timer_schedule(UID, 1)),
        (decision(UID), timer_due(UID, 1)),
    ],
    ids=["a target in another stream", "itself", "a stream without schedules"],
)
async def test_what_can_never_be_published_is_refused(log: Log, subject: str, target: str) -> None:
    """At once, when it is scheduled, and not in silence when it is due."""
    event = a_wake_up(1, subject=subject, identity="never")

    with pytest.raises(RefusedError):
        await log.schedule(event, at_ms=await log.now() + 1000, target=target)
