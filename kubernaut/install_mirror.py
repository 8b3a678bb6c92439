"""`python -m kubernaut.install_mirror`: makes the mirror of the public events in the account of outside subscribers.

Run it once as the administrator of that account; deploy/nats/README.md says why there is one. It never changes or
deletes a stream that is there.
"""

from __future__ import annotations

import asyncio
import os
import sys

import click
import msgspec
import structlog

from runtime.errors import KubernautError, NotFoundError, RefusedError, UnavailableError
from runtime.health import Dependency
from runtime.nats_address import nats_address
from runtime.nats_connection import Connection
from schemas.nats_roles import mirror_config

ADMINISTRATOR = "subscribers-admin"
_CONNECT_SECONDS = 10.0


async def install_mirror(connection: Connection) -> bool:
    """Make the mirror unless it is there; return whether it was made. Raises RefusedError for another stream there."""
    wanted = mirror_config()
    name = wanted["name"]
    try:
        found = msgspec.json.decode(await connection.api(f"STREAM.INFO.{name}"))
    except NotFoundError:
        await connection.api(f"STREAM.CREATE.{name}", wanted)
        return True
    if found["config"].get("mirror", {}).get("name") != name:
        raise RefusedError(f"the account has a stream {name} that is no mirror; is it that of the services?")
    return False


async def _run(url: str) -> bool:
    health = Dependency("nats")
    connection = Connection(url, ADMINISTRATOR, health, structlog.get_logger())
    keeping = asyncio.create_task(connection.keep())
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await connection.wait()
        return await install_mirror(connection)
    except TimeoutError:
        raise UnavailableError(f"no connection to NATS in {_CONNECT_SECONDS:g} s: {health.detail}") from None
    finally:
        await connection.close()
        await keeping


@click.command()
@click.option("--nats", "url", envvar="NATS_URL", required=True, help="NATS, as the administrator of the account.")
def main(url: str) -> None:
    """Make the mirror of the public events in the account of outside subscribers."""
    try:
        made = asyncio.run(_run(nats_address(os.environ, url)))
    except KubernautError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo("made the mirror" if made else "the mirror is there")


if __name__ == "__main__":
    main()
