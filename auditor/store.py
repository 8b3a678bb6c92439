"""The audit in PostgreSQL. Turns the library's errors into ours; decides nothing about what is stored.

One connection, used by one task. A connection on which anything but a refusal of data went wrong is thrown away at
once, never repaired and never asked to end politely: a server that hangs would hang that too.
"""

from __future__ import annotations

import asyncio
import time
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from auditor.database import connect
from auditor.learning import ActionFacts
from auditor.newest import Newest, demand
from auditor.ports import BadDataError, Entry, Written
from auditor.reports import StepRun, WorkflowRun, latest
from auditor.rows import Row
from auditor.sql_files import MigrationChangedError, migrations, missing, statement
from runtime import failpoints
from runtime.errors import UnavailableError
from schemas.subjects import LOG

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import msgspec

    from auditor.database import Connection

T = TypeVar("T")

_CONNECT_SECONDS: Final = 5.0
_PARTITIONS_SECONDS: Final = 3600.0
_SERVER_SETTINGS: Final = {
    "synchronous_commit": "on",
    "statement_timeout": "10s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "30s",
    "tcp_user_timeout": "20s",
    "client_min_messages": "warning",
}
"""Reliability rule A7."""
_DATA_CLASSES: Final = frozenset({"22", "23", "54"})
"""Data exceptions, violated constraints, and values past a limit of the server (nesting, size)."""
_CHECK_VIOLATION: Final = "23514"
_REPEAT_COLUMNS: Final = (
    "event_key",
    "stream",
    "stream_sequence",
    "time_ms",
    "event_id",
    "subject",
    "headers",
    "sha256",
    "redacted",
    "raw",
    "record",
)


class PostgresStore:
    """`AuditStore` and `Experience` on PostgreSQL. The schema is made by `auditor.migrations`, never here."""

    def __init__(self, dsn: str, *, seconds: float = 15.0) -> None:
        """`seconds`: longest time of one transaction, past the server's own limits for a statement."""
        self._dsn = dsn
        self._seconds = seconds
        self._connection: Connection | None = None
        self.least = 0
        """Highest sequence of the log that must be there: a database that has less is never written to."""
        self._partitions_due = 0.0

    async def write(self, entries: Sequence[Entry]) -> Written:
        """Store the entries in one transaction."""
        rows = [entry.row for entry in entries]
        reports = latest([entry.report for entry in entries if entry.report is not None])

        async def work(connection: Connection) -> Written:
            messages = await _run(connection, _INSERT_MESSAGES, _columns(_ROW, rows))
            repeats = 0
            if messages < len(rows):
                repeats = await _run(connection, _INSERT_REPEATS, _columns(_REPEAT, rows))
            if reports:
                await _run(connection, _UPSERT_WORKFLOW_RUNS, _columns(_RUN, [one.run for one in reports]))
            if steps := [step for one in reports for step in one.steps]:
                await _run(connection, _UPSERT_STEP_RUNS, _columns(_STEP, steps))
            return Written(messages=messages, repeats=repeats)

        return await self._transaction(work, "commit.messages")

    async def quarantine(self, row: Row, reason: str) -> Written:
        """Store one message as bytes, with the reason."""

        async def work(connection: Connection) -> Written:
            values = (row.event_key, row.stream, row.stream_sequence, row.time_ms, reason)
            added = await _run(
                connection, _INSERT_QUARANTINED, (*values, row.sha256, row.redacted, row.raw, row.record)
            )
            return Written(quarantined=added)

        try:
            return await self._transaction(work, "commit.quarantine")
        except BadDataError as error:
            # There is nothing less that could be kept of it: to go on would lose it.
            message = f"PostgreSQL refuses even the quarantine of message {row.stream_sequence}: {error}"
            raise UnavailableError(message) from error

    async def facts(self, actions: Sequence[str], most: int) -> list[ActionFacts]:
        """Return what the newest finished steps of each action show."""

        async def work(connection: Connection) -> list[ActionFacts]:
            rows = await connection.fetch(_LEARNED_ACTIONS, actions, most)
            return [ActionFacts(**row) for row in rows]

        return await self._transaction(work)

    async def tend(self) -> None:
        """Ask the server whether it is there, and once an hour make the partitions for the months to come."""

        async def work(connection: Connection) -> None:
            if time.monotonic() < self._partitions_due:
                await connection.execute("SELECT 1")
                return
            await connection.execute(_ENSURE_PARTITIONS)
            self._partitions_due = time.monotonic() + _PARTITIONS_SECONDS

        await self._transaction(work)

    async def newest_message(self) -> Newest:
        """Return the newest message of the log that is there. Raises RowsGoneError, or another UnavailableError."""

        async def work(connection: Connection) -> Newest:
            return await demand(connection, LOG.name, self.least)

        return await self._transaction(work)

    async def close(self) -> None:
        """Drop the connection; what is not committed was not acknowledged."""
        self._drop()

    async def _transaction(self, work: Callable[[Connection], Awaitable[T]], effect: str = "") -> T:
        """Run `work` between BEGIN and COMMIT. Raises BadDataError after a rollback, or UnavailableError.

        `effect`: what is made by it, for failpoints; empty where nothing is.
        """
        try:
            async with asyncio.timeout(self._seconds):
                connection = await self._connected()
                await connection.execute("BEGIN")
                result = await work(connection)
                await _commit(connection, effect)
                return result
        except _ERRORS as error:
            if _is_about_data(error):
                await self._roll_back()
                raise BadDataError(_told(error)) from error
            self._drop()
            raise UnavailableError(_told(error)) from error
        except BaseException:
            self._drop()
            raise

    async def _roll_back(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                if self._connection is not None:
                    await self._connection.execute("ROLLBACK")
        except _ERRORS as error:
            self._drop()
            raise UnavailableError(_told(error)) from error

    async def _connected(self) -> Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        connection = await connect(
            self._dsn, application="kubernaut-auditor", seconds=_CONNECT_SECONDS, **_SERVER_SETTINGS
        )
        try:
            await _check_schema(connection)
            # A new connection may lead to another copy of the database.
            if self.least:
                await demand(connection, LOG.name, self.least)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        # What went wrong on the last one may have been a missing partition.
        self._partitions_due = 0.0
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


_ROW: Final = attrgetter(*Row.__struct_fields__)
_REPEAT: Final = attrgetter(*_REPEAT_COLUMNS)
_RUN: Final = attrgetter(*WorkflowRun.__struct_fields__)
_STEP: Final = attrgetter(*StepRun.__struct_fields__)
_INSERT_MESSAGES: Final = statement("insert_messages")
_INSERT_REPEATS: Final = statement("insert_repeats")
_INSERT_QUARANTINED: Final = statement("insert_quarantined")
_UPSERT_WORKFLOW_RUNS: Final = statement("upsert_workflow_runs")
_UPSERT_STEP_RUNS: Final = statement("upsert_step_runs")
_LEARNED_ACTIONS: Final = statement("learned_actions")
_ENSURE_PARTITIONS: Final = statement("ensure_partitions")
_APPLIED: Final = statement("applied_migrations")
_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Everything that the library raises; a time limit that has passed is an OSError too.

InternalClientError is what it answers on a session that the server has just ended.
"""


async def _check_schema(connection: Connection) -> None:
    """Raise UnavailableError, with what to do, while the schema is not the one that this version writes to."""
    try:
        rows = await connection.fetch(_APPLIED)
        needed = missing(migrations(), {row["number"]: (row["name"], row["checksum"]) for row in rows})
    except asyncpg.UndefinedTableError as error:
        message = "the database has no audit tables yet; run the installer: python -m kubernaut.install"
        raise UnavailableError(message) from error
    except asyncpg.InsufficientPrivilegeError as error:
        message = (
            f"{error}; the auditor logs in as kubernaut_writer, whose rights `python -m kubernaut.install --only "
            "roles` and the migrations after it give: docs/database.md"
        )
        raise UnavailableError(message) from error
    except MigrationChangedError as error:
        raise UnavailableError(str(error)) from error
    if needed:
        names = ", ".join(migration.name for migration in needed)
        message = (
            f"the audit tables are older than this version; run python -m kubernaut.install, which applies {names}"
        )
        raise UnavailableError(message)


async def _commit(connection: Connection, effect: str) -> None:
    points = failpoints.armed()
    if points is None or not effect:
        await connection.execute("COMMIT")
    else:
        await points.around(effect, lambda: connection.execute("COMMIT"), TimeoutError)


async def _run(connection: Connection, sql: str, arguments: Sequence[Any]) -> int:
    """Run a statement and return how many rows it added or changed."""
    status = await connection.execute(sql, *arguments)
    return int(status.rpartition(" ")[2])


def _columns(fields: Callable[[msgspec.Struct], tuple[Any, ...]], items: Sequence[msgspec.Struct]) -> list[Any]:
    """Return one column a field, for unnest."""
    return list(zip(*map(fields, items), strict=True))


def _is_about_data(error: BaseException) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        # A row that fits no partition violates a check that has no name; the row is not to blame.
        nameless = error.sqlstate == _CHECK_VIOLATION and not error.constraint_name
        return (error.sqlstate or "")[:2] in _DATA_CLASSES and not nameless
    # What the library itself cannot encode, such as a number that no column is wide enough for.
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def _told(error: BaseException) -> str:
    if isinstance(error, asyncpg.PostgresError):
        return f"PostgreSQL: {error} ({error.sqlstate})"
    if isinstance(error, TimeoutError):
        return "PostgreSQL did not answer in time"
    return f"PostgreSQL cannot be reached: {error or type(error).__name__}"
