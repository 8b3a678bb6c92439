"""Reading a log of large messages back: whoever reads it holds a few of them at a time, however many there are."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import aiohttp
import pytest

from schemas.cloudevents import Event
from schemas.subjects import LOG
from tests.contracts.log_worlds import NatsWorld
from tests.load.memory_limits import MIB

if TYPE_CHECKING:
    from runtime.ports import Log
    from tests.nats_server import NatsServer

pytestmark = pytest.mark.real

MANY = 100
HELD = 40 * MIB
SUBJECT = "kubernaut.outcome.u1"


async def sent(server: NatsServer) -> int:
    """How many bytes the server has sent so far."""
    async with aiohttp.ClientSession() as session, session.get(f"{server.monitor_url}/varz") as answer:
        return int((await answer.json())["out_bytes"])


async def settled(server: NatsServer) -> int:
    """How many bytes the server has sent once it sends no more."""
    before = -1
    while (now := await sent(server)) - before > MIB:
        before = now
        await asyncio.sleep(0.5)  # long enough for a server that still sends to send more
    return now


async def fill(log: Log) -> None:
    """Publish messages as large as those of the largest objects."""
    for number in range(MANY):
        data = b"x" * int(1.4 * MIB)
        await log.publish(Event(subject=SUBJECT, id=f"e/{number}", type="t", source="/test", data=data))


async def test_a_scan_of_large_messages_holds_few_of_them(fresh_nats: NatsServer) -> None:
    """(F24) 100 messages of 1.4 MiB are read one by one, and no more than 40 MiB of them are out at any time."""
    async with NatsWorld(fresh_nats) as world:
        log = await world.open()
        await fill(log)
        before, read = await settled(fresh_nats), []
        async with aclosing(log.scan(LOG.name, SUBJECT)) as found:
            async for message in found:
                if not read:
                    assert await settled(fresh_nats) - before < HELD
                read.append(message.sequence)
        seen = await settled(fresh_nats)
        async with aclosing(log.scan(LOG.name, SUBJECT, headers_only=True)) as found:
            heads = [(message.headers["ce-id"], message.data) async for message in found]
        for_heads = await settled(fresh_nats) - seen

    assert list(range(1, MANY + 1)) == read
    assert [(f"e/{number}", b"") for number in range(MANY)] == heads
    assert for_heads < MIB
