"""Writes a batch so that what cannot be stored never keeps the rest of it from being stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.ports import AuditStore, BadDataError, Entry, Written

if TYPE_CHECKING:
    from collections.abc import Sequence


async def apply(store: AuditStore, entries: Sequence[Entry]) -> Written:
    """Store the entries and return what was added. Raises UnavailableError, and then all of them must be tried again.

    One transaction when all is well. A batch that is refused for its data is halved until the entry is found that is
    to blame; that one is stored without what PostgreSQL will not take. Each part is a transaction of its own: nothing
    is acknowledged before all of them are through, and storing an entry again does nothing.
    """
    distinct = {entry.row.place: entry for entry in entries}
    return await _write(store, list(distinct.values()))


async def _write(store: AuditStore, entries: Sequence[Entry]) -> Written:
    if not entries:
        return Written()
    try:
        return await store.write(entries)
    except BadDataError as error:
        if len(entries) == 1:
            return await _write_less(store, entries[0], error)
    middle = len(entries) // 2
    return await _write(store, entries[:middle]) + await _write(store, entries[middle:])


async def _write_less(store: AuditStore, entry: Entry, error: BadDataError) -> Written:
    """Store a refused entry with ever less of it: without its report, its body, and last of all as bytes only."""
    lesser = [Entry(entry.row.without_body())]
    if entry.report is not None:
        lesser.insert(0, Entry(entry.row))
    for less in lesser:
        try:
            return await store.write([less])
        except BadDataError as refused:
            error = refused
    return await store.quarantine(entry.row, str(error))
