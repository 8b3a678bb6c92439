from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import nats
import pytest
import pytest_asyncio

from kubernaut.local.stack import LocalStack, StackOptions
from tests.local.waiting import until

pytestmark = pytest.mark.real


@pytest_asyncio.fixture
async def stack(tmp_path: Path) -> AsyncIterator[LocalStack]:
    """Give a stack of a NATS server alone."""
    async with LocalStack(StackOptions.only("nats", home=tmp_path)) as stack:
        yield stack


async def test_acknowledged_messages_outlive_kill_9_of_the_server(stack: LocalStack) -> None:
    """It comes back on the same port with the same stream."""
    client = await nats.connect(stack.nats_url)
    await client.jetstream().add_stream(name="LOG", subjects=["log.>"])
    for number in range(20):
        await client.jetstream().publish("log.line", str(number).encode())
    await client.close()

    await stack.supervisor.kill("nats")
    await until(lambda: stack.supervisor["nats"].restarts == 1, "it is started again")
    await stack.supervisor.wait_ready("nats")
    client = await nats.connect(stack.nats_url)
    stored = await client.jetstream().stream_info("LOG")
    await client.close()

    assert stored.state.messages == 20


async def test_the_server_syncs_before_it_acknowledges_and_takes_large_objects(stack: LocalStack) -> None:
    """Both are read from the running server, not from the file that it was given."""
    monitor = f"http://127.0.0.1:{stack.supervisor['nats'].spec.ports['monitor']}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{monitor}/jsz?config=true") as answer:
            jetstream = await answer.json()
        async with session.get(f"{monitor}/varz") as answer:
            server = await answer.json()

    assert (True, 8 * 1024 * 1024) == (jetstream["config"]["sync_always"], server["max_payload"])
