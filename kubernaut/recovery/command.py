"""`kubernaut recover`: shows what the broker lost and what becomes of each run, and carries it out when told to."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import click

from kubernaut.cli.connection import find, find_nats, running_stack
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import explained
from kubernaut.local.home import DEFAULT_NAME
from kubernaut.recovery.renew import renew
from kubernaut.recovery.survey import Found, look
from runtime import logs
from runtime.cluster import connect
from runtime.errors import KubernautError, RefusedError, UnavailableError
from runtime.health import Dependency
from runtime.nats_address import SEED_FILE
from runtime.nats_connection import Connection
from runtime.settings import Settings, database_address
from schemas.nats_users import RECOVERY

_EXIT_LOST: Final = 3
_CONNECT_SECONDS: Final = 10.0
_DENIED: Final = "permissions violation"
"""As the server words what it does not allow."""
_FATES: Final = {
    "goes on": "go on",
    "ends": "end as failed with reason log_lost",
    "begins": "had not begun, and begin",
    "over": "had ended, and stay as they are",
}


@click.command(
    cls=Exemplary,
    examples=(
        ("recover", "say what was lost and what would become of each run; changes nothing"),
        ("recover --accept-loss", "make the log anew behind everything that was in it, and let the services go on"),
    ),
)
@click.option("--accept-loss", is_flag=True, help="Carry it out. What was lost is then lost for good.")
@click.option("--nats", "nats_url", metavar="URL", help="NATS server; by default NATS_URL, else the local stack's.")
@click.option("--database", metavar="DSN", help="PostgreSQL; by default DATABASE_URL, else the local stack's.")
@click.option("--kubeconfig", metavar="FILE", help="Cluster to use; by default KUBECONFIG, else the local stack.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig.")
@click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack, when several run.")
@explained
def recover(
    *,
    accept_loss: bool,
    nats_url: str | None,
    database: str | None,
    kubeconfig: str | None,
    context: str | None,
    stack: str,
) -> None:
    """Come back after NATS lost messages: a damaged disk, a stream that somebody removed.

    The services have stopped by themselves. What is still known of each run, by its objects in the cluster, by the
    audit and by what is left of the log, says what may go on; nothing is ever started a second time. Without
    --accept-loss nothing is changed, and the exit code is 3 while something is lost.
    """
    logs.configure("error")
    target = find(os.environ, kubeconfig=kubeconfig, context=context, stack=stack)
    url = find_nats(os.environ, nats_url=nats_url, stack=stack)
    asked = Settings(nats_url=url, kubeconfig=target.kubeconfig)
    dsn = _database(database, stack)

    async def work(connection: Connection, cluster: Any) -> tuple[Found, list[str]]:
        found = await look(connection, cluster, dsn, click.echo)
        return found, await renew(connection, cluster, found) if found.losses and accept_loss else []

    found, done = asyncio.run(_connected(asked, work))
    _tell(found)
    for line in done:
        click.echo(line)
    if found.losses and not accept_loss:
        click.echo("nothing was changed; kubernaut recover --accept-loss does it")
        raise click.exceptions.Exit(_EXIT_LOST)
    if done:
        click.echo("the services start anew by themselves and go on")


def _tell(found: Found) -> None:
    if not found.losses:
        click.echo("nothing was lost: the log has everything that is remembered of it")
        return
    for reason in found.losses.values():
        click.echo(f"lost: {reason}")
    if found.unread:
        click.echo(f"what is left of the log cannot be read: {found.unread}")
    for each in found.verdicts:
        if each.fate in {"goes on", "ends"}:
            click.echo(f"{each.namespace}/{each.name} {each.fate}: {each.reason}")
    counts = Counter[str](each.fate for each in found.verdicts)
    for fate, words in _FATES.items():
        if counts[fate]:
            click.echo(f"{counts[fate]} runs {words}")


async def _connected(
    asked: Settings, work: Callable[[Connection, Any], Awaitable[tuple[Found, list[str]]]]
) -> tuple[Found, list[str]]:
    health = Dependency("nats")
    connection = Connection(asked.nats_url, RECOVERY, health, logs.get_logger("recover"))
    keep = asyncio.create_task(connection.keep())
    try:
        try:
            await asyncio.wait_for(connection.wait(), _CONNECT_SECONDS)
        except TimeoutError:
            raise UnavailableError(f"NATS: {health.detail}") from None
        cluster = await connect(asked)
        try:
            return await work(connection, cluster)
        except UnavailableError as error:
            if _DENIED not in str(error).lower():
                raise
            message = f"{error}; give the seed of NATS' user {RECOVERY}, such as {SEED_FILE}=recovery.nk"
            raise RefusedError(message, reason="forbidden") from error
        finally:
            await cluster.close()
    finally:
        await connection.close()
        await keep


def _database(given: str | None, stack: str) -> str:
    dsn = database_address(os.environ, given)
    state = None if dsn else running_stack(stack)
    dsn = dsn or (state.database_url or "" if state is not None else "")
    if not dsn:
        raise KubernautError("no audit: give its PostgreSQL with --database or DATABASE_URL; it knows what was lost")
    return dsn
