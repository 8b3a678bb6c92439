"""Reads from the log what a batch needs beyond its own messages: the definitions of the workflows that it finishes.

Read from the log rather than remembered or looked up in the database, because the log has the change before any
decision on it, whoever handles which message and in whatever order messages are delivered again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from auditor import reports
from auditor.ports import Entry
from auditor.reports import Definition
from schemas import subjects
from schemas.messages import TYPE_OF, WorkflowChanged
from schemas.redaction import redact_json

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from auditor.rows import Row
    from runtime.ports import Log
    from schemas.messages import Decision

_SIDE_BY_SIDE: Final = 16
_WORKFLOW_CHANGED: Final = TYPE_OF[WorkflowChanged]


async def gather(log: Log, rows: Sequence[Row]) -> list[Entry]:
    """Return what is to be written for these messages. Raises UnavailableError when the log cannot be read."""
    finishing = {row.place: decision for row in rows if (decision := reports.finished(row)) is not None}
    definitions = await _definitions(log, finishing.values())
    entries = []
    for row in rows:
        decision = finishing.get(row.place)
        if decision is None:
            entries.append(Entry(row))
            continue
        defined = definitions[decision.workflow.uid]
        entries.append(Entry(row, reports.report(decision, row.stream_sequence, defined)))
    return entries


async def _definitions(log: Log, decisions: Collection[Decision]) -> dict[str, Definition]:
    """Return what each of these workflows runs, by its uid."""
    room = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def read(uid: str) -> tuple[str, Definition]:
        async with room:
            return uid, await _definition(log, uid)

    # gather and not a TaskGroup: its first error is raised as it is, and the other reads end by themselves.
    return dict(await asyncio.gather(*(read(uid) for uid in {decision.workflow.uid for decision in decisions})))


async def _definition(log: Log, uid: str) -> Definition:
    # Any namespace: the uid comes from the decision's subject, the namespace only from what its body claims.
    message = await log.last(subjects.LOG.name, subjects.workflow_change("*", uid))
    if message is None or message.headers.get("ce-type") != _WORKFLOW_CHANGED:
        return Definition()
    return reports.definition(redact_json(message.data))
