"""`python -m kubernaut.install`: makes what the services need and never make themselves. Idempotent.

Streams and consumers on NATS, resource definitions on the Kubernetes API, tables in PostgreSQL; each may be installed
alone, with the credentials that it alone needs. Servers that are still coming up are waited for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kubernaut.install_streams import install_streams, vouch_once_made
from runtime import logs
from runtime.backoff import Backoff
from runtime.errors import KubernautError, SettingsError, UnavailableError
from runtime.health import Dependency
from runtime.nats_address import EXAMPLE as NATS_EXAMPLE
from runtime.nats_address import nats_address, shown
from runtime.nats_connection import Connection
from runtime.settings import DATABASE_EXAMPLE, Settings, database_address
from schemas.nats_users import SETUP
from schemas.subjects import CONSUMERS, LOG, SHADOW, STREAMS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from schemas.subjects import Consumer, Stream

PARTS: Final = ("streams", "crds", "migrations")
ON_DEMAND: Final = ("roles", "shadow", "vouch")
"""Installed only where they are named."""
_EXIT_FAILED: Final = 1
TERMINATED: Final = 128 + signal.SIGTERM
"""Exit code after SIGTERM, as a shell gives it."""
_CONNECT_SECONDS: Final = 10.0


async def install(
    environment: Mapping[str, str], parts: tuple[str, ...], *, replicas: int | None, seconds: float
) -> list[str]:
    """Install the parts side by side and return a line for each thing that was made or changed.

    `seconds`: how long servers that do not answer are waited for. Raises SettingsError, RefusedError,
    UnavailableError.
    """
    connect = min(_CONNECT_SECONDS, seconds / 2)  # so that the first attempt ends in time to say why
    works: dict[str, Callable[[], Awaitable[list[str]]]] = {
        "streams": lambda: _streams(environment, replicas, connect),
        "crds": lambda: _crds(environment),
        "migrations": lambda: _migrations(environment),
        "roles": lambda: _roles(environment),
        "shadow": lambda: _streams(environment, replicas, connect, streams=(LOG,), consumers=(SHADOW,)),
        "vouch": lambda: _streams(environment, None, connect, made_by_others=True),
    }
    # The tables then belong to the role that is made.
    done = await _patiently("roles", works["roles"], seconds) if "roles" in parts else []
    results = await asyncio.gather(
        *(_patiently(part, works[part], seconds) for part in parts if part != "roles"),
        return_exceptions=True,
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return done + [line for result in results if not isinstance(result, BaseException) for line in result]


async def _patiently(part: str, work: Callable[[], Awaitable[list[str]]], seconds: float) -> list[str]:
    backoff = Backoff(first=0.1, most=2.0)
    reason = "no answer"
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await work()
                except UnavailableError as error:
                    reason = str(error)
                await asyncio.sleep(backoff.next())
    except TimeoutError:
        message = f"could not install the {part} within {seconds:g} s: {reason}"
        raise UnavailableError(message) from None


async def _streams(
    environment: Mapping[str, str],
    replicas: int | None,
    connect: float,
    *,
    streams: tuple[Stream, ...] = STREAMS,
    consumers: tuple[Consumer, ...] = CONSUMERS,
    made_by_others: bool = False,
) -> list[str]:
    _needed(environment, "NATS_URL", NATS_EXAMPLE)
    url = nats_address(environment)
    health = Dependency("nats")
    connection = Connection(url, SETUP, health, logs.get_logger("install"))
    keep = asyncio.create_task(connection.keep())
    try:
        try:
            await asyncio.wait_for(connection.wait(), connect)
        except TimeoutError:
            message = f"NATS ({shown(url)}): {health.detail}"
            raise UnavailableError(message) from None
        audited = await _audited(environment)
        if made_by_others:
            return await vouch_once_made(connection, audited=audited)
        return await install_streams(
            connection, replicas=replicas, streams=streams, consumers=consumers, audited=audited
        )
    finally:
        await connection.close()
        await keep


async def _audited(environment: Mapping[str, str]) -> int:
    """Return the highest sequence of the log that the audit holds; 0 where there is no audit, or no right to it."""
    url = database_address(environment)
    if not url:
        return 0
    from auditor.newest import newest  # noqa: PLC0415 - who installs the streams alone needs no PostgreSQL

    return (await newest(url, LOG.name)).sequence


async def _crds(environment: Mapping[str, str]) -> list[str]:
    # Here, because whoever installs the other parts needs no client of this one.
    from kubernaut.install_crds import install_crds  # noqa: PLC0415
    from runtime.cluster import connect  # noqa: PLC0415

    cluster = await connect(Settings(nats_url="", kubeconfig=environment.get("KUBECONFIG") or None))
    try:
        return await install_crds(cluster)
    finally:
        await cluster.close()


async def _migrations(environment: Mapping[str, str]) -> list[str]:
    from auditor.migrations import migrate  # noqa: PLC0415 - as above

    _needed(environment, "DATABASE_URL", DATABASE_EXAMPLE)
    names = await migrate(database_address(environment))
    return [f"applied migration {name}" for name in names]


async def _roles(environment: Mapping[str, str]) -> list[str]:
    from auditor.roles import set_up  # noqa: PLC0415 - as above

    _needed(environment, "DATABASE_URL", DATABASE_EXAMPLE)
    folder = environment.get("KUBERNAUT_DATABASE_ROLES_DIR", "").strip()
    return await set_up(database_address(environment), Path(folder) if folder else None)


def _needed(environment: Mapping[str, str], variable: str, example: str) -> str:
    value = environment.get(variable, "").strip()
    if not value:
        message = f"{variable} is not set; set it, such as {example}, or choose other parts with --only"
        raise SettingsError(message)
    return value


async def _until_told(work: Awaitable[list[str]]) -> list[str]:
    """Give up at SIGTERM: process 1 of a container, which a job is, has no default for it."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--only",
    "parts",
    multiple=True,
    type=click.Choice(PARTS + ON_DEMAND),
    help="Install this part; may be given more than once.",
)
@click.option("--replicas", type=click.IntRange(1, 5), help="Copies of each stream; what is there stays without it.")
@click.option("--timeout", "seconds", default=60.0, show_default=True, help="Seconds to wait for servers to come up.")
def main(parts: tuple[str, ...], replicas: int | None, seconds: float) -> None:
    """Install streams and consumers (NATS_URL), resource definitions (KUBECONFIG) and tables (DATABASE_URL).

    Only where they are named: `shadow`, the consumer of a shadow scheduler; `roles`, those of the database, which takes
    an administrator in DATABASE_URL (the others then need less); `vouch`, which waits for streams and consumers that
    others make, NATS' controller for one, and vouches for the streams.
    """
    chosen = tuple(part for part in PARTS + ON_DEMAND if part in parts) or PARTS
    logs.configure("error")
    try:
        done = asyncio.run(_until_told(install(os.environ, chosen, replicas=replicas, seconds=seconds)))
    except KubernautError as error:
        click.echo(f"kubernaut.install: {error}", err=True)
        sys.exit(_EXIT_FAILED)
    except asyncio.CancelledError:
        click.echo("kubernaut.install: told to end; what was made stays, and the next run makes the rest", err=True)
        sys.exit(TERMINATED)
    for line in done:
        click.echo(line)
    if not done:
        click.echo(f"nothing to do: {', '.join(chosen)} are as they must be")


if __name__ == "__main__":
    main()
