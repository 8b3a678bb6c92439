"""`kubernaut audit query`: what happened, and who did it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final

import click
import msgspec

from kubernaut.audit.finding import Found, Wanted, find, short
from kubernaut.audit.reader import reading
from kubernaut.cli.audit import database, database_of
from kubernaut.cli.events import parse_start
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import explained
from kubernaut.cli.table import columns
from kubernaut.cli.times import clock_time

FORMS: Final = ("table", "json", "ndjson")
_HEADER: Final = ("SEQUENCE", "TIME", "TYPE", "WORKFLOW", "STEP", "PHASE", "ACTOR", "WHAT")


@click.command(
    cls=Exemplary,
    examples=(
        ("audit query --what approved --from 168h", "who approved what in the last week"),
        ("audit query --workflow memory-leak --step 3", "everything about one step"),
        ("audit query --actor alice@example.com -o ndjson --limit 0", "all that she did, for a program"),
    ),
)
@click.option("--workflow", metavar="NAME|UID", help="Of one workflow.")
@click.option("-n", "--namespace", metavar="NAME", help="Of one namespace.")
@click.option("--from", "start", metavar="SEQ|TIME", help="From a sequence, an RFC 3339 time, or 10m (ago) on.")
@click.option("--to", "end", metavar="TIME", help="Up to a time, the time itself not included.")
@click.option("--type", "kind", metavar="TYPE", help="Such as decision, workflow-changed, check-reported.")
@click.option("--step", type=int, metavar="NUMBER", help="About one step.")
@click.option("--what", metavar="CHANGE", help="Decisions that brought it: approved, rejected, started, failed …")
@click.option("--actor", metavar="USER", help="By one person: approvals, freezes.")
@click.option("--limit", type=click.IntRange(0), default=100, metavar="N", help="Most lines (100); 0 for all.")
@click.option("-o", "--output", "form", type=click.Choice(FORMS), default="table", help="For people or programs.")
@database
@explained
def query(*, form: str, limit: int, **options: Any) -> None:
    """Show messages of the audit, in the order of the log, narrowed down by what is given.

    A page that is full says how to get the next one.
    """
    now = time.time_ns() // 1_000_000
    sequence, since = parse_start(options["start"], now)
    wanted = Wanted(
        workflow=options["workflow"],
        namespace=options["namespace"],
        since=since or None,
        until=parse_start(options["end"], now)[1] if options["end"] else None,
        type=options["kind"],
        step=options["step"],
        what=options["what"],
        actor=options["actor"],
    )
    if form == "ndjson":
        asyncio.run(_stream(database_of(options), wanted, sequence - 1, limit))
        return
    found = asyncio.run(_page(database_of(options), wanted, sequence - 1, limit or _ALL))
    if form == "json":
        click.echo(json.dumps([_json(each) for each in found], indent=2, ensure_ascii=False))
        return
    click.echo("\n".join(columns([_HEADER, *map(_row, found)])) if found else "nothing found")
    if limit and len(found) == limit:
        click.echo(f"there may be more: --from {found[-1].sequence + 1}", err=True)


_ALL: Final = 2**31 - 1
_CHUNK: Final = 500


async def _page(dsn: str, wanted: Wanted, after: int, most: int) -> list[Found]:
    async with reading(dsn) as reader:
        return await find(reader, wanted, after=after, most=most)


async def _stream(dsn: str, wanted: Wanted, after: int, limit: int) -> None:
    left = limit or _ALL
    async with reading(dsn) as reader:
        while left and (found := await find(reader, wanted, after=after, most=min(_CHUNK, left))):
            for each in found:
                click.echo(json.dumps(_json(each), ensure_ascii=False))
            after, left = found[-1].sequence, left - len(found)


def _json(found: Found) -> dict[str, Any]:
    body = {name: value for name, value in msgspec.to_builtins(found).items() if value not in (None, [])}
    return body | {"time": clock_time(found.time_ms)}


def _row(found: Found) -> list[str]:
    what = ", ".join(found.transitions) or (found.reason or "")
    where = "/".join(part for part in (found.namespace, found.workflow) if part)
    return [
        str(found.sequence),
        clock_time(found.time_ms),
        short(found.type),
        where,
        str(found.step or ""),
        found.phase or "",
        found.actor or "",
        what,
    ]
