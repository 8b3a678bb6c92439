"""Files of the server beside the messages: damaged, they cost no message, and nobody is stopped for them (F34)."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
import structlog

from runtime.errors import UnavailableError
from runtime.health import Dependency
from runtime.nats_log import NatsLog
from schemas.cloudevents import Event
from schemas.subjects import LOG, Consumer
from tests.eventually import eventually
from tests.nats_server import NatsServer
from tests.storage import damage

pytestmark = pytest.mark.real
READER = Consumer(stream=LOG.name, name="reader", filters=("kubernaut.outcome.>",), ack_wait_seconds=2)
MESSAGES = 20


async def read(log: NatsLog, seen: set[str], most: int) -> None:
    """Take messages and acknowledge them until so many different ones were there."""
    async with aclosing(log.consume(READER, in_hand=5)) as deliveries:
        async for delivery in deliveries:
            seen.add(delivery.message.headers["ce-id"])
            await delivery.ack()
            if len(seen) >= most:
                return


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("msgs/index.db", id="the index, which the server makes again by itself (F34)"),
        pytest.param("obs/reader/o.dat", id="how far a consumer is, which is made again by hand (F34)"),
    ],
)
async def test_a_damaged_file_beside_the_messages_costs_none_of_them(
    fresh_nats: NatsServer, tmp_path: Path, pattern: str
) -> None:
    """Overwritten while it is down: all messages are there, the rest is read, and the process is well."""
    await fresh_nats.install((READER,))
    health, seen = Dependency("nats"), set[str]()
    log = NatsLog(fresh_nats.url, "test", health, structlog.get_logger())
    keep = asyncio.create_task(log.keep())
    await asyncio.wait_for(log.verified((READER,)), 60)
    for number in range(MESSAGES):
        event = Event(subject="kubernaut.outcome.u1", id=f"e/{number}", type="t", source="/test", data=b"{}")
        await log.publish(event)
    await asyncio.wait_for(read(log, seen, MESSAGES // 2), 60)
    file = damage.stream_in(damage.store_below(tmp_path)) / pattern
    assert file.parent.is_dir()

    await fresh_nats.kill()
    damage.scribble(file)
    await fresh_nats.start()
    if "obs" in pattern:
        # The server leaves the consumer out, and makes none of that name over what is left of it (docs/recovery.md).
        await eventually(lambda: READER.name in health.detail, seconds=60)
        await fresh_nats.kill()
        shutil.rmtree(file.parent)
        await fresh_nats.start()
        await fresh_nats.install((READER,))

    await asyncio.wait_for(read(log, seen, MESSAGES), 60)
    await eventually(lambda: health.well, seconds=60)
    assert MESSAGES == len([message async for message in log.scan(LOG.name, READER.filters[0])])
    await log.close()
    await keep


async def test_a_bit_that_turned_closes_the_log_for_every_process(fresh_nats: NatsServer, tmp_path: Path) -> None:
    """The server goes on with what is left and says nothing; nobody writes to it, not even who starts now (F34)."""
    health, later = Dependency("nats"), Dependency("nats")
    log = NatsLog(fresh_nats.url, "test", health, structlog.get_logger())
    keep = asyncio.create_task(log.keep())
    await asyncio.wait_for(log.verified(), 60)
    for number in range(MESSAGES):
        event = Event(subject="kubernaut.outcome.u1", id=f"e/{number}", type="t", source="/test", data=b"{}")
        await log.publish(event)

    await fresh_nats.kill()
    damage.turn_a_bit(damage.store_below(tmp_path))
    await fresh_nats.start()

    await eventually(lambda: "lost" in health.detail, seconds=60)
    with pytest.raises(UnavailableError, match="was not stored"):
        await log.publish(msgspec.structs.replace(event, id="e/new"))
    other = NatsLog(fresh_nats.url, "other", later, structlog.get_logger())
    keep_other = asyncio.create_task(other.keep())
    await eventually(lambda: "lost" in later.detail, seconds=60)
    for each, task in ((log, keep), (other, keep_other)):
        await each.close()
        await task
