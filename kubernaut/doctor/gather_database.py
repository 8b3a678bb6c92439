"""Asks PostgreSQL: the server, the tables, how far the audit and its seals go. SELECTs only, in one transaction.

What this role may not read is not even tried: an error would end the transaction, and hide the rest.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Collection
from importlib.resources import files
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from auditor.database import in_plain
from auditor.newest import Newest
from auditor.sql_files import statement
from kubernaut.audit.reader import Reader, reading
from kubernaut.doctor.facts import DatabaseFacts
from kubernaut.doctor.finding import Unlooked
from kubernaut.doctor.looking import looked
from schemas.subjects import CHECKPOINTS, LOG

T = TypeVar("T")
TABLES: Final = (
    "audit_migration",
    "audit_identity",
    "audit_message",
    "audit_repeat",
    "audit_quarantine",
    "audit_seal",
    "audit_accounted",
    "workflow_run",
    "step_run",
)
WRITES: Final = {
    "audit_identity": ("SELECT", "INSERT"),
    "audit_message": ("SELECT", "INSERT"),
    "audit_repeat": ("SELECT", "INSERT"),
    "audit_quarantine": ("SELECT", "INSERT"),
    "audit_seal": ("SELECT", "INSERT"),
    "workflow_run": ("SELECT", "INSERT", "UPDATE"),
    "step_run": ("SELECT", "INSERT", "UPDATE"),
}
"""What the auditor does with each table (auditor/sql/grants.sql; a test holds the two together)."""
PRIVILEGES: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
_STORED: Final = ("audit_message", "audit_repeat", "audit_quarantine")
_PARTITION: Final = "audit_message_"


async def gather_database(dsn: str, *, seconds: float) -> DatabaseFacts | Unlooked:
    """Look at PostgreSQL, `seconds` at most."""
    return await looked(_connected(dsn), seconds)


async def _connected(dsn: str) -> DatabaseFacts:
    async with reading(dsn) as reader:
        before = time.time()
        server = (await reader.fetch(_query("server")))[0]
        ahead = server["now"] - (before + time.time()) / 2
        relations = await reader.fetch(_query("relations"), list(TABLES))
        seen = {row["name"]: row["readable"] for row in relations}
        may = {name for name, readable in seen.items() if readable}
        sealed = await _if(may, ("audit_seal",), _sealed(reader))
        return DatabaseFacts(
            address=address(dsn),
            version=server["version"],
            settings={"fsync": server["fsync"], "full_page_writes": server["full_page_writes"]},
            role=server["role"],
            bytes=server["bytes"],
            ahead_seconds=ahead,
            applied=await _applied(reader, seen),
            unreadable=tuple(name for name in TABLES if name in seen and name not in may),
            in_plain=in_plain(dsn, os.environ),
            **await _writer(reader),
            months=tuple(row["name"].removeprefix(_PARTITION) for row in relations if row["partition"]),
            next_month=server["next_month"],
            newest=await _if(may, _STORED, _newest(reader)),
            sealed=sealed,
            unsealed_seconds=await _unsealed(reader, may, sealed),
            **await _odd(reader, may),
        )


async def _writer(reader: Reader) -> dict[str, Any]:
    rows = await reader.fetch(_query("writer"), list(WRITES), list(PRIVILEGES))
    lacks: list[str] = []
    exceeds: list[str] = []
    for row in rows:
        wanted = row["privilege"] in WRITES[row["table_name"]]
        if wanted != row["allowed"]:
            (lacks if wanted else exceeds).append(f"{row['privilege']} {row['table_name']}")
    there = any(row["allowed"] for row in rows)  # roles are of the server: it may be another database's
    return {"writer": there, "writer_lacks": tuple(lacks), "writer_exceeds": tuple(exceeds)}


def address(dsn: str) -> str:
    """Return host, port and database, without user and password."""
    parts = urlsplit(dsn)
    return f"{parts.hostname or 'local socket'}:{parts.port or 5432}{parts.path}"


def _query(name: str) -> str:
    return files("kubernaut.doctor").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


async def _if(may: Collection[str], tables: Collection[str], look: Awaitable[T]) -> T | Unlooked:
    closed = [name for name in tables if name not in may]
    if not closed:
        return await look
    if hasattr(look, "close"):
        look.close()  # a coroutine that nobody awaits would complain
    return Unlooked(f"this role sees no {', '.join(closed)}, or may not read it")


async def _applied(reader: Reader, seen: dict[str, bool]) -> dict[int, tuple[str, str]] | Unlooked:
    """Return what was applied; nothing where there is no table of it, which is a database without an audit."""
    if "audit_migration" not in seen:
        return {}
    if not seen["audit_migration"]:
        return Unlooked("this role may not read audit_migration")
    rows = await reader.fetch(statement("applied_migrations"))
    return {row["number"]: (row["name"], row["checksum"]) for row in rows}


async def _newest(reader: Reader) -> Newest:
    rows = await reader.fetch(statement("newest_message"), LOG.name)
    return Newest(rows[0]["stream_sequence"], rows[0]["event_id"]) if rows else Newest()


async def _sealed(reader: Reader) -> int:
    head = await reader.head()
    return head.to_sequence if head else 0


async def _unsealed(reader: Reader, may: Collection[str], sealed: int | Unlooked) -> float | Unlooked:
    if isinstance(sealed, Unlooked):
        return sealed

    async def look() -> float:
        rows = await reader.fetch(_query("unsealed"), LOG.name, sealed, CHECKPOINTS)
        return float(rows[0]["seconds"])

    return await _if(may, ("audit_message",), look())


async def _odd(reader: Reader, may: Collection[str]) -> dict[str, Any]:
    async def look() -> dict[str, Any]:
        row = (await reader.fetch(_query("odd")))[0]
        return {"quarantined": row["quarantined"], "repeated": row["repeated"]}

    found = await _if(may, ("audit_quarantine", "audit_repeat"), look())
    return {"quarantined": found, "repeated": found} if isinstance(found, Unlooked) else found
