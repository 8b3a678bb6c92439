"""What the log promises, held against the fake and a real nats-server alike."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio

from runtime.errors import ConflictError, TooLargeError, UnavailableError
from schemas.cloudevents import Event, from_message
from schemas.subjects import LOG, Consumer
from tests.contracts.log_worlds import FakeWorld, NatsWorld, World
from tests.eventually import eventually
from tests.nats_server import running_nats

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from runtime.ports import Delivery, Log

READER = Consumer(stream=LOG.name, name="reader", filters=("kubernaut.outcome.>",), ack_wait_seconds=1)
"""Gives again soon what nobody has in hand: for the tests that wait for that."""
WORKER = msgspec.structs.replace(READER, name="worker", ack_wait_seconds=2)
"""Does not take a machine that stands still for a moment for a process that is dead."""
PATIENT = msgspec.structs.replace(READER, name="patient", ack_wait_seconds=60)
"""Gives nothing again because time went by, however slow the machine is."""
ONE_BY_ONE = msgspec.structs.replace(PATIENT, name="one-by-one", max_ack_pending=1)


@pytest_asyncio.fixture(params=["fake", pytest.param("nats", marks=pytest.mark.real)])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A server, on which logs are opened, with the consumers of these tests."""
    if request.param == "fake":
        yield FakeWorld()
        return
    async with running_nats(tmp_path / "nats") as server:
        await server.install((READER, WORKER, PATIENT, ONE_BY_ONE))
        async with NatsWorld(server) as nats:
            yield nats


@pytest_asyncio.fixture
async def log(world: World) -> Log:
    """The log of one process."""
    return await world.open()


def an_event(
    number: int = 1,
    *,
    subject: str = "kubernaut.outcome.u1",
    data: bytes = b"{}",
) -> Event:
    """Build an event whose id is made of its subject and number."""
    return Event(subject=subject, id=f"{subject}/{number}", type="t", source="/test", data=data)


async def take(deliveries: AsyncGenerator[Delivery, None], count: int) -> list[Delivery]:
    """Return the next so many deliveries."""
    async with asyncio.timeout(10.0):
        return [await anext(deliveries) for _ in range(count)]


async def published_at_last(log: Log, event: Event) -> None:
    """Publish once the server is there again."""
    async with asyncio.timeout(30.0):
        while True:
            with suppress(UnavailableError):
                await log.publish(event)
                return


async def nothing_comes(deliveries: AsyncGenerator[Delivery, None], seconds: float) -> bool:
    """Whether nothing was handed out for so long; the generator is at its end afterwards."""
    try:
        async with asyncio.timeout(seconds):
            await anext(deliveries)
    except TimeoutError:
        return True
    return False


def sequences(deliveries: list[Delivery]) -> list[int]:
    """Return where the messages are in the stream."""
    return [delivery.message.sequence for delivery in deliveries]


async def test_an_event_comes_back_as_it_was_published(log: Log) -> None:
    """What is read from the log is the event that was published, every attribute of it, odd characters included."""
    event = Event(
        subject="kubernaut.outcome.u1",
        id="outcome/ü/1",
        type="io.kubernaut.x.v1",
        source="/test",
        data=b'{"a": "\xf0\x9f\x90\x9d"}',
        correlation_id="größe: 1",
        causation_id="c",
        traceparent="00-1-2-01",
        extensions={"workflow": "a:b"},
    )

    published = await log.publish(event)

    stored = await log.get(LOG.name, published.sequence)
    assert stored is not None
    assert event == from_message(stored.subject, dict(stored.headers), stored.data)


async def test_a_line_break_in_an_attribute_forges_no_header(log: Log) -> None:
    """A value with a line break stays one value of its own header."""
    event = Event(subject="kubernaut.outcome.u1", id="a", type="t", source="/x\r\nce-forged: 1", data=b"")

    published = await log.publish(event)

    stored = await log.get(LOG.name, published.sequence)
    assert stored is not None
    assert "ce-forged" not in stored.headers


async def test_time_is_the_broker_s_and_never_goes_back(log: Log) -> None:
    """Each message has the broker's time, in the same milliseconds by whatever way it is read."""
    sequence = (await log.publish(an_event(1))).sequence
    await log.publish(an_event(2))

    async with aclosing(log.consume(READER, in_hand=10)) as deliveries:
        delivered = [delivery.message.time_ms for delivery in await take(deliveries, 2)]
    scanned = [message.time_ms async for message in log.scan(LOG.name, "kubernaut.outcome.>")]
    got = await log.get(LOG.name, sequence)
    assert got is not None
    assert delivered == scanned == sorted(scanned)
    assert got.time_ms == scanned[0]


async def test_what_is_not_there_is_none(log: Log) -> None:
    """Reading the last of an unused subject, or a sequence that does not exist, gives None."""
    last = await log.last(LOG.name, "kubernaut.outcome.nobody")
    got = await log.get(LOG.name, 99)

    assert (None, None) == (last, got)


async def test_last_is_the_newest_under_a_wildcard(log: Log) -> None:
    """The last message of a filter is the newest of all subjects that it covers."""
    await log.publish(an_event(subject="kubernaut.change.workflow.shop.u1"))
    second = await log.publish(an_event(subject="kubernaut.change.status.shop.u1"))
    await log.publish(an_event(subject="kubernaut.change.status.shop.u2"))

    last = await log.last(LOG.name, "kubernaut.change.*.shop.u1")

    assert last is not None
    assert second.sequence == last.sequence


async def test_the_first_of_a_subject_expects_zero(log: Log) -> None:
    """Expecting 0 succeeds on an empty subject and fails on one that has a message."""
    first = await log.publish(an_event(1), expect=0)

    with pytest.raises(ConflictError):
        await log.publish(an_event(2), expect=0)
    assert first.sequence == (await log.publish(an_event(3), expect=first.sequence)).sequence - 1


async def test_of_many_that_expect_the_same_one_is_first(log: Log, world: World) -> None:
    """When several processes publish against the same last sequence, exactly one succeeds."""
    logs = [log, *[await world.open() for _ in range(3)]]

    results = await asyncio.gather(
        *(logs[n % 4].publish(an_event(n), expect=0) for n in range(12)), return_exceptions=True
    )

    assert [ConflictError] * 11 == [type(result) for result in results if isinstance(result, BaseException)]


async def test_a_filter_orders_several_subjects(log: Log) -> None:
    """With a filter the expected sequence is that of the newest message of all subjects under it."""
    both = "kubernaut.change.*.shop.u1"
    first = await log.publish(an_event(subject="kubernaut.change.workflow.shop.u1"), expect=0, expect_filter=both)
    status = an_event(subject="kubernaut.change.status.shop.u1")

    with pytest.raises(ConflictError):
        await log.publish(status, expect=0, expect_filter=both)
    second = await log.publish(status, expect=first.sequence, expect_filter=both)
    assert first.sequence + 1 == second.sequence


async def test_the_same_event_again_is_a_duplicate(log: Log) -> None:
    """An event that is stored already, by its id, is a success that names its first place."""
    first = await log.publish(an_event(1))

    again = await log.publish(an_event(1))

    assert (first.sequence, True) == (again.sequence, again.duplicate)


async def test_an_id_is_known_on_every_subject_of_the_stream(log: Log) -> None:
    """What is stored already is a duplicate elsewhere too, and takes no place in the stream: sequences have no gaps."""
    first = await log.publish(an_event(1))
    elsewhere = msgspec.structs.replace(an_event(1), subject="kubernaut.outcome.u2")

    again = await log.publish(elsewhere)
    second = await log.publish(an_event(2))

    assert (first.sequence, True) == (again.sequence, again.duplicate)
    assert first.sequence + 1 == second.sequence


@pytest.mark.parametrize("expect_filter", [None, "kubernaut.*.u1"], ids=["its own subject", "a filter"])
async def test_a_retry_after_a_lost_answer_is_no_conflict(log: Log, expect_filter: str | None) -> None:
    """Publishing again, against the same sequence as before, what was stored then is a success and not a conflict."""
    first = await log.publish(an_event(1), expect=0, expect_filter=expect_filter)

    again = await log.publish(an_event(1), expect=0, expect_filter=expect_filter)

    assert (first.sequence, True) == (again.sequence, again.duplicate)


async def test_a_retry_after_somebody_went_on_is_a_conflict(log: Log) -> None:
    """When others published after ours, a late retry of ours is a conflict: the caller has to look again."""
    first = await log.publish(an_event(1), expect=0)
    await log.publish(an_event(2), expect=first.sequence)

    with pytest.raises(ConflictError):
        await log.publish(an_event(1), expect=0)


async def test_too_large_is_said_and_harms_nothing(log: Log, world: World) -> None:
    """An event that its headers alone make too large is refused, and the next one is stored."""
    data = b"x" * (world.max_payload - 100)

    with pytest.raises(TooLargeError):
        await log.publish(an_event(1, data=data))
    assert not (await log.publish(an_event(2))).duplicate


async def test_a_scan_reads_what_is_stored_in_order_and_ends(log: Log) -> None:
    """A scan gives the messages of its filter from the start that it is told, in order, and ends at the present end."""
    published = [
        await log.publish(an_event(n, subject=f"kubernaut.{'outcome' if n % 2 else 'signal'}.u1")) for n in range(20)
    ]

    found = [m.sequence async for m in log.scan(LOG.name, "kubernaut.outcome.>", start=published[10].sequence)]

    assert [p.sequence for p in published[11::2]] == found


async def test_a_scan_of_nothing_ends(log: Log) -> None:
    """A scan over a filter without messages ends at once."""
    assert [] == [m async for m in log.scan(LOG.name, "kubernaut.outcome.>")]


async def test_a_scan_of_the_last_of_each_subject(log: Log) -> None:
    """With `last_per_subject` only the newest message of each subject comes, in order of sequence."""
    for n in range(9):
        await log.publish(an_event(n, subject=f"kubernaut.outcome.u{n % 3}"))

    found = [m.sequence async for m in log.scan(LOG.name, "kubernaut.outcome.>", last_per_subject=True)]

    assert [7, 8, 9] == found


async def test_messages_come_in_order_and_once_when_acknowledged(log: Log) -> None:
    """A consumer gets the messages of its filters in order, and none again that it acknowledged."""
    for n in range(10):
        await log.publish(an_event(n))
        await log.publish(an_event(n, subject="kubernaut.signal.u1.alert"))
    async with aclosing(log.consume(READER, in_hand=3)) as deliveries:
        seen = []
        for _ in range(10):
            [delivery] = await take(deliveries, 1)
            seen.append(delivery.message.sequence)
            await delivery.ack()
            await delivery.ack()

        assert list(range(1, 20, 2)) == seen
        assert await nothing_comes(deliveries, 1.5)


async def test_messages_published_later_come_at_once(log: Log) -> None:
    """A consumer that waits is given a message as soon as it is published."""
    async with aclosing(log.consume(PATIENT, in_hand=3)) as deliveries:
        waiting = asyncio.create_task(take(deliveries, 1))
        await log.publish(an_event(1))
        [delivery] = await waiting

        assert b"{}" == delivery.message.data


async def test_no_more_than_in_hand_are_out(log: Log) -> None:
    """With two in hand the third message comes only when one of them has ended."""
    for n in range(3):
        await log.publish(an_event(n))
    async with aclosing(log.consume(PATIENT, in_hand=2)) as deliveries:
        first, _ = await take(deliveries, 2)
        third = asyncio.create_task(take(deliveries, 1))
        done, _ = await asyncio.wait({third}, timeout=0.3)
        assert not done

        await first.ack()

        assert [3] == sequences(await third)


async def test_what_is_in_hand_is_not_given_out_again(log: Log, world: World) -> None:
    """A message that is worked on for three times as long as the server waits is given to nobody else."""
    await log.publish(an_event(1))
    other = await world.open()
    async with aclosing(log.consume(WORKER, in_hand=2)) as deliveries:
        [delivery] = await take(deliveries, 1)
        async with aclosing(other.consume(WORKER, in_hand=2)) as others:
            assert await nothing_comes(others, 6.5)
        await delivery.ack()


async def test_what_a_dead_process_held_comes_again(log: Log, world: World) -> None:
    """After kill -9 of its holder a message is given to another process once the server has waited for it."""
    await log.publish(an_event(1))
    await take(log.consume(READER, in_hand=2), 1)

    await world.crash(log)

    other = await world.open()
    async with aclosing(other.consume(READER, in_hand=2)) as deliveries:
        assert [1] == sequences(await take(deliveries, 1))


async def test_a_message_given_back_comes_again(log: Log) -> None:
    """A negative acknowledgement brings the message at once, one with a delay not before it."""
    await log.publish(an_event(1))
    loop = asyncio.get_running_loop()
    async with aclosing(log.consume(PATIENT, in_hand=2)) as deliveries:
        [delivery] = await take(deliveries, 1)
        await delivery.nak()
        [delivery] = await take(deliveries, 1)
        before = loop.time()
        await delivery.nak(0.5)
        [delivery] = await take(deliveries, 1)
        waited = loop.time() - before
        await delivery.ack()

        assert (True, True) == (delivery.again, 0.45 <= waited < 5.0)


async def test_one_in_hand_keeps_the_order_through_redeliveries(log: Log) -> None:
    """With one message in hand over all, nothing passes a message that was given back."""
    await log.publish(an_event(1))
    await log.publish(an_event(2))
    async with aclosing(log.consume(ONE_BY_ONE, in_hand=5)) as deliveries:
        [first] = await take(deliveries, 1)
        await first.nak(0.3)
        [again] = await take(deliveries, 1)
        await again.ack()
        [second] = await take(deliveries, 1)

        assert [1, 1, 2] == sequences([first, again, second])


async def test_one_in_hand_is_one_over_all_processes(log: Log, world: World) -> None:
    """While one process has the message in hand, no other gets the next one."""
    await log.publish(an_event(1))
    await log.publish(an_event(2))
    other = await world.open()
    async with aclosing(log.consume(ONE_BY_ONE, in_hand=5)) as deliveries:
        [first] = await take(deliveries, 1)
        async with aclosing(other.consume(ONE_BY_ONE, in_hand=5)) as others:
            assert await nothing_comes(others, 0.5)
        await first.ack()
        [second] = await take(deliveries, 1)

        assert [1, 2] == sequences([first, second])


async def test_a_killed_server_keeps_what_it_took_and_gives_again_what_was_in_hand(log: Log, world: World) -> None:
    """Events, ids and sequences are as they were; nothing is taken meanwhile; what no one acknowledged comes (F27)."""
    published = [await log.publish(an_event(n)) for n in range(3)]
    reader = await world.open()
    [first, *_] = await take(reader.consume(READER, in_hand=3), 3)
    await first.ack()
    await becomes(log, READER, 1)
    await world.crash(reader)
    await world.stop()

    with pytest.raises(UnavailableError):
        await log.publish(an_event(3), expect=3)
    await world.start()

    fresh = await world.open()
    again = await fresh.publish(an_event(2), expect=2)
    with pytest.raises(ConflictError):
        await fresh.publish(an_event(9), expect=2)
    async with aclosing(fresh.consume(READER, in_hand=3)) as deliveries:
        came: set[int] = set()
        async with asyncio.timeout(30.0):
            while not {2, 3} <= came:
                delivery = await anext(deliveries)
                came.add(delivery.message.sequence)
                await delivery.ack()
    assert (published[2].sequence, True) == (again.sequence, again.duplicate)


async def test_what_somebody_may_have_been_given_before_is_told(log: Log, world: World) -> None:
    """All that a process found when it connected, also to a server that was killed: it forgets whom it gave what."""
    await log.publish(an_event(1))
    late = await world.open()
    await late.publish(an_event(2))
    async with aclosing(late.consume(WORKER, in_hand=2)) as deliveries:
        assert [True, False] == [delivery.again for delivery in await take(deliveries, 2)]

    await world.stop()
    await world.start()

    await published_at_last(late, an_event(3))
    async with aclosing(late.consume(PATIENT, in_hand=3)) as deliveries:
        assert [True, True, False] == [delivery.again for delivery in await take(deliveries, 3)]


async def test_a_terminated_message_never_comes_again(log: Log) -> None:
    """After `term` the consumer gets the next message and never that one."""
    await log.publish(an_event(1))
    await log.publish(an_event(2))
    async with aclosing(log.consume(READER, in_hand=1)) as deliveries:
        [delivery] = await take(deliveries, 1)
        await delivery.term()
        [second] = await take(deliveries, 1)
        await second.ack()

        assert second.message.sequence == 2
        assert await nothing_comes(deliveries, 1.5)


async def test_what_a_consumer_has_acknowledged_is_told_up_to_the_first_that_it_has_not(log: Log) -> None:
    """The second of three is still in hand: only what stands before it is said to be done, then everything is."""
    sequences = [(await log.publish(an_event(n))).sequence for n in range(3)]
    behind = (await log.publish(an_event(subject="kubernaut.signal.u1.alert"))).sequence
    assert await log.acknowledged(PATIENT) < sequences[0]
    async with aclosing(log.consume(PATIENT, in_hand=3)) as deliveries:
        first, second, third = await take(deliveries, 3)
        await first.ack()
        await third.ack()
        await becomes(log, PATIENT, sequences[0])
        assert await log.acknowledged(PATIENT) < sequences[1]
        await second.ack()

        await becomes(log, PATIENT, behind)
        later = (await log.publish(an_event(9))).sequence
        assert await log.acknowledged(PATIENT) < later


async def test_what_a_consumer_never_reads_counts_as_acknowledged(log: Log) -> None:
    """Messages that only others read keep nobody waiting."""
    sequence = (await log.publish(an_event(subject="kubernaut.signal.u1.alert"))).sequence

    await becomes(log, READER, sequence)


async def test_a_message_given_back_is_not_acknowledged(log: Log) -> None:
    """What waits to be delivered again holds up the answer, whatever was acknowledged after it."""
    first, second = [(await log.publish(an_event(n))).sequence for n in range(2)]
    async with aclosing(log.consume(PATIENT, in_hand=2)) as deliveries:
        one, other = await take(deliveries, 2)
        await one.nak(1.0)
        await other.ack()
        assert await log.acknowledged(PATIENT) < first
        [again] = await take(deliveries, 1)
        await again.ack()

        await becomes(log, PATIENT, second)


async def becomes(log: Log, consumer: Consumer, sequence: int) -> None:
    """Wait until everything up to a sequence is acknowledged: an acknowledgement takes a moment to arrive."""
    async with asyncio.timeout(5.0):
        while True:
            if await log.acknowledged(consumer) >= sequence:
                return
            await asyncio.sleep(0.01)


async def test_closing_gives_back_what_was_not_handed_out(log: Log, world: World) -> None:
    """What was fetched and not handed out goes to another process when the first one closes, not a minute later."""
    for n in range(5):
        await log.publish(an_event(n))
    deliveries = log.consume(PATIENT, in_hand=5)
    [first] = await take(deliveries, 1)
    other = await world.open()

    await deliveries.aclose()

    async with aclosing(other.consume(PATIENT, in_hand=5)) as others:
        rest = await take(others, 4)
        assert [2, 3, 4, 5] == sorted(sequences(rest))
        await first.ack()
        for delivery in rest:
            await delivery.ack()


async def test_two_processes_share_the_messages(log: Log, world: World) -> None:
    """Two processes on one consumer get every message once between them."""
    other = await world.open()
    seen: list[int] = []

    async def work(own: Log) -> None:
        async with aclosing(own.consume(PATIENT, in_hand=2)) as deliveries:
            async for delivery in deliveries:
                seen.append(delivery.message.sequence)
                await delivery.ack()

    tasks = [asyncio.create_task(work(own)) for own in (log, other)]
    for n in range(50):
        await log.publish(an_event(n))
    await eventually(lambda: len(seen) >= 50)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert list(range(1, 51)) == sorted(seen)
