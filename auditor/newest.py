"""How far the audit reaches: the newest message of the log that it holds. Reads only.

What the audit holds was in the log, so it is a witness against a log that ends before it. What it has once held it must
hold for ever, so an older newest than before says that rows are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from auditor.database import connect
from auditor.sql_files import statement
from runtime.errors import UnavailableError

if TYPE_CHECKING:
    from auditor.database import Connection

_NEWEST: Final = statement("newest_message")
_CONNECT_SECONDS: Final = 5.0


class Newest(msgspec.Struct, frozen=True):
    """The message with the highest sequence."""

    sequence: int = 0
    event_id: str = ""


class RowsGoneError(UnavailableError):
    """The database does not hold what was committed to it: an older copy of it was restored, or rows were deleted."""

    def __init__(self, held: int, expected: int) -> None:
        """`held`: highest sequence that is there, `expected`: that was there."""
        super().__init__(
            f"rows of the audit are gone: it held messages of the log up to {expected}, and holds them up to {held};"
            " nothing is written to it until they are there again: docs/recovery.md"
        )
        self.held = held
        self.expected = expected


async def newest_on(connection: Connection, stream: str) -> Newest:
    """Return the newest message of a stream over a connection; one of sequence 0 when there is none."""
    row = await connection.fetchrow(_NEWEST, stream)
    return Newest(row["stream_sequence"], row["event_id"]) if row is not None else Newest()


async def demand(connection: Connection, stream: str, least: int) -> Newest:
    """Return the newest message of a stream. Raises RowsGoneError when it is older than `least`."""
    found = await newest_on(connection, stream)
    if found.sequence < least:
        raise RowsGoneError(found.sequence, least)
    return found


async def newest(dsn: str, stream: str) -> Newest:
    """Return the same, also for a database that has no tables yet. Raises UnavailableError."""
    try:
        connection = await connect(dsn, application="kubernaut-newest", seconds=_CONNECT_SECONDS)
        try:
            return await newest_on(connection, stream)
        finally:
            connection.terminate()
    except asyncpg.UndefinedTableError:
        return Newest()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise UnavailableError(f"PostgreSQL cannot be reached: {error or type(error).__name__}") from error
