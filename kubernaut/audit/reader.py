"""Reads the audit from PostgreSQL: rows in the order of the log, and seals. SELECTs only; knows nothing of findings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec

from auditor.archive import Kept, kept
from auditor.chain import Seal
from auditor.database import connect
from auditor.sql_files import statement
from runtime.errors import UnavailableError
from schemas.subjects import LOG

if TYPE_CHECKING:
    from auditor.database import Connection

CONNECT_SECONDS: Final = 8.0
WINDOW: Final = 1000
"""Sequences of one query: the index finds them, whatever partitions they are in."""
_PREFETCH: Final = 32
"""Rows in memory at a time; the largest is a megabyte."""
_SEALS: Final = 16
_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


class Extent(msgspec.Struct, frozen=True):
    """From where to where the audit goes; 0 and 0 when it is empty."""

    lowest: int
    highest: int
    others: int
    """Rows of streams that are not the log."""
    other: str

    @property
    def empty(self) -> bool:
        """Whether there is no row at all."""
        return self.lowest == self.highest == 0


class Reader:
    """The audit at one moment: what is written meanwhile is not seen."""

    def __init__(self, connection: Connection) -> None:
        """Made by `reading`."""
        self._connection = connection

    async def extent(self) -> Extent:
        """Return how far it goes."""
        row = (await self.fetch(statement("audit_extent"), LOG.name))[0]
        return Extent(row["lowest"] or 0, row["highest"] or 0, row["others"], row["other"] or "")

    async def head(self) -> Seal | None:
        """Return the newest sealed range."""
        rows = await self.fetch(statement("last_seal"), LOG.name)
        return _seal(rows[0]) if rows else None

    async def seals(self, after: int = 0) -> AsyncGenerator[Seal, None]:
        """Yield the sealed ranges after a number, in order."""
        while rows := await self.fetch(statement("seals_after"), LOG.name, after, _SEALS):
            for row in rows:
                yield _seal(row)
            after = rows[-1]["number"]

    async def rows(self, first: int, last: int) -> AsyncGenerator[Kept, None]:
        """Yield the rows of a range in the order of the log, with their payloads."""
        sql = statement("audit_rows")
        for start in range(first, last + 1, WINDOW):
            with _told():
                cursor = self._connection.cursor(
                    sql, LOG.name, start, min(start + WINDOW - 1, last), True, prefetch=_PREFETCH
                )
                async for row in cursor:
                    yield kept(dict(row))

    async def takes_json(self, text: str) -> bool:
        """Tell whether PostgreSQL can hold a text as JSON."""
        try:
            async with self._connection.transaction():
                await self._connection.execute("SELECT $1::text::jsonb", text)
        except (asyncpg.DataError, asyncpg.ProgramLimitExceededError, asyncpg.StatementTooComplexError):
            return False
        return True

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """Run a query. Raises UnavailableError."""
        with _told():
            return list(await self._connection.fetch(sql, *arguments))


def query(name: str) -> str:
    """Return a query of this package."""
    return files("kubernaut.audit").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


@asynccontextmanager
async def reading(dsn: str) -> AsyncIterator[Reader]:
    """Connect to the audit and hold on to this moment of it. Raises UnavailableError when it is not there."""
    connection = await connect(
        dsn, application="kubernaut-audit", seconds=CONNECT_SECONDS, default_transaction_read_only="on"
    )
    try:
        with _told():
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
        yield Reader(connection)
    finally:
        connection.terminate()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except asyncpg.UndefinedTableError as error:
        raise UnavailableError(
            f"the database has no audit of this version ({error}); `python -m kubernaut.install` makes its tables"
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise UnavailableError(f"the audit may not be read so: {error}; log in as kubernaut_reader") from error
    except (*_ERRORS, ValueError) as error:
        raise UnavailableError(f"the audit cannot be read: {error or type(error).__name__}") from error


def _seal(row: Any) -> Seal:
    return Seal(**{name: row[name] for name in Seal.__struct_fields__})
