"""What the audit still knows of runs whose log was lost, as the messages that the log held. Reads only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import asyncpg

from auditor.database import connect
from auditor.sql_files import statement
from runtime.errors import UnavailableError
from schemas.cloudevents import Event
from schemas.messages import TYPE_OF, Decision, WorkflowChanged
from schemas.subjects import LOG

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAST: Final = statement("last_of_runs")
_CONNECT_SECONDS: Final = 5.0
_TYPES: Final = (TYPE_OF[Decision], TYPE_OF[WorkflowChanged])


async def last_of_runs(dsn: str, uids: Sequence[str]) -> list[Event]:
    """Return the last decision and the last whole object of each of these workflows. Raises UnavailableError."""
    try:
        connection = await connect(dsn, application="kubernaut-recover", seconds=_CONNECT_SECONDS)
        try:
            rows = await connection.fetch(_LAST, LOG.name, list(uids), *_TYPES)
        finally:
            connection.terminate()
    except asyncpg.UndefinedTableError:
        return []
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise UnavailableError(f"PostgreSQL cannot be reached: {error or type(error).__name__}") from error
    return [_event(row) for row in rows]


def _event(row: asyncpg.Record) -> Event:
    headers = json.loads(row["headers"] or "{}")
    return Event(
        subject=row["subject"],
        id=row["event_id"],
        type=row["type"],
        source=row["source"],
        data=row["raw"],
        correlation_id=row["correlation_id"] or "",
        causation_id=row["causation_id"] or "",
        traceparent=row["traceparent"] or "",
        extensions={name[3:]: value for name, value in headers.items() if name.startswith("ce-")},
    )
