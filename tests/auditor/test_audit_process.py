"""The auditor as a process, on a real nats-server and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest

from auditor import chain
from kubernaut.audit.from_log import witness
from kubernaut.cli.audit_rebuild import remade
from schemas.subjects import AUDITOR, CHECKPOINTS, LOG
from tests.auditor.builders import UID, a_decision, a_status_change, a_workflow_change
from tests.auditor.running import until
from tests.auditor.sealed import verdict_on
from tests.contracts.log_worlds import NatsWorld

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from runtime.ports import Log
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


async def test_an_older_copy_of_the_database_is_said_and_made_whole_from_the_log(
    fresh_nats: NatsServer, real_audit: RealAudit, database_url: str
) -> None:
    """With two auditors; nothing is sealed over the hole, and `audit rebuild` is the way back."""
    await fresh_nats.install([msgspec.structs.replace(AUDITOR, ack_wait_seconds=2)])
    name = urlsplit(real_audit.dsn).path[1:]
    async with NatsWorld(fresh_nats) as world, server_at(database_url) as server:
        log = await world.open()
        await publish(log, range(100, 400))
        async with an_auditor(fresh_nats, real_audit, KUBERNAUT_SEAL_SECONDS="1"):
            await until(lambda: sealed_up_to(log, 300), seconds=120)
        await server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await server.execute(f"CREATE DATABASE {name}_older TEMPLATE {name}")
        await publish(log, range(400, 700))
        settings = {"KUBERNAUT_SEAL_SECONDS": "1"}
        async with an_auditor(fresh_nats, real_audit, **settings), an_auditor(fresh_nats, real_audit, **settings):
            await until(lambda: sealed_up_to(log, 600), seconds=120)
        told = await witness(log, patience=0)
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await server.execute(f"ALTER DATABASE {name}_older RENAME TO {name}")

        hurt = await verdict_on(real_audit.dsn, log)
        done, verdict = await remade(real_audit.dsn, log, ())
        async with an_auditor(fresh_nats, real_audit, **settings):
            await publish(log, range(700, 800))
            await until(lambda: sealed_up_to(log, told.last + 100), seconds=120)
            await until(lambda: is_sound(real_audit, log), seconds=120)

    assert not hurt.sound
    assert "its row is missing" in {each.what for each in hurt.findings}
    assert verdict.sound, verdict.findings
    assert done.added >= 300
    assert done.replaced == 0


@asynccontextmanager
async def server_at(address: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect to the server as its administrator."""
    connection = await asyncpg.connect(address)
    try:
        yield connection
    finally:
        await connection.close()


async def publish(log: Log, numbers: range) -> None:
    """Put one small message into the log for each number."""
    for number in numbers:
        await log.publish(a_status_change(number))


async def sealed_up_to(log: Log, sequence: int) -> bool:
    """Tell whether the log was told of a sealed range that reaches so far."""
    checkpoint = await log.last(LOG.name, CHECKPOINTS)
    told = chain.read(checkpoint.data) if checkpoint else None
    return told is not None and told.to_sequence >= sequence


async def is_sound(audit: RealAudit, log: Log) -> bool:
    """Tell whether the audit can be verified."""
    return (await verdict_on(audit.dsn, log)).sound


async def at_least(audit: RealAudit, messages: int) -> bool:
    """Tell whether the audit holds so many messages."""
    return len(await audit.accounted()) >= messages
