"""The log on a real nats-server that is killed, frozen, filled and tampered with."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog

from runtime import metrics
from runtime.errors import RefusedError, UnavailableError
from runtime.health import Dependency
from runtime.nats_connection import SILENT_SECONDS, Connection
from runtime.nats_log import NatsLog
from schemas.cloudevents import Event
from schemas.subjects import LOG, SCHEDULER, Consumer
from tests.auditor.running import until
from tests.eventually import eventually
from tests.nats_server import NatsServer, administrator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from runtime.ports import Published

pytestmark = pytest.mark.real
READER = Consumer(stream=LOG.name, name="reader", filters=("kubernaut.outcome.>",), ack_wait_seconds=2)
BOTH = Consumer(stream=LOG.name, name="both", filters=("kubernaut.outcome.>", "kubernaut.signal.>"), ack_wait_seconds=2)


def an_event(number: int) -> Event:
    """Build an event whose id is made of its number."""
    return Event(subject="kubernaut.outcome.u1", id=f"e/{number}", type="t", source="/test", data=b"{}")


class Process:
    """The log of one process and how it says that it is."""

    def __init__(self, log: NatsLog, health: Dependency) -> None:
        self.log = log
        self.health = health


@asynccontextmanager
async def process(
    server: NatsServer, silence: float = 25.0, consumers: tuple[Consumer, ...] = ()
) -> AsyncIterator[Process]:
    """Run a process that is connected."""
    health = Dependency("nats")
    log = NatsLog(server.url, "test", health, structlog.get_logger(), silence=silence)
    keep = asyncio.create_task(log.keep())
    async with asyncio.timeout(15.0):
        await log.verified(consumers)
    yield Process(log, health)
    await log.close()
    await keep


async def read(log: NatsLog, seen: list[str], consumer: Consumer = READER) -> None:
    """Take message after message and acknowledge each."""
    async with aclosing(log.consume(consumer, in_hand=5)) as deliveries:
        async for delivery in deliveries:
            seen.append(delivery.message.headers["Nats-Msg-Id"])
            await delivery.ack()


async def published(log: NatsLog, event: Event) -> Published:
    """Publish as the services do, again and again: a server may be away for longer than one publish waits."""
    async with asyncio.timeout(60.0):
        while True:
            with suppress(UnavailableError):
                return await log.publish(event)


async def ask(server: NatsServer, subject: str, body: Any = None) -> Any:
    """Ask JetStream's API as an administrator."""
    async with administrator(server.url) as connection:
        return msgspec.json.decode(await connection.api(subject, body))


def wipe(folder: Path) -> None:
    """Remove the store of the server that runs below a folder."""
    shutil.rmtree(next(path for path in folder.rglob("jetstream") if path.is_dir()))


async def test_reading_and_writing_survive_kill_9_of_the_server(fresh_nats: NatsServer) -> None:
    """Killed and started again on the same store, everything that was published is read, what comes after it too."""
    await fresh_nats.install((READER,))
    seen: list[str] = []
    async with process(fresh_nats) as one:
        reading = asyncio.create_task(read(one.log, seen))
        for turn in range(3):
            for number in range(10):
                await published(one.log, an_event(turn * 10 + number))
            await fresh_nats.kill()
            last = asyncio.create_task(published(one.log, an_event(1000 + turn)))
            await fresh_nats.start()
            await last
        await eventually(lambda: len(set(seen)) == 33, seconds=60.0)
        reading.cancel()

        expected = {f"e/{n}" for n in (*range(30), 1000, 1001, 1002)}
        assert expected == set(seen)


async def test_a_publish_without_a_server_is_unknown_in_five_seconds(fresh_nats: NatsServer) -> None:
    """With the server down a publish raises within its time limit, and the process says why it is not well."""
    async with process(fresh_nats) as one:
        await fresh_nats.kill()
        before = asyncio.get_running_loop().time()

        with pytest.raises(UnavailableError):
            await one.log.publish(an_event(1))
        took = asyncio.get_running_loop().time() - before
        assert 3.0 < took < 7.0
        assert not one.health.well


async def test_a_frozen_server_is_left_and_found_again(fresh_nats: NatsServer) -> None:
    """(F29) When the server freezes with the connection up, it is thrown away in time; after the thaw all goes on."""
    await fresh_nats.install((READER,))
    seen: list[str] = []
    async with process(fresh_nats, silence=3.0) as one:
        reading = asyncio.create_task(read(one.log, seen))
        await one.log.publish(an_event(1))
        before = metrics.BROKER_RECONNECTS._value.get()  # noqa: SLF001
        fresh_nats.freeze()
        # As much later than it may be silent as leaves 35 s in all where that is the usual time.
        left = 35.0 - SILENT_SECONDS
        await eventually(lambda: metrics.BROKER_RECONNECTS._value.get() > before, seconds=3.0 + left)  # noqa: SLF001
        well_while_frozen = one.health.well
        fresh_nats.thaw()

        await published(one.log, an_event(2))
        await eventually(lambda: set(seen) == {"e/1", "e/2"}, seconds=30.0)
        await eventually(lambda: one.health.well, seconds=30.0)
        reading.cancel()
        assert not well_while_frozen


async def test_a_deleted_consumer_makes_it_unready_and_goes_on_when_it_is_there_again(fresh_nats: NatsServer) -> None:
    """(F37) A consumer that an administrator deletes is named; once it is installed again its messages come."""
    await fresh_nats.install((READER,))
    seen: list[str] = []
    async with process(fresh_nats) as one:
        reading = asyncio.create_task(read(one.log, seen))
        await one.log.publish(an_event(1))
        await eventually(lambda: seen)
        await ask(fresh_nats, f"CONSUMER.DELETE.{LOG.name}.{READER.name}")
        await eventually(lambda: not one.health.well and READER.name in one.health.detail, seconds=15.0)
        await fresh_nats.install((READER,))
        await one.log.publish(an_event(2))
        await eventually(lambda: "e/2" in seen, seconds=15.0)
        await eventually(lambda: one.health.well, seconds=15.0)
        reading.cancel()


async def test_what_a_changed_consumer_is_past_comes_once_it_is_made_anew(fresh_nats: NatsServer) -> None:
    """(F37) It is named within 15 s; the installer would leave messages behind, so it refuses and says what to do."""
    await fresh_nats.install((BOTH,))
    named, seen = f"{LOG.name}.{BOTH.name}", list[str]()
    async with process(fresh_nats, consumers=(BOTH,)) as one:
        reading = asyncio.create_task(read(one.log, seen, BOTH))
        config = (await ask(fresh_nats, f"CONSUMER.INFO.{named}"))["config"] | {"filter_subjects": BOTH.filters[1:]}
        await ask(
            fresh_nats, f"CONSUMER.CREATE.{named}", {"stream_name": LOG.name, "config": config, "action": "update"}
        )
        await one.log.publish(an_event(1))
        await one.log.publish(msgspec.structs.replace(an_event(2), subject="kubernaut.signal.u1.alert"))
        await eventually(lambda: "e/2" in seen, seconds=15.0)
        await eventually(lambda: f"does not read {BOTH.filters[0]}" in one.health.detail, seconds=15.0)
        read_less = list(seen)

        with pytest.raises(RefusedError, match="removed, it is made anew"):
            await fresh_nats.install((BOTH,))
        await ask(fresh_nats, f"CONSUMER.DELETE.{named}")
        await fresh_nats.install((BOTH,))

        await eventually(lambda: set(seen) == {"e/1", "e/2"}, seconds=15.0)
        await eventually(lambda: one.health.well, seconds=15.0)
        reading.cancel()
        assert ["e/2"] == read_less


async def test_a_missing_stream_is_named(fresh_nats: NatsServer) -> None:
    """(F37) A process on a server without the streams is not well and says which one is missing and what to do.

    So does one that was well when an administrator deleted it.
    """
    await ask(fresh_nats, "STREAM.DELETE.KUBERNAUT_EVENTS")
    health = Dependency("nats")
    log = NatsLog(fresh_nats.url, "test", health, structlog.get_logger())
    keep = asyncio.create_task(log.keep())
    await eventually(lambda: "KUBERNAUT_EVENTS" in health.detail)

    verified = asyncio.create_task(log.verified((SCHEDULER,)))
    await fresh_nats.install()

    async with asyncio.timeout(10.0):
        await verified
    assert health.well
    await ask(fresh_nats, "STREAM.DELETE.KUBERNAUT_EVENTS")
    await eventually(lambda: "KUBERNAUT_EVENTS" in health.detail, seconds=15.0)
    await fresh_nats.install()
    await eventually(lambda: health.well, seconds=15.0)
    await log.close()
    await keep


async def test_a_full_stream_takes_nothing_and_loses_nothing(fresh_nats: NatsServer) -> None:
    """With an operator's limit reached, publishes are unavailable, old messages stay, and more room helps."""
    async with process(fresh_nats) as one:
        await one.log.publish(an_event(1))
        info = await ask(fresh_nats, f"STREAM.INFO.{LOG.name}")
        await ask(fresh_nats, f"STREAM.UPDATE.{LOG.name}", info["config"] | {"max_msgs": 1})
        with pytest.raises(UnavailableError):
            await one.log.publish(an_event(2))
        await ask(fresh_nats, f"STREAM.UPDATE.{LOG.name}", info["config"] | {"max_msgs": -1})

        assert 2 == (await one.log.publish(an_event(2))).sequence
        assert await one.log.get(LOG.name, 1) is not None


async def test_large_messages_do_not_fill_the_memory(fresh_nats: NatsServer) -> None:
    """However many places are free, no more is fetched once 16 MiB are in hand; all come in the end."""
    await fresh_nats.install((READER,))
    async with process(fresh_nats) as one:
        for number in range(6):
            await published(one.log, msgspec.structs.replace(an_event(number), data=b"x" * 6 * 1024 * 1024))
        held = metrics.CONSUMER_IN_HAND.labels(READER.name)._value  # noqa: SLF001
        async with aclosing(one.log.consume(READER, in_hand=100)) as deliveries, asyncio.timeout(30.0):
            first = await anext(deliveries)
            with pytest.raises(AssertionError):
                await eventually(lambda: held.get() > 4, seconds=1.5)
            await first.ack()
            for _ in range(5):
                await (await anext(deliveries)).ack()


async def test_acknowledgements_are_with_the_server_when_a_process_has_closed(fresh_nats: NatsServer) -> None:
    """An orderly end loses no acknowledgement: the next process gets none of what was acknowledged."""
    await fresh_nats.install((READER,))
    async with process(fresh_nats) as one:
        for number in range(100):
            await one.log.publish(an_event(number))
        async with aclosing(one.log.consume(READER, in_hand=100)) as deliveries:
            for _ in range(100):
                await (await anext(deliveries)).ack()

    async def all_are_taken_in() -> bool:
        """The server does that a moment after it has them; what did not arrive stays pending."""
        info = await ask(fresh_nats, f"CONSUMER.INFO.{LOG.name}.{READER.name}")
        return (0, 100) == (info["num_ack_pending"], info["ack_floor"]["stream_seq"])

    await until(all_are_taken_in)


async def test_a_stream_that_lost_messages_is_an_alarm(fresh_nats: NatsServer, tmp_path: Path) -> None:
    """When a stream is made anew, a process that knew the one before counts it, whatever the installer says (F35)."""
    counted = metrics.STORAGE_REGRESSED.labels(LOG.name)._value  # noqa: SLF001
    async with process(fresh_nats) as one:
        for number in range(5):
            await one.log.publish(an_event(number))
        before = counted.get()
        await fresh_nats.kill()
        wipe(tmp_path)
        await fresh_nats.start()
        await fresh_nats.install()

        await eventually(lambda: counted.get() > before, seconds=20.0)


async def test_ten_thousand_messages_are_scanned_in_two_seconds(fresh_nats: NatsServer) -> None:
    """A scan of 10,000 messages takes less than 2 s of our own work, less than publishing them, and misses none."""
    clock = asyncio.get_running_loop().time
    async with process(fresh_nats) as one:
        began = clock()
        for first in range(0, 10_000, 500):
            await asyncio.gather(*(published(one.log, an_event(number)) for number in range(first, first + 500)))
        published_at, before = clock(), time.thread_time()

        found = [message.sequence async for message in one.log.scan(LOG.name, "kubernaut.outcome.>")]

        assert list(range(1, 10_001)) == found
        # On a busy machine both take longer.
        assert time.thread_time() - before < 2.0
        assert clock() - published_at < published_at - began


async def test_it_closes_while_it_is_connecting(fresh_nats: NatsServer) -> None:
    """Told to end while the server does not answer, the connection ends at once."""
    fresh_nats.freeze()
    log = NatsLog(fresh_nats.url, "test", Dependency("nats"), structlog.get_logger())
    keep = asyncio.create_task(log.keep())
    done, _ = await asyncio.wait({keep}, timeout=0.3)
    assert not done

    await log.close()

    async with asyncio.timeout(2.0):
        await keep
    fresh_nats.thaw()


async def test_it_closes_at_whichever_moment_of_connecting(fresh_nats: NatsServer) -> None:
    """At some of them nats-py swallows the cancellation, and the installer waited for its connection for ever."""
    open_still = []
    for turns in range(0, 400, 2):
        connection = Connection(fresh_nats.url, "test", Dependency("nats"), structlog.get_logger())
        keep = asyncio.create_task(connection.keep())
        for _ in range(turns):
            await asyncio.sleep(0)
        await connection.close()
        done, _ = await asyncio.wait({keep}, timeout=5.0)
        if not done:
            open_still.append(turns)
            break

    assert open_still == []


async def test_it_closes_while_it_is_cut_off(fresh_nats: NatsServer) -> None:
    """Told to end while the server drops every connection, it ends at once and leaves none behind."""
    async with process(fresh_nats) as one:
        await fresh_nats.kill()
        await eventually(lambda: not one.health.well)
        await fresh_nats.start()
        await one.log.close()
