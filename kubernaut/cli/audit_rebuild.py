"""`kubernaut audit rebuild`: the way back when the database is gone, damaged, or an older copy."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import click

from auditor.migrations import migrate
from auditor.sql_files import MigrationChangedError
from kubernaut.audit.from_log import witness
from kubernaut.audit.reader import reading
from kubernaut.audit.rebuilding import Rebuilt, owner_at
from kubernaut.audit.rebuilding import rebuild as rebuild_from
from kubernaut.audit.sources import FromFile, FromLog
from kubernaut.audit.verifying import Verdict, Verifying
from kubernaut.cli.audit import both, database_of, log_of, maybe_log
from kubernaut.cli.audit_progress import Progress
from kubernaut.cli.audit_verify import UNSOUND, told
from kubernaut.cli.connection import NoClusterError
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import explained
from runtime.ports import Log

_END: Final = 2**62


@click.command(
    cls=Exemplary,
    examples=(
        ("audit rebuild", "what the log holds, into an empty, damaged or older database"),
        ("audit rebuild --file audit.ndjson", "first what an export holds, then the log"),
    ),
)
@click.option("--file", "files", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--from", "first", type=int, default=1, metavar="SEQ", help="First sequence of the log.")
@click.option("--to", "last", type=int, default=_END, metavar="SEQ", help="Last one.")
@click.option("--no-log", is_flag=True, help="From the files alone.")
@both
@explained
def rebuild(*, files: tuple[Path, ...], **options: Any) -> None:
    """Make the database again from the log, and from exports where the log does not reach back far enough.

    Adds what is missing, replaces what is proven bad, leaves everything good as it is, and ends with `audit verify`.
    Needs the role that owns the tables. Auditors may run meanwhile; it may be stopped and started again at any time.
    """
    done, verdict = asyncio.run(_rebuild(files, options))
    click.echo(
        f"rebuilt: {done.added} rows added, {done.replaced} bad ones replaced, {done.good} good ones left as they "
        f"were, {done.seals} seals added"
    )
    click.echo("\n".join(told(verdict)))
    sys.exit(0 if verdict.sound else UNSOUND)


async def _rebuild(files: tuple[Path, ...], options: dict[str, Any]) -> tuple[Rebuilt, Verdict]:
    dsn, url = database_of(options), None if options["no_log"] else log_of(options)
    if url is None and not files:
        raise NoClusterError("nothing to rebuild from: neither a log (--nats, NATS_URL) nor an export (--file)")
    try:
        await migrate(dsn)
    except MigrationChangedError as error:
        raise click.ClickException(str(error)) from error
    async with maybe_log(url) as log:
        return await remade(dsn, log, files, options["first"], options["last"])


async def remade(
    dsn: str, log: Log | None, files: tuple[Path, ...], first: int = 1, last: int = _END
) -> tuple[Rebuilt, Verdict]:
    """Rebuild from the files, then from the log, then verify."""
    done = Rebuilt()
    with Progress() as progress:
        for file in files:
            async with owner_at(dsn) as connection:
                done += await rebuild_from(dsn, FromFile(file, connection), first, last, tell=progress)
        if log is not None:
            done += await rebuild_from(dsn, FromLog(log), first, last, tell=progress)
        seen = None if log is None else await witness(log, patience=0)
        async with reading(dsn) as reader:
            return done, await Verifying(reader, seen, tell=progress).verify()
