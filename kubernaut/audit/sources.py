"""Where a database is made again from: the log, or an export. Both give the same: entries in order, and seals."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, Protocol, cast

from auditor import chain
from auditor.archive import row_of
from auditor.chain import Seal
from auditor.gather import gather
from auditor.ports import Entry
from auditor.rows import Row, read
from auditor.seal_store import PostgresSeals
from kubernaut.audit.export_file import lines_of
from kubernaut.audit.export_lines import message_of, seal_of
from runtime.ports import Log, Stored
from schemas.subjects import CHECKPOINTS, LOG, WORKFLOW_CHANGES

BATCH: Final = 500
_ALL: Final = ">"
_BYTES: Final = 4 * 1024 * 1024


class Source(Protocol):
    """Something to make a database from."""

    name: str

    def batches(self, first: int, last: int) -> AsyncGenerator[list[Entry], None]:
        """Yield what is to be stored, in the order of the log."""
        ...

    def seals(self, store: PostgresSeals) -> AsyncGenerator[Seal, None]:
        """Yield the sealed ranges, in order, once their rows are stored."""
        ...


class FromLog:
    """The log, as far as its retention reaches."""

    name = "the log"

    def __init__(self, log: Log) -> None:
        self._log = log

    async def batches(self, first: int, last: int) -> AsyncGenerator[list[Entry], None]:
        """See `Source.batches`."""
        async with aclosing(self._log.scan(LOG.name, _ALL, start=first)) as messages:
            rows: list[Row] = []
            async for message in messages:
                if message.sequence > last:
                    break
                rows.append(read(message))
                if _enough(rows):
                    yield await gather(self._log, rows)
                    rows = []
            if rows:
                yield await gather(self._log, rows)

    async def seals(self, store: PostgresSeals) -> AsyncGenerator[Seal, None]:
        """See `Source.seals`. The digests of the records are not in the log; they are made of the rows."""
        async with aclosing(self._log.scan(LOG.name, CHECKPOINTS)) as messages:
            async for message in messages:
                told = chain.read(message.data)
                if told is None:
                    continue
                rows = {
                    row.sequence: row.digest
                    for row in await store.leaves(LOG.name, told.from_sequence, told.to_sequence)
                }
                leaves = b"".join(rows.get(each, bytes(32)) for each in range(told.from_sequence, told.to_sequence + 1))
                yield Seal(
                    stream=told.stream,
                    number=told.number,
                    from_sequence=told.from_sequence,
                    to_sequence=told.to_sequence,
                    messages=told.messages,
                    leaves=leaves,
                    previous=told.previous,
                    digest=told.digest,
                    told_at=message.sequence,
                )


class FromFile:
    """An export, which may be older than what the log still holds."""

    def __init__(self, file: Path, database: Any) -> None:
        """`database`: a connection to where the rows go; definitions of finished workflows are read from there."""
        self.name = str(file)
        self._file = file
        self._definitions = _Definitions(database)

    async def batches(self, first: int, last: int) -> AsyncGenerator[list[Entry], None]:
        """See `Source.batches`."""
        rows: list[Row] = []
        for line in lines_of(self._file):
            if line["kind"] != "message" or not first <= line["stream_sequence"] <= last:
                continue
            one = message_of(line)
            rows.append(row_of(one.fields, one.raw or b""))
            if _enough(rows):
                yield await self._definitions.gather(rows)
                rows = []
        if rows:
            yield await self._definitions.gather(rows)

    async def seals(self, store: PostgresSeals) -> AsyncGenerator[Seal, None]:  # noqa: ARG002 - the file has all of it
        """See `Source.seals`."""
        for line in lines_of(self._file):
            if line["kind"] == "checkpoint":
                yield seal_of(line)


class _Definitions:
    """What `gather` asks of the log, answered from what is stored, or is about to be: the last change of a workflow."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._batch: dict[str | None, Row] = {}

    async def gather(self, rows: list[Row]) -> list[Entry]:
        """Return what is to be written for these rows."""
        changes = WORKFLOW_CHANGES.removesuffix(">")
        self._batch = {row.workflow_uid: row for row in rows if row.subject.startswith(changes)}
        return await gather(cast("Log", self), rows)

    async def last(self, stream: str, subject: str) -> Stored | None:
        """Return the last message of a subject of workflow changes with `*` for the namespace."""
        if (found := self._batch.get(subject.rpartition(".")[2])) is not None:
            return _change(stream, subject, found.stream_sequence, found.type, found.raw)
        row = await self._connection.fetchrow(
            "SELECT stream_sequence, type, raw FROM audit_message WHERE stream = $1 AND workflow_uid = $2"
            " AND subject LIKE $3 ORDER BY stream_sequence DESC LIMIT 1",
            stream,
            subject.rpartition(".")[2],
            subject.replace("*", "%"),
        )
        return None if row is None else _change(stream, subject, row["stream_sequence"], row["type"], row["raw"])


def _change(stream: str, subject: str, sequence: int, kind: str, data: bytes) -> Stored:
    return Stored(stream=stream, sequence=sequence, time_ms=0, subject=subject, headers={"ce-type": kind}, data=data)


def _enough(rows: list[Row]) -> bool:
    return len(rows) >= BATCH or sum(len(row.raw) for row in rows) >= _BYTES
