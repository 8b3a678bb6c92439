from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from auditor.migrations import migrate
from tests.auditor.accounts import FakeAudit, RealAudit
from tests.auditor.sealed import SealedAudit, a_sealed_audit, copied
from tests.databases import an_empty_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.auditor.accounts import Audit, Connection
    from tests.fakes.log import FakeLog


@pytest_asyncio.fixture
async def empty_database(database_url: str) -> AsyncIterator[str]:
    """The address of a database of the test's own, with nothing in it."""
    async with an_empty_database(database_url, "audit") as address:
        yield address


@pytest_asyncio.fixture
async def audit_database(empty_database: str) -> str:
    """The address of a database of the test's own with the audit's tables."""
    await migrate(empty_database)
    return empty_database


@pytest_asyncio.fixture
async def database(audit_database: str) -> AsyncIterator[Connection]:
    """A connection of the test's own to the audit."""
    connection = await asyncpg.connect(audit_database)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def sealed_audit(database_url: str) -> Iterator[SealedAudit]:
    """A sealed audit and the log that it was made of, for all tests; they only read it, or take back what they did."""
    name = f"audit_{uuid.uuid4().hex}"
    dsn = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))

    async def make() -> FakeLog:
        await _run(database_url, f"CREATE DATABASE {name}")
        await migrate(dsn)
        return await a_sealed_audit(dsn)

    yield SealedAudit(dsn, asyncio.run(make()))
    asyncio.run(_run(database_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest_asyncio.fixture
async def sealed_copy(sealed_audit: SealedAudit, database_url: str) -> AsyncIterator[SealedAudit]:
    """The same as a database and a log of the test's own, to be hurt."""
    name = f"audit_{uuid.uuid4().hex}"
    dsn = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    await _run(database_url, f"CREATE DATABASE {name} TEMPLATE {urlsplit(sealed_audit.dsn).path[1:]}")
    yield SealedAudit(dsn, copied(sealed_audit.log))
    await _run(database_url, f"DROP DATABASE {name} WITH (FORCE)")


async def _run(address: str, sql: str) -> None:
    server = await asyncpg.connect(address)
    try:
        await server.execute(sql)
    finally:
        await server.close()


@pytest.fixture(params=["fake", pytest.param("postgresql", marks=pytest.mark.real)])
def audit(request: pytest.FixtureRequest) -> Audit:
    """An empty audit: a test that asks for it runs on the fake and on PostgreSQL."""
    audit: Audit = request.getfixturevalue("fake_audit" if request.param == "fake" else "real_audit")
    return audit


@pytest.fixture
def fake_audit() -> FakeAudit:
    """An empty audit in memory."""
    return FakeAudit()


@pytest_asyncio.fixture
async def real_audit(audit_database: str) -> AsyncIterator[RealAudit]:
    """An empty audit in PostgreSQL."""
    audit = RealAudit(audit_database)
    yield audit
    await audit.close()
