"""Brings a database's schema up to this version. Run by the installer, never by the service.

Each migration is one transaction under an advisory lock, together with the row that says it was applied: whatever is
killed or run side by side, each one is applied once and wholly. Where `auditor.roles` has set up the roles, tables
belong to kubernaut_owner whoever runs this, and the rights of the others are made what grants.sql says.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg

from auditor.database import Connection, connect, will_pass
from auditor.sql_files import Migration, migrations, missing, statement
from runtime.errors import RefusedError, UnavailableError

_CONNECT_SECONDS: Final = 10.0
_MIGRATION_SECONDS: Final = 600.0
"""Longest time for one migration; an additive one takes milliseconds unless it fills a new index."""
_SERVER_SETTINGS: Final = {
    # Waits for the lock count too, so another migrator's slow migration is waited for and not taken for an error.
    "lock_timeout": "300s",
    "client_min_messages": "warning",
}
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('kubernaut.audit.migrations', 0))"
_APPLIED_TABLE: Final = """
CREATE TABLE IF NOT EXISTS audit_migration (
    number     integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_RECORD: Final = "INSERT INTO audit_migration (number, name, checksum) VALUES ($1, $2, $3)"


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing and make the partitions for the months to come; return the names of what was applied.

    Raises MigrationChangedError when an applied migration has another text now, RefusedError when one fails (it is
    rolled back, those before it stay), UnavailableError when the database cannot be reached or does not answer.
    """
    try:
        return await _migrate(dsn)
    except asyncpg.PostgresError as error:
        if will_pass(error):
            raise UnavailableError(f"PostgreSQL cannot take migrations now: {error}") from error
        message = f"PostgreSQL refused a migration ({error.sqlstate}): {error}; {_way_out(error)}"
        raise RefusedError(message, reason=error.sqlstate or "") from error
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:  # TimeoutError is an OSError
        message = f"PostgreSQL could not be reached for migrations: {error or type(error).__name__}"
        raise UnavailableError(message) from error


async def _migrate(dsn: str) -> list[str]:
    connection = await connect(dsn, application="kubernaut-migrate", seconds=_CONNECT_SECONDS, **_SERVER_SETTINGS)
    try:
        owner = await connection.fetchval(statement("owning_role"))
        if owner is not None:
            await connection.execute(f"SET ROLE {owner}")
        done = []
        while (migration := await _apply_next(connection)) is not None:
            done.append(migration.name)
        async with asyncio.timeout(_MIGRATION_SECONDS):
            await connection.execute(statement("ensure_partitions"))
            if owner is not None:
                await _grant(connection)
        return done
    finally:
        # Nothing is open any more, or it is to be rolled back: no farewell that could hang.
        connection.terminate()


async def _grant(connection: Connection) -> None:
    async with connection.transaction():
        await connection.execute(_LOCK)
        await connection.execute(statement("grants"))


def _way_out(error: asyncpg.PostgresError) -> str:
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return "migrate as the role that owns the tables, kubernaut_owner: docs/database.md"
    return "mend what it names and migrate again"


async def _apply_next(connection: Connection) -> Migration | None:
    async with asyncio.timeout(_MIGRATION_SECONDS), connection.transaction():
        await connection.execute(_LOCK)
        await connection.execute(_APPLIED_TABLE)
        rows = await connection.fetch(statement("applied_migrations"))
        applied = {row["number"]: (row["name"], row["checksum"]) for row in rows}
        needed = missing(migrations(), applied)
        if not needed:
            return None
        migration = needed[0]
        await connection.execute(migration.text)
        await connection.execute(_RECORD, migration.number, migration.name, migration.checksum)
        return migration
