"""`kubernaut audit …`: the audit for the person who asks. Finds log and database; each command is a file of its own."""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from kubernaut.cli.connection import NoClusterError, running_stack
from kubernaut.cli.replay import servers_of
from kubernaut.local.home import DEFAULT_NAME
from runtime.ports import Log
from runtime.settings import database_address

COMMANDS: Final = {
    "query": ("kubernaut.cli.audit_query:query", "Show what happened, and who did it."),
    "verify": ("kubernaut.cli.audit_verify:verify", "Prove that nothing is missing and nothing was changed."),
    "export": ("kubernaut.cli.audit_export:export", "Write a copy that a third party can verify."),
    "rebuild": ("kubernaut.cli.audit_rebuild:rebuild", "Make the database again from the log or from an export."),
}


class AuditGroup(click.Group):
    """The commands by name, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=AuditGroup)
def audit() -> None:
    """The record of everything that happened, kept in PostgreSQL and provably complete."""


def database(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the audit is; `database_of` reads them."""
    command = click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack.")(command)
    return click.option(
        "--database", metavar="DSN", help="The audit; by default DATABASE_URL, else the local stack's."
    )(command)


def both(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the audit and for the log that it is compared with."""
    return click.option("--nats", "nats_url", metavar="URL", help="The log; by default NATS_URL, else the stack's.")(
        database(command)
    )


def database_of(options: dict[str, Any]) -> str:
    """Return where the audit is. Raises NoClusterError."""
    state = running_stack(options["stack"])
    found = database_address(os.environ, options["database"]) or (state.database_url if state is not None else None)
    if not found:
        raise NoClusterError(
            f"no audit: neither --database nor DATABASE_URL is given, and no local stack named {options['stack']!r} is "
            "running; start one with `kubernaut up`"
        )
    return str(found)


def log_of(options: dict[str, Any]) -> str | None:
    """Return where the log is; None when nothing says so."""
    return servers_of(nats_url=options["nats_url"], database="-", stack=options["stack"], audit=False)[0]


@asynccontextmanager
async def maybe_log(url: str | None) -> AsyncIterator[Log | None]:
    """Connect to the log, if there is one."""
    if url is None:
        yield None
        return
    from kubernaut.cli.events import log_at  # noqa: PLC0415 - only where a log is read

    async with log_at(url) as log:
        yield log
