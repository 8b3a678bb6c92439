"""The set-up of the roles is cut off at each statement: run again, roles and rights are the same (F1, F46)."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from auditor.migrations import migrate
from auditor.roles import ROLES, set_up
from kubernaut.local.ports import PortPool
from kubernaut.local.postgres import NAME, PostgresServer
from kubernaut.local.supervisor import Supervisor
from runtime.errors import UnavailableError
from tests.auditor.running import until
from tests.database_roles.conftest import Prepared, at, run, write_passwords
from tests.databases import complaint
from tests.relay import AtStatement, a_relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

_LOGINS = """
    SELECT format('%s login=%s super=%s createdb=%s createrole=%s limit=%s password=%s', rolname, rolcanlogin, rolsuper,
        rolcreatedb, rolcreaterole, rolconnlimit, left(rolpassword, 13))
    FROM pg_authid WHERE rolname LIKE 'kubernaut\\_%' ORDER BY 1
"""
_RIGHTS = """
    SELECT format('%s %s %s', relname, relowner::regrole, relacl)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
    UNION ALL SELECT format('%s %s %s', proname, proowner::regrole, proacl)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT format('schema %s', nspacl) FROM pg_namespace WHERE nspname = 'public'
    UNION ALL SELECT format('database %s', datacl) FROM pg_database WHERE datname = current_database()
    ORDER BY 1
"""
_WAITS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'kubernaut-roles' AND wait_event_type = 'Lock'"
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kubernaut-roles'"


class Roles:
    """A server of one's own, so that its roles may be taken away; and one database after the other."""

    def __init__(self, url: str, passwords: Path) -> None:
        self._url = url
        self._passwords = passwords

    async def bare(self) -> Prepared:
        """Give a new database on a server that knows none of the roles; the one before is gone."""
        names = await rows(self._url, "SELECT datname FROM pg_database WHERE datname LIKE 'cut\\_%'")
        logins = await rows(self._url, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'kubernaut\\_%'")
        name = f"cut_{uuid.uuid4().hex}"
        await run(
            self._url,
            *(f"DROP DATABASE {each} WITH (FORCE)" for each in names),
            *(f"DROP ROLE {each}" for each in logins),
            f"CREATE DATABASE {name}",
        )
        return Prepared(at(self._url, name), self._passwords)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Roles]:
    """Run one."""
    folder = tmp_path_factory.mktemp("cut")
    ports, supervisor = PortPool(), Supervisor()
    embedded = PostgresServer(folder / "postgres", folder, ports)
    try:
        await supervisor.add(await embedded.prepare())
        await supervisor.wait_ready(NAME)
        yield Roles(embedded.url, write_passwords(folder / "passwords"))
    finally:
        await supervisor.stop_all([NAME])
        embedded.remove()
        ports.close()


async def rows(address: str, query: str) -> list[str]:
    """The first column of what a query gives."""
    connection = await asyncpg.connect(address)
    try:
        return [str(row[0]) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def state(database: Prepared) -> list[str]:
    """All that the set-up makes."""
    return [*await rows(database.admin, _LOGINS), *await rows(database.admin, _RIGHTS)]


async def test_wherever_it_is_cut_the_next_run_ends_in_the_same_state(server: Roles) -> None:
    """The roles, the hand-over of tables that are there, each password; in between an auditor says what is missing."""
    database, counted = await server.bare(), AtStatement()
    await migrate(database.admin)
    async with a_relay(database.admin, counted) as relay:
        await set_up(relay, database.passwords)
    whole = await state(database)

    told = []
    for number in range(counted.passed):
        database = await server.bare()
        await migrate(database.admin)
        async with a_relay(database.admin, AtStatement(number)) as relay:
            with pytest.raises(UnavailableError):
                await set_up(relay, database.passwords)
        told.append(await complaint(database.login("writer")))
        await set_up(database.admin, database.passwords)

        assert (number, whole) == (number, await state(database))
        await migrate(database.login("owner"))
        assert "" == await complaint(database.login("writer"))

    assert counted.passed >= len(ROLES) + 3  # who is there, the roles at once, who is there now, a password each
    # The password of the writer is the last but one.
    assert all("kubernaut.install --only roles" in each for each in told[:-1]), told
    assert "permission denied" in told[-1]


async def test_wherever_a_migration_is_cut_before_the_rights_are_given_the_next_one_gives_them(server: Roles) -> None:
    """With the roles set up, migrations end with the rights; without those the auditor says what to do."""
    database, counted = await server.bare(), AtStatement()
    await set_up(database.admin, database.passwords)
    async with a_relay(database.login("owner"), counted) as relay:
        await migrate(relay)
    whole = await state(database)

    for number in range(counted.passed - 5, counted.passed):
        database = await server.bare()
        await set_up(database.admin, database.passwords)
        async with a_relay(database.login("owner"), AtStatement(number)) as relay:
            with pytest.raises(UnavailableError):
                await migrate(relay)
        assert "permission denied" in await complaint(database.login("writer"))
        await migrate(database.login("owner"))

        assert (number, whole) == (number, await state(database))
        assert "" == await complaint(database.login("writer"))


async def test_its_server_process_is_ended_in_the_middle_of_the_statement_that_does_it_all(server: Roles) -> None:
    """Nothing of it stays, the roles included; the next run does all of it."""
    database = await server.bare()
    await migrate(database.admin)
    holder = await asyncpg.connect(database.admin)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE audit_message IN ACCESS SHARE MODE")
    setting = asyncio.create_task(set_up(database.admin, database.passwords))

    async def waits() -> bool:
        return bool(await rows(database.admin, _WAITS))

    await until(waits, seconds=60)
    await run(database.admin, _END)
    with pytest.raises(UnavailableError):
        await setting
    before = await rows(database.admin, _LOGINS)
    await transaction.rollback()
    await holder.close()

    again = await set_up(database.admin, database.passwords)

    assert ([], 2 * len(ROLES)) == (before, len(again))
    await migrate(database.login("owner"))
    assert "" == await complaint(database.login("writer"))
