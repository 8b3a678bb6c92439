"""`kubernaut events`: the public events, from the stream that outside programs read, too."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from kubernaut.cli.connection import NoClusterError, find_nats, quiet_logger
from kubernaut.cli.event_lines import belongs, for_people, for_programs
from kubernaut.cli.events_loop import first_since, read_events
from kubernaut.cli.options import explained
from kubernaut.cli.times import milliseconds
from kubernaut.local.home import DEFAULT_NAME
from runtime.errors import KubernautError
from runtime.health import Dependency
from runtime.nats_address import shown
from runtime.nats_log import NatsLog
from runtime.ports import Log, Stored
from schemas import durations, subjects
from schemas.nats_users import READER

CONNECT_SECONDS: Final = 8.0
INTERRUPTED: Final = 130
_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with new ones until Ctrl-C.")
@click.option("--workflow", metavar="NAME|UID", help="Events of one workflow.")
@click.option("-n", "--namespace", metavar="NAME", help="Events of one namespace.")
@click.option("--from", "start", metavar="SEQ|TIME", help="Where to begin: a sequence, an RFC 3339 time, or 10m (ago).")
@click.option("-o", "--output", "form", type=click.Choice(["ndjson"]), help="CloudEvents as JSON, one a line.")
@click.option("--nats", "nats_url", metavar="URL", help="NATS server; by default NATS_URL, else the local stack's.")
@click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack, when several run.")
@explained
def events(
    *,
    follow: bool,
    workflow: str | None,
    namespace: str | None,
    start: str | None,
    form: str | None,
    nats_url: str | None,
    stack: str,
) -> None:
    """Show the public events in their order, from the first on or from where --from says."""
    url = find_nats(os.environ, nats_url=nats_url, stack=stack)
    begin = parse_start(start, time.time_ns() // 1_000_000)
    subject = subject_for(namespace, workflow)
    line = for_programs if form == "ndjson" else for_people
    wanted = (lambda _: True) if workflow is None or _UID.fullmatch(workflow) else (lambda one: belongs(one, workflow))
    try:
        asyncio.run(_print(url, subject, begin, wanted, line, follow=follow))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def parse_start(text: str | None, now: int) -> tuple[int, int]:
    """Return the first sequence and the first time (ms since 1970) that are wanted; 0 where it does not matter.

    `now` in ms, for `10m` and the like. Raises click.BadParameter.
    """
    if text is None:
        return 1, 0
    if text.isdecimal():
        return max(int(text), 1), 0
    if moment := milliseconds(text):
        return 1, moment
    try:
        return 1, now - round(durations.parse(text) * 1000)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a sequence (12), nor a time (2026-01-01T10:00:00Z), nor a while ago (10m)",
            param_hint="--from",
        ) from None


def subject_for(namespace: str | None, workflow: str | None) -> str:
    """Return the filter for the events; a workflow's name is in no subject, only its uid."""
    uid = workflow if workflow is not None and _UID.fullmatch(workflow) else "*"
    anything: Any = "*"
    return subjects.event(namespace or "*", uid, anything, "*")


async def _print(
    url: str,
    subject: str,
    begin: tuple[int, int],
    wanted: Callable[[Stored], bool],
    line: Callable[[Stored], str],
    *,
    follow: bool,
) -> None:
    sequence, moment = begin
    async with log_at(url) as log:
        if moment:
            sequence = await first_since(log, moment)
        async for stored in read_events(log, subject, start=sequence, follow=follow):
            if wanted(stored):
                click.echo(line(stored))


@asynccontextmanager
async def log_at(url: str, *, user: str = READER) -> AsyncIterator[Log]:
    """Connect to the event log. Raises NoClusterError when it is not there within 8 s."""
    health = Dependency("nats")
    log = NatsLog(url, user, health, quiet_logger(), remembers=False)
    keeping = asyncio.create_task(log.keep())
    try:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await log.verified()
        except TimeoutError:
            raise NoClusterError(f"no event log at {shown(url)}: {health.detail}") from None
        yield log
    finally:
        await _close(log, keeping)


async def _close(log: NatsLog, keeping: asyncio.Task[None]) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await log.close()
            await asyncio.wait({keeping})  # it closes the socket, which a cancel would leave to whoever comes next
    except (KubernautError, TimeoutError):
        pass  # what was read is printed; there is nothing to save
    finally:
        keeping.cancel()
