"""The auditor as a process, on a real nats-server and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from schemas.subjects import AUDITOR, LOG
from tests.auditor.builders import UID, a_decision, a_status_change, a_workflow_change
from tests.auditor.running import until
from tests.contracts.log_worlds import NatsWorld

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from tests.auditor.accounts import RealAudit
    from tests.nats_server import NatsServer

pytestmark = pytest.mark.real


@asynccontextmanager
async def an_auditor(nats: NatsServer, audit: RealAudit, **settings: str) -> AsyncIterator[Process]:
    """Start a process, and kill it in the end if it still runs."""
    environment = {
        **os.environ,
        "NATS_URL": nats.url,
        "DATABASE_URL": audit.dsn,
        "KUBERNAUT_BIND": "127.0.0.1",
        "KUBERNAUT_HEALTH_PORT": "0",
        "KUBERNAUT_METRICS_PORT": "0",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "auditor", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_killed_again_and_again_it_has_one_row_for_each_message_of_the_log(
    fresh_nats: NatsServer, real_audit: RealAudit
) -> None:
    """After kill -9 of the auditor and of the broker the audit equals the log."""
    # Shorter than the auditor counts on, so that what a killed process held comes again soon, and much comes twice.
    await fresh_nats.install([msgspec.structs.replace(AUDITOR, ack_wait_seconds=2)])
    async with NatsWorld(fresh_nats) as world:
        log = await world.open()
        await log.publish(a_workflow_change())
        for number in range(100, 700):
            await log.publish(a_status_change(number))
        await log.publish(a_decision(4))
        everything = [message.sequence async for message in log.scan(LOG.name, ">")]

        for stored_by_then in (1, 300):
            async with an_auditor(fresh_nats, real_audit) as process:
                await until(lambda least=stored_by_then: at_least(real_audit, least), seconds=60)
                process.kill()
        await fresh_nats.kill()
        await fresh_nats.start()
        async with an_auditor(fresh_nats, real_audit) as process:
            await until(lambda: at_least(real_audit, len(everything)), seconds=60)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                code = await process.wait()

    assert (0, 602) == (code, len(everything))
    assert [(sequence, "message") for sequence in everything] == await real_audit.accounted()
    assert [(UID, 4, "memory-leak", "completed")] == await real_audit.runs()


async def at_least(audit: RealAudit, messages: int) -> bool:
    """Tell whether the audit holds so many messages."""
    return len(await audit.accounted()) >= messages
