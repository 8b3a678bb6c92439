"""`kubernaut dead-letters`: messages that a service could not handle, and the way back for them."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from kubernaut.cli.connection import find_nats
from kubernaut.cli.dead_letters_desk import REDRIVABLE, DeadLetter, ask, chosen, read
from kubernaut.cli.dead_letters_view import as_json, shown, table
from kubernaut.cli.events import log_at
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import explained
from kubernaut.local.home import DEFAULT_NAME
from runtime.ports import Log
from schemas.nats_users import OPERATOR, READER

_R = TypeVar("_R")
_CONSUMERS = click.Choice(tuple(REDRIVABLE))


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack, when several run."),
        click.option(
            "--nats", "nats_url", metavar="URL", help="NATS server; by default NATS_URL, else the local stack's."
        ),
    ):
        command = option(command)
    return command


@click.group("dead-letters")
def dead_letters() -> None:
    """Messages that a service could not handle: copied whole, with the reason, while all others went on."""


@dead_letters.command(
    "list",
    cls=Exemplary,
    examples=(
        ("dead-letters list", "what waits for somebody to look at it"),
        ("dead-letters list --all -o json", "what was handled at last, too, for programs"),
    ),
)
@click.option("-c", "--consumer", type=_CONSUMERS, help="Only those of one consumer.")
@click.option("-a", "--all", "everything", is_flag=True, help="Those that were handled at last, too.")
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="For programs.")
@_where
@explained
def list_(*, consumer: str | None, everything: bool, form: str | None, nats_url: str | None, stack: str) -> None:
    """List the messages that could not be handled, by the newest letter about each."""
    found = _with_log(nats_url, stack, lambda log: read(log, consumer or "*"))
    wanted = found if everything else [each for each in found if each.state != "handled"]
    if form == "json":
        click.echo(as_json(wanted))
    elif wanted:
        click.echo("\n".join(table(wanted)))
    else:
        more = f"; {len(found)} were handled at last (--all)" if found else ""
        click.echo(f"no dead letters wait{more}")


@dead_letters.command(
    cls=Exemplary, examples=(("dead-letters show 4711", "why it could not be handled, and all of it"),)
)
@click.argument("number", type=int)
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="For programs.")
@_where
@explained
def show(*, number: int, form: str | None, nats_url: str | None, stack: str) -> None:
    """Show one whole: reason, headers, payload. What is secret in it is left out."""
    [letter] = _with_log(nats_url, stack, lambda log: _chosen(log, [number]))
    click.echo(as_json([letter], whole=True) if form == "json" else "\n".join(shown(letter)))


@dead_letters.command(
    cls=Exemplary,
    examples=(
        ('dead-letters redrive 4711 --reason "fixed in 1.4.2"', "the consumer that failed handles it again"),
        ('dead-letters redrive -c bridge --reason "rights given back"', "all that wait of one consumer"),
        ("dead-letters redrive -c bridge --dry-run", "which ones that would be"),
    ),
)
@click.argument("numbers", type=int, nargs=-1)
@click.option("-c", "--consumer", type=_CONSUMERS, help="All that wait of this consumer.")
@click.option("--reason", metavar="TEXT", default="", help="Why; kept in the log and the audit.")
@click.option("--dry-run", is_flag=True, help="Only say what would be asked for.")
@_where
@explained
def redrive(
    *,
    numbers: tuple[int, ...],
    consumer: str | None,
    reason: str,
    dry_run: bool,
    nats_url: str | None,
    stack: str,
) -> None:
    """Let the consumer that failed, and nobody else, handle messages once more.

    Each message keeps its id, its place and its time, so that whatever of it took effect before takes none again. A
    letter is redriven once; when the message fails again it leaves a new letter, which can be redriven.
    """
    if bool(numbers) == bool(consumer):
        raise click.UsageError("name the letters by their numbers, or all that wait of one consumer by --consumer")
    if not reason and not dry_run:
        raise click.UsageError("say why by --reason: it is kept in the log and the audit with your name")

    async def work(log: Log) -> list[str]:
        letters = await _chosen(log, numbers) if numbers else await read(log, str(consumer))
        wanted = letters if numbers else [each for each in letters if each.state == "waiting"]
        return [await _ask(log, each, reason, dry_run=dry_run) for each in wanted]

    lines = _with_log(nats_url, stack, work, user=OPERATOR)
    click.echo("\n".join(lines) if lines else f"no dead letter of {consumer} waits")


async def _ask(log: Log, letter: DeadLetter, reason: str, *, dry_run: bool) -> str:
    what = f"{letter.number} ({letter.letter.consumer}, {letter.letter.subject})"
    if letter.state != "waiting":
        return f"{what}: was redriven before, nothing is done"
    if dry_run:
        return f"{what}: would be redriven"
    if await ask(log, letter, by=_me(), reason=reason):
        return f"{what}: redriven"
    return f"{what}: somebody else has just redriven it, nothing is done"


async def _chosen(log: Log, numbers: list[int] | tuple[int, ...]) -> list[DeadLetter]:
    return chosen(await read(log), numbers)


def _with_log(nats_url: str | None, stack: str, work: Callable[[Log], Awaitable[_R]], *, user: str = READER) -> _R:
    async def connected() -> _R:
        async with log_at(find_nats(os.environ, nats_url=nats_url, stack=stack), user=user) as log:
            return await work(log)

    return asyncio.run(connected())


def _me() -> str:
    """Return who asks as this machine knows him: NATS knows no persons."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return socket.gethostname()
