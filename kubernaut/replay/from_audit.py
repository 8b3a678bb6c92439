"""Reads a recorded run from the audit, past the log's retention. SELECTs only; the one place for asyncpg here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec

from auditor.database import connect
from kubernaut.replay.from_log import foreign_causes
from kubernaut.replay.recording import Recording, RecordingError
from runtime.errors import UnavailableError
from runtime.ports import Stored
from schemas import subjects
from schemas.cloudevents import JSON, MESSAGE_ID, SPEC_VERSION

if TYPE_CHECKING:
    from auditor.database import Connection

_CONNECT_SECONDS: Final = 5.0
_QUERY_SECONDS: Final = 60.0
_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_ATTRIBUTES: Final = {
    "type": "ce-type",
    "source": "ce-source",
    "correlation_id": "ce-correlationid",
    "causation_id": "ce-causationid",
    "traceparent": "ce-traceparent",
}


class Audit:
    """The audit, for reading. Raises UnavailableError when it cannot be read."""

    def __init__(self, connection: Connection) -> None:
        """Made by `audit_at`."""
        self._connection = connection

    async def record(self, uid: str) -> Recording:
        """Read everything that is kept of a run. Raises RecordingError when nothing was decided about it."""
        rows = await self._rows("run_messages", uid)
        found = {stored.sequence: stored for row in rows if (stored := _stored(row)).stream == subjects.LOG.name}
        decisions = [each for each in found.values() if each.subject == subjects.decision(uid)]
        if not decisions:
            raise RecordingError(f"the audit holds no decision about run {uid}")
        wanted = sorted({cause.sequence for cause in foreign_causes(decisions)} - found.keys())
        others = await self._rows("messages_at", wanted) if wanted else []
        found |= {stored.sequence: stored for row in others if (stored := _stored(row)).stream == subjects.LOG.name}
        missing = len(set(wanted) - found.keys())
        changed = sum(1 for row in [*rows, *others] if row["redacted"])
        notes = ["read from the audit, which keeps neither wake-ups nor public events"]
        notes += [f"{missing} messages that decisions were made of are not in the audit"] if missing else []
        notes += [f"{changed} messages were redacted on their way into the audit"] if changed else []
        return Recording(uid=uid, messages=tuple(found[each] for each in sorted(found)), notes=tuple(notes))

    async def uid_of(self, name: str, namespace: str | None) -> str:
        """Return the uid of the newest run with a name. Raises RecordingError."""
        rows = await self._rows("run_by_name", name, namespace)
        if not rows:
            raise RecordingError(
                f"the audit knows no workflow {name}" + (f" in namespace {namespace}" if namespace else "")
            )
        if len(rows) > 1:
            spaces = ", ".join(sorted(row["workflow_namespace"] for row in rows))
            raise RecordingError(f"{name} is in several namespaces ({spaces}); name one with -n")
        return str(rows[0]["workflow_uid"])

    async def every_run(self) -> list[str]:
        """Return the uids of all runs, in the order of their last decisions."""
        return [str(row["workflow_uid"]) for row in await self._rows("every_run")]

    async def _rows(self, name: str, *arguments: Any) -> list[Any]:
        text = files("kubernaut.replay").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
        try:
            return list(await self._connection.fetch(text, *arguments, timeout=_QUERY_SECONDS))
        except _ERRORS as error:
            raise UnavailableError(f"the audit cannot be read: {error or type(error).__name__}") from error


@asynccontextmanager
async def audit_at(dsn: str) -> AsyncIterator[Audit]:
    """Connect to the audit. Raises UnavailableError when it is not there."""
    connection = await connect(
        dsn, application="kubernaut-replay", seconds=_CONNECT_SECONDS, default_transaction_read_only="on"
    )
    try:
        yield Audit(connection)
    finally:
        connection.terminate()


def _stored(row: Any) -> Stored:
    """Return a row as the message that it was: the server's own headers are not kept, and nothing needs them."""
    headers = {
        MESSAGE_ID: row["event_id"],
        "ce-specversion": SPEC_VERSION,
        "ce-id": row["event_id"],
        "content-type": JSON,
    }
    headers |= {header: row[column] for column, header in _ATTRIBUTES.items() if row[column]}
    if row["headers"]:
        headers |= msgspec.json.decode(row["headers"], type=dict[str, str])
    return Stored(
        stream=row["stream"],
        sequence=row["stream_sequence"],
        time_ms=row["time_ms"],
        subject=row["subject"],
        headers=headers,
        data=row["raw"],
    )
