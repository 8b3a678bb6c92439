"""`kubernaut audit export`: a copy of the audit that stands for itself."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final, TextIO

import click

from kubernaut.audit import export_lines
from kubernaut.audit.export_file import export as lines_of
from kubernaut.audit.reader import reading
from kubernaut.cli.audit import database, database_of
from kubernaut.cli.audit_progress import Progress
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import explained

_END: Final = 2**62


@click.command(
    cls=Exemplary,
    examples=(
        ("audit export -f audit.ndjson", "everything, with the seals"),
        ("audit export --from 1000 --to 2000 -o csv", "a part, for a spreadsheet"),
    ),
)
@click.option("--from", "first", type=int, default=1, metavar="SEQ", help="First sequence of the log.")
@click.option("--to", "last", type=int, default=_END, metavar="SEQ", help="Last one.")
@click.option("-o", "--output", "form", type=click.Choice(export_lines.FORMATS), default="ndjson", help="The form.")
@click.option(
    "-f", "--file", "file", type=click.Path(dir_okay=False, path_type=Path), help="Where; else it is printed."
)
@database
@explained
def export(*, file: Path | None, form: str, **options: Any) -> None:
    """Write the audit from one sequence to another, in the order of the log, with the seals over it.

    `kubernaut audit verify --file` proves such a copy without any server; docs/audit.md says how a digest is made, for
    those who want to do it with a program of their own.
    """
    if file is None:
        asyncio.run(_write(sys.stdout, form, options))
        return
    whole = file.with_name(f"{file.name}.part")
    try:
        with whole.open("w", encoding="utf-8", newline="") as text:
            asyncio.run(_write(text, form, options))
        whole.replace(file)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error}") from error
    finally:
        whole.unlink(missing_ok=True)


async def _write(text: TextIO, form: str, options: dict[str, Any]) -> None:
    text.write(export_lines.header(form))
    with Progress() as progress:
        async with reading(database_of(options)) as reader:
            async for line in lines_of(reader, options["first"], options["last"], tell=progress):
                text.write(export_lines.written(line, form))
