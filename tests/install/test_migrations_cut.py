"""The connection to PostgreSQL is cut at each statement of a migration: run again, the schema is the same (F1, F46)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest

from auditor.migrations import migrate
from auditor.sql_files import migrations
from runtime.errors import UnavailableError
from tests.databases import an_empty_database, complaint
from tests.relay import AtStatement, a_relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
NAMES = [each.name for each in migrations()]
_EVERYTHING = """
    SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
        FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT format('%s %s %s', number, name, checksum) FROM audit_migration
    ORDER BY 1
"""


class Database:
    """A database, and a look at it."""

    def __init__(self, address: str, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self.address = address
        self._connection = connection

    async def empty(self) -> None:
        """Take everything away."""
        await self._connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    async def schema(self) -> list[str]:
        """All that migrations make."""
        return [row[0] for row in await self._connection.fetch(_EVERYTHING)]

    async def applied(self) -> int:
        """How many migrations are said to have been applied."""
        if await self._connection.fetchval("SELECT to_regclass('public.audit_migration')") is None:
            return 0
        return int(await self._connection.fetchval("SELECT count(*) FROM audit_migration"))


@asynccontextmanager
async def a_database(server_url: str) -> AsyncIterator[Database]:
    """Make one."""
    async with an_empty_database(server_url, "cut") as address:
        connection = await asyncpg.connect(address)
        try:
            yield Database(address, connection)
        finally:
            await connection.close()


async def is_cut(database: Database, number: int) -> bool:
    """Migrate, cut in place of the statement after so many; False when there were no more."""
    async with a_relay(database.address, AtStatement(number)) as relay:
        try:
            await migrate(relay)
        except UnavailableError:
            return True
    return False


async def test_it_is_cut_at_every_statement_of_every_migration_and_ends_in_the_same_schema(database_url: str) -> None:
    """Each run dies one statement later than the one before; in between an auditor says what it waits for."""
    async with a_database(database_url) as database, a_database(database_url) as undisturbed:
        await migrate(undisturbed.address)
        waited, deaths, number, applied = list[str](), [0] * (len(NAMES) + 1), 0, 0
        while await is_cut(database, number):
            waited.append(await complaint(database.address))
            deaths[applied] += 1
            before, applied = applied, await database.applied()
            number = number + 1 if applied == before else 0

        assert await undisturbed.schema() == await database.schema()
    assert min(deaths) > 4  # it begins, locks, looks, changes, notes, commits
    assert "run the installer: python -m kubernaut.install" in waited[0]
    for name in NAMES[1:]:
        assert any(name in each for each in waited)


async def test_two_of_which_one_is_cut_end_in_the_same_schema(database_url: str) -> None:
    """The one that lives waits for the lock of the other, and applies what that did not."""
    async with a_database(database_url) as database:
        await migrate(database.address)
        whole = await database.schema()

        for number in (3, 10, 17, 24):
            await database.empty()
            async with a_relay(database.address, AtStatement(number)) as relay:
                cut, lives = await asyncio.gather(migrate(relay), migrate(database.address), return_exceptions=True)

            assert isinstance(cut, UnavailableError | list), cut
            assert isinstance(lives, list), lives
            assert (number, whole) == (number, await database.schema())
