"""The seals in PostgreSQL, and the rows that they are made over. Decides nothing about what is sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from auditor.archive import kept
from auditor.chain import TYPE, Seal
from auditor.sealing import Leaf
from auditor.sql_files import statement
from auditor.store import PostgresStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditor.database import Connection

_SEAL: Final = Seal.__struct_fields__
_MOST_NAMED: Final = 100
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('kubernaut.audit.seals', 0))"
"""Two auditors must not both find that theirs is the next one."""


class Extent(msgspec.Struct, frozen=True):
    """How far the audit goes."""

    held: int
    """Sequences of the range that was asked for."""
    lowest: int
    highest: int


class Seals(Protocol):
    """Where the seals are kept. Each call has a time limit of its own and raises UnavailableError."""

    async def head(self, stream: str) -> Seal | None:
        """Return the newest sealed range."""
        ...

    async def leaves(self, stream: str, first: int, last: int) -> Sequence[Leaf]:
        """Return the digests of the rows of a range, in order."""
        ...

    async def extent(self, stream: str, first: int, last: int) -> Extent:
        """Return how much of a range the audit holds, and how far what lies from `first` on reaches."""
        ...

    async def missing(self, stream: str, first: int, last: int) -> list[int]:
        """Return the first sequences of a range, at most 100, that the audit does not hold."""
        ...

    async def add(self, made: Seal) -> bool:
        """Store a sealed range; False when it is not the next one. Raises BadDataError when it is none."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class PostgresSeals(PostgresStore):
    """`Seals` on PostgreSQL, with a connection of its own."""

    async def head(self, stream: str) -> Seal | None:
        """See `Seals.head`."""

        async def work(connection: Connection) -> Seal | None:
            row = await connection.fetchrow(_HEAD, stream)
            return None if row is None else Seal(**{name: row[name] for name in _SEAL})

        return await self._transaction(work)

    async def leaves(self, stream: str, first: int, last: int) -> list[Leaf]:
        """See `Seals.leaves`."""

        async def work(connection: Connection) -> list[Leaf]:
            rows = await connection.fetch(_ROWS, stream, first, last, False)
            found = (kept(dict(row)) for row in rows)
            return [Leaf(each.sequence, each.leaf, each.fields["type"] == TYPE) for each in found]

        return await self._transaction(work)

    async def extent(self, stream: str, first: int, last: int) -> Extent:
        """See `Seals.extent`."""

        async def work(connection: Connection) -> Extent:
            row = await connection.fetchrow(_EXTENT, stream, first, last)
            return Extent(row["held"], row["lowest"] or 0, row["highest"] or 0) if row else Extent(0, 0, 0)

        return await self._transaction(work)

    async def missing(self, stream: str, first: int, last: int) -> list[int]:
        """See `Seals.missing`."""

        async def work(connection: Connection) -> list[int]:
            return [row["sequence"] for row in await connection.fetch(_MISSING, stream, first, last, _MOST_NAMED)]

        return await self._transaction(work)

    async def add(self, made: Seal) -> bool:
        """See `Seals.add`."""

        async def work(connection: Connection) -> bool:
            await connection.execute(_LOCK)
            values = [getattr(made, name) for name in _SEAL]
            return (await connection.execute(_INSERT, *values)).endswith(" 1")

        return await self._transaction(work, "commit.seal")


_HEAD: Final = statement("last_seal")
_ROWS: Final = statement("audit_rows")
_EXTENT: Final = statement("stored_sequences")
_MISSING: Final = statement("missing_sequences")
_INSERT: Final = statement("insert_seal")
