"""What the audit holds, straight from PostgreSQL, beside what the log holds."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import Final

import asyncpg
import msgspec

from auditor.database import Connection, connect
from runtime.errors import UnavailableError
from runtime.ports import Log
from schemas.subjects import LOG

CALL_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.2
_EVERYTHING: Final = ">"


class AuditCount(msgspec.Struct, frozen=True, kw_only=True):
    """Messages by type in the audit, and in the log."""

    by_type: tuple[tuple[str, int], ...]
    in_log: int
    """Nothing can be deleted from the log, so that its last sequence is their number."""

    @property
    def in_audit(self) -> int:
        """All rows together."""
        return sum(count for _, count in self.by_type)

    @property
    def complete(self) -> bool:
        """Whether the audit holds each message of the log."""
        return self.in_audit == self.in_log


async def count(log: Log, database_url: str, *, patience: float) -> AuditCount:
    """Count both; the audit gets `patience` seconds to catch up. Raises UnavailableError."""
    query = (files("kubernaut.cli") / "sql" / "count_messages.sql").read_text(encoding="utf-8")
    try:
        connection = await connect(database_url, application="kubernaut-count", seconds=CALL_SECONDS)
        try:
            return await _settled(log, connection, query, patience)
        finally:
            await connection.close(timeout=CALL_SECONDS)
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise UnavailableError(f"PostgreSQL does not answer: {error!r}") from error


async def _settled(log: Log, connection: Connection, query: str, patience: float) -> AuditCount:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        last = await log.last(LOG.name, _EVERYTHING)
        rows = await connection.fetch(query, LOG.name, timeout=CALL_SECONDS)
        counted = AuditCount(
            by_type=tuple((row["type"], row["messages"]) for row in rows), in_log=last.sequence if last else 0
        )
        if counted.complete or loop.time() >= deadline:
            return counted
        await asyncio.sleep(_PAUSE_SECONDS)
