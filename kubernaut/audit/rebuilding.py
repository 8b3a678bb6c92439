"""`kubernaut audit rebuild`: the database made again, from the log or from an export.

What is there and good is left as it is: only rows that are missing are added, and only rows that are proven bad are
replaced. A row that contradicts nothing, where the source holds another message, is never touched: then it is the
wrong log, or the wrong database, and nothing further is done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec

from auditor import chain
from auditor.apply import apply
from auditor.archive import Kept, flaw
from auditor.chain import Seal
from auditor.database import connect
from auditor.ports import Entry
from auditor.records import leaf
from auditor.seal_store import PostgresSeals
from kubernaut.audit.reader import CONNECT_SECONDS, Reader, query
from kubernaut.audit.sources import Source
from runtime.errors import RefusedError, UnavailableError
from schemas.subjects import LOG

if TYPE_CHECKING:
    from auditor.database import Connection

_FORGET: Final = query("forget_rows")
_FORGET_IDENTITIES: Final = query("forget_identities")
_FORGET_SEALS: Final = "DELETE FROM audit_seal WHERE stream = $1 AND number >= $2"


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    added: int = 0
    replaced: int = 0
    good: int = 0
    """Rows that were there and were left as they are."""
    seals: int = 0
    """Sealed ranges that were added."""

    def __add__(self, other: Rebuilt) -> Rebuilt:
        """Add up."""
        return Rebuilt(
            added=self.added + other.added,
            replaced=self.replaced + other.replaced,
            good=self.good + other.good,
            seals=self.seals + other.seals,
        )


async def rebuild(dsn: str, source: Source, first: int, last: int, *, tell: Callable[[int, int], None]) -> Rebuilt:
    """Make the rows from `first` to `last`, then the seals. May be stopped and run again at any time.

    Raises RefusedError, which names the message, when something good would have to be overwritten.
    """
    seals = PostgresSeals(dsn, seconds=60.0)
    done = Rebuilt()
    try:
        async with owner_at(dsn) as connection:
            sealed = await Reader(connection).head()
            proofs = _Proofs(Reader(connection), sealed.number if sealed else 0)
            async for entries in source.batches(first, last):
                done += await _batch(connection, seals, proofs, entries, source.name)
                tell(entries[-1].row.stream_sequence, last)
            done += await _seals(connection, seals, source)
    finally:
        await seals.close()
    return done


@asynccontextmanager
async def owner_at(dsn: str) -> AsyncIterator[Connection]:
    """Connect as somebody who may delete rows. Raises UnavailableError."""
    connection = await connect(dsn, application="kubernaut-audit-rebuild", seconds=CONNECT_SECONDS, lock_timeout="10s")
    try:
        try:
            yield connection
        finally:
            connection.terminate()
    except asyncpg.InsufficientPrivilegeError as error:
        raise RefusedError(
            f"{error}; rebuild as the owner of the tables, kubernaut_owner: the auditor's role may only add"
        ) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise UnavailableError(f"the database cannot be rebuilt: {error or type(error).__name__}") from error


class _Proofs:
    """The digests that the seals in the database have, as far as a source agrees with them."""

    def __init__(self, reader: Reader, number: int) -> None:
        self._reader = reader
        self._seals = reader.seals() if number else None
        self._seal: Seal | None = None

    async def proves(self, sequence: int, digest: bytes) -> bool:
        """Tell whether a seal says that this is what stands there. Asked in rising order."""
        while self._seals is not None and (self._seal is None or self._seal.to_sequence < sequence):
            self._seal = await anext(self._seals, None)
            if self._seal is None:
                self._seals = None
        found = self._seal
        return found is not None and sequence >= found.from_sequence and found.leaf_at(sequence) == digest


async def _batch(
    connection: Connection, seals: PostgresSeals, proofs: _Proofs, entries: Sequence[Entry], source: str
) -> Rebuilt:
    places = {entry.row.stream_sequence: entry for entry in entries}
    there: dict[int, list[Kept]] = {}
    async with connection.transaction():
        async for one in Reader(connection).rows(min(places), max(places)):
            there.setdefault(one.sequence, []).append(one)
    bad: list[int] = []
    good: list[int] = []
    for sequence, entry in places.items():
        kept, digest = there.get(sequence, []), leaf(entry.row.record)
        if len(kept) == 1 and kept[0].leaf == digest and not flaw(kept[0]) and not _lacks_body(kept[0], entry):
            good.append(sequence)
        elif kept:
            await _may_replace(kept, entry, digest, proofs, source)
            bad.append(sequence)
    wanted = [entry for sequence, entry in places.items() if sequence not in set(good)]
    async with connection.transaction():
        await connection.execute(_FORGET, LOG.name, bad)
        await connection.execute(_FORGET_IDENTITIES, [entry.row.event_key for entry in wanted])
    if wanted:
        await apply(seals, wanted)
    return Rebuilt(added=len(wanted) - len(bad), replaced=len(bad), good=len(good))


def _lacks_body(one: Kept, entry: Entry) -> bool:
    # One that PostgreSQL cannot hold as JSON is stored once more, which changes nothing.
    return one.kept_in == "message" and one.body is None and entry.row.is_json


async def _may_replace(kept: Sequence[Kept], entry: Entry, digest: bytes, proofs: _Proofs, source: str) -> None:
    """Raise RefusedError unless what stands there is proven bad, or is the same event with another content."""
    same_event = all(one.event_key == entry.row.event_key for one in kept)
    contradicts = any(flaw(one) for one in kept) or len(kept) > 1
    if same_event or contradicts or await proofs.proves(entry.row.stream_sequence, digest):
        return
    raise RefusedError(
        f"message {entry.row.stream_sequence} is another one in {source} than in the database, and nothing says that "
        "the row in the database is bad: is it the right source? Nothing was changed from there on"
    )


async def _seals(connection: Connection, seals: PostgresSeals, source: Source) -> Rebuilt:
    """Make the seals what the source says; those that contradict it, and all that hang on them, are replaced."""
    added = 0
    reader = Reader(connection)
    known: Any = {each.number: each.digest async for each in _sound(reader)}
    head = await seals.head(LOG.name)
    if head is not None and head.number not in known:
        # The first that contradicts itself, and all that hang on it.
        await connection.execute(_FORGET_SEALS, LOG.name, max(known, default=0) + 1)
    async for seal in source.seals(seals):
        if seal.number in known:
            if known[seal.number] == seal.digest:
                continue
            await connection.execute(_FORGET_SEALS, LOG.name, seal.number)
            known = {number: digest for number, digest in known.items() if number < seal.number}
        if chain.flaw(await seals.head(LOG.name), seal):
            break  # `audit verify`, which comes next, says what is wrong with it
        if await seals.add(seal):
            known[seal.number] = seal.digest
            added += 1
    return Rebuilt(seals=added)


async def _sound(reader: Reader) -> AsyncIterator[Seal]:
    """Yield the seals up to the first that contradicts itself or the one before it."""
    before: Seal | None = None
    async for seal in reader.seals():
        if chain.flaw(before, seal) or (before is None and seal.number != 1):
            return
        yield seal
        before = seal
