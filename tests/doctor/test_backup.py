"""docs/backup.md, walked: its commands as they stand there, on real servers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from auditor.migrations import migrate
from kubernaut.install_streams import install_streams
from kubernaut.local.postgres import find_installation
from schemas.subjects import LOG
from tests.databases import an_empty_database
from tests.doctor.patient import ROOT, Patient
from tests.nats_server import administrator
from tests.storage.damage import store_below

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.nats_server import NatsServer

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]  # programs start, each a second of CPU
PROGRAMS = find_installation() / "bin"
"""pg_dump and pg_restore of the server's own version."""


def block(beginning: str) -> str:
    """Return the commands of the one block of the page that begins so."""
    page = (ROOT / "docs" / "backup.md").read_text()
    found = [each for each in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if each.startswith(beginning)]
    assert len(found) == 1, beginning
    return str(found[0])


@pytest_asyncio.fixture
async def databases(database_url: str) -> AsyncIterator[tuple[str, str]]:
    """Two empty databases of the test's own: one to be lost, one to restore into."""
    async with an_empty_database(database_url, "backup") as lost, an_empty_database(database_url, "backup") as restored:
        yield lost, restored


async def test_the_audit_comes_back_from_a_dump(
    fresh_nats: NatsServer, databases: tuple[str, str], tmp_path: Path
) -> None:
    """A dump, restored, and what was written since filled in from the log: the audit is whole."""
    lost, restored = databases
    await migrate(lost)
    settings = {"BACKUP": str(tmp_path), "RESTORED_URL": restored}
    patient = Patient(NATS_URL=fresh_nats.url, DATABASE_URL=lost)
    await _publish(fresh_nats, 5)
    await patient.type("kubernaut audit rebuild")

    await patient.type(block("pg_dump"), settings=settings, programs=PROGRAMS)
    await _publish(fresh_nats, 3)
    await _drop(lost)
    await patient.type(block("pg_restore"), settings=settings, programs=PROGRAMS)
    told = await patient.type(block('DATABASE_URL="$RESTORED_URL" kubernaut audit rebuild'), settings=settings)

    assert "audit sound: 8 messages up to sequence 8" in told
    well = Patient(NATS_URL=fresh_nats.url, DATABASE_URL=restored)
    await well.well("audit.rows", "database.schema", "stream.whole")


async def test_a_copy_of_nats_that_is_as_new(fresh_nats: NatsServer, tmp_path: Path) -> None:
    """Nothing is lost: the doctor finds the log whole, with all that was in it."""
    store, settings = await _copied(fresh_nats, tmp_path)

    shutil.rmtree(store)
    store.mkdir()
    await Patient().type(block("tar --extract"), settings=settings)
    await fresh_nats.start()

    await Patient(NATS_URL=fresh_nats.url).well("stream.whole", "stream.there", "consumer.there")


async def test_a_copy_of_nats_that_is_older(fresh_nats: NatsServer, databases: tuple[str, str], tmp_path: Path) -> None:
    """The audit remembers more: it is named as a loss, and recovery is what to do."""
    dsn = databases[0]
    await migrate(dsn)
    patient = Patient(NATS_URL=fresh_nats.url, DATABASE_URL=dsn)
    store, settings = await _copied(fresh_nats, tmp_path)
    await fresh_nats.start()
    await _publish(fresh_nats, 3)
    await patient.type("kubernaut audit rebuild")
    await fresh_nats.kill()

    shutil.rmtree(store)
    store.mkdir()
    await Patient().type(block("tar --extract"), settings=settings)
    await fresh_nats.start()

    found = await patient.wrong("stream.whole")
    assert (LOG.name, "kubernaut recover") == (found.about, found.command)
    assert "lost its end" in found.seen


async def _publish(server: NatsServer, count: int) -> None:
    async with administrator(server.url) as api:
        for _ in range(count):
            await api.request("kubernaut.watch.x", b"{}", seconds=10.0)


async def _copied(server: NatsServer, folder: Path) -> tuple[Path, dict[str, str]]:
    """Let there be something, stop the server and copy its store as the page says."""
    await _publish(server, 4)
    async with administrator(server.url) as api:
        await install_streams(api)
    await server.kill()
    store = store_below(folder)
    settings = {"BACKUP": str(folder), "STORE_DIR": str(store)}
    await Patient().type(block("tar --create"), settings=settings)
    return store, settings


async def _drop(dsn: str) -> None:
    parts = urlsplit(dsn)
    server = await asyncpg.connect(urlunsplit(parts._replace(path="/postgres")))
    try:
        await server.execute(f"DROP DATABASE {parts.path[1:]} WITH (FORCE)")
    finally:
        await server.close()
