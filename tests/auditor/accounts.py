"""What is in an audit, in one form for the fake and for PostgreSQL."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import asyncpg

from auditor.ports import AuditStore, Experience
from auditor.store import PostgresStore
from tests.auditor.fake_store import Database, FakeStore

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_RUNS = "SELECT workflow_uid, decision_version, definition_name, phase FROM workflow_run ORDER BY 1"
_STEPS = "SELECT workflow_uid, step_number, action, status FROM step_run ORDER BY 1, 2"


class Store(AuditStore, Experience, Protocol):
    """Both ports, as the store of a process has them."""


class Audit(Protocol):
    """An audit that a test makes stores on and looks into."""

    def store(self) -> Store:
        """Return the store of one process."""
        ...

    async def accounted(self) -> list[tuple[int, str]]:
        """Return each sequence with the kind of table that keeps it, in order."""
        ...

    async def runs(self) -> list[tuple[str, int, str | None, str]]:
        """Return uid, version, definition and phase of each finished workflow."""
        ...

    async def steps(self) -> list[tuple[str, int, str | None, str]]:
        """Return uid, number, action and status of each of their steps."""
        ...


class FakeAudit:
    """In memory."""

    def __init__(self) -> None:
        self.database = Database()

    def store(self) -> FakeStore:
        """See `Audit.store`."""
        return FakeStore(self.database)

    async def accounted(self) -> list[tuple[int, str]]:
        """See `Audit.accounted`."""
        known = self.database
        kinds = (("message", known.messages), ("repeat", known.repeats), ("quarantine", known.quarantined))
        return sorted((place[2], kind) for kind, places in kinds for place in places)

    async def runs(self) -> list[tuple[str, int, str | None, str]]:
        """See `Audit.runs`."""
        runs = self.database.runs.values()
        return sorted((run.workflow_uid, run.decision_version, run.definition_name, run.phase) for run in runs)

    async def steps(self) -> list[tuple[str, int, str | None, str]]:
        """See `Audit.steps`."""
        steps = self.database.steps.values()
        return sorted((step.workflow_uid, step.step_number, step.action, step.status) for step in steps)


class RealAudit:
    """In PostgreSQL."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._stores: list[PostgresStore] = []

    def store(self) -> PostgresStore:
        """See `Audit.store`."""
        self._stores.append(PostgresStore(self.dsn))
        return self._stores[-1]

    async def close(self) -> None:
        """Close every store that was made."""
        for store in self._stores:
            await store.close()

    async def accounted(self) -> list[tuple[int, str]]:
        """See `Audit.accounted`."""
        rows = await self._fetch("SELECT stream_sequence, kept_in FROM audit_accounted ORDER BY 1, 2")
        return [(row[0], row[1]) for row in rows]

    async def runs(self) -> list[tuple[str, int, str | None, str]]:
        """See `Audit.runs`."""
        return [(row[0], row[1], row[2], row[3]) for row in await self._fetch(_RUNS)]

    async def steps(self) -> list[tuple[str, int, str | None, str]]:
        """See `Audit.steps`."""
        return [(row[0], row[1], row[2], row[3]) for row in await self._fetch(_STEPS)]

    async def _fetch(self, query: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()
