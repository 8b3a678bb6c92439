"""`kubernaut audit verify`: whether anything is missing or was changed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from kubernaut.audit.from_log import witness
from kubernaut.audit.reader import reading
from kubernaut.audit.verifying import Verdict, Verifying
from kubernaut.cli.audit import both, database_of, log_of, maybe_log
from kubernaut.cli.audit_progress import Progress
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import explained
from schemas import durations

UNSOUND: Final = 1
"""Exit code when anything was found."""
_END: Final = 2**62


@click.command(
    cls=Exemplary,
    examples=(
        ("audit verify", "the whole audit, against its seals and against the log"),
        ("audit verify --file audit.ndjson --expect 812:9f86d0…", "a copy, by somebody who has only that"),
    ),
)
@click.option("--from", "first", type=int, default=1, metavar="SEQ", help="First sequence whose row is looked at.")
@click.option("--to", "last", type=int, default=_END, show_default=False, metavar="SEQ", help="Last one.")
@click.option("--file", "file", type=click.Path(dir_okay=False, path_type=Path), help="Verify an export instead.")
@click.option("--expect", metavar="NUMBER:DIGEST", help="A seal that you wrote down earlier; it must be there.")
@click.option("--no-log", is_flag=True, help="Do not compare with the log.")
@click.option("--wait", metavar="DURATION", default="10s", help="For the auditor to catch up (10s).")
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="The verdict as JSON.")
@both
@explained
def verify(*, file: Path | None, form: str | None, expect: str | None, **options: Any) -> None:
    """Prove that the audit holds every message of the log, each as it was, or name the first that is not so.

    Exit code 0 when nothing is wrong, 1 when anything is.
    """
    known = parse_seal(expect)
    if file is not None:
        from kubernaut.audit.export_file import verify_file  # noqa: PLC0415 - for this question only

        with Progress() as progress:
            verdict = verify_file(file, known=known, tell=progress)
    else:
        verdict = asyncio.run(_verify(options, known))
    as_json = msgspec.to_builtins(verdict) | {"sound": verdict.sound}
    click.echo(json.dumps(as_json) if form else "\n".join(told(verdict)))
    sys.exit(0 if verdict.sound else UNSOUND)


async def _verify(options: dict[str, Any], known: tuple[int, str] | None) -> Verdict:
    async with maybe_log(None if options["no_log"] else log_of(options)) as log:
        seen = None if log is None else await witness(log, patience=seconds(options["wait"]))
        async with reading(database_of(options)) as reader:
            with Progress() as progress:
                verifying = Verifying(reader, seen, tell=progress)
                return await verifying.verify(max(options["first"], 1), options["last"], known)


def told(verdict: Verdict) -> list[str]:
    """Return the verdict in lines for people; the first bad row comes first."""
    lines = [f"BAD  {each.sequence}: {each.what}" for each in verdict.findings]
    if verdict.found > len(verdict.findings):
        lines.append(f"BAD  … and {verdict.found - len(verdict.findings)} more")
    lines += [f"note: {note}" for note in verdict.notes]
    looked = f"{verdict.messages} messages up to sequence {verdict.last}, {verdict.ranges} sealed ranges"
    lines.append(f"audit sound: {looked}" if verdict.sound else f"audit NOT sound: {verdict.found} findings; {looked}")
    if verdict.number:
        lines.append(f"newest seal, to write down elsewhere: {verdict.number}:{verdict.digest}")
    return lines


def parse_seal(text: str | None) -> tuple[int, str] | None:
    """Return number and digest of a seal that was written down. Raises click.BadParameter."""
    if text is None:
        return None
    number, _, digest = text.partition(":")
    if not number.isdecimal() or not digest:
        what = f"{text!r} is no seal; write NUMBER:DIGEST as `audit verify` shows"
        raise click.BadParameter(what, param_hint="--expect")
    return int(number), digest


def seconds(text: str) -> float:
    """Return a duration in seconds. Raises click.BadParameter."""
    try:
        return durations.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--wait") from None
