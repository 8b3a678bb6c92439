"""`kubernaut freeze` and `thaw`: stop all new effects in the cluster at once, and let them go on.

They write to NATS: to the executor bridge's consumer, and one message that says who did it and why into the log.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import msgspec

from kubernaut.cli.connection import NoClusterError, find_nats
from kubernaut.cli.consumer_pause import jetstream_at, look, pause, resume
from kubernaut.cli.freeze_fact import frozen_event, publish, thawed_event
from kubernaut.cli.freeze_lines import GOES_ON, freeze_line, queue_words
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import explained
from kubernaut.local.home import DEFAULT_NAME
from kubernaut.operation_facts import me
from runtime.errors import NotFoundError, RefusedError, UnavailableError
from runtime.nats_connection import Connection
from schemas import durations
from schemas.nats_users import OPERATOR

_R = TypeVar("_R")
_nats = click.option(
    "--nats", "nats_url", metavar="URL", help="NATS server; by default NATS_URL, else the local stack's."
)
_stack = click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack, when several run.")


@click.command(
    cls=Exemplary,
    examples=(
        ('freeze --reason "incident 4711"', "nothing new happens in the cluster until: thaw"),
        ("freeze --for 30m", "thaws by itself after half an hour"),
    ),
)
@click.option("--for", "duration", metavar="DURATION", help="How long, such as 30m; by default until it is thawed.")
@click.option("--reason", metavar="TEXT", default="", help="Why; shown by `status`.")
@_nats
@_stack
@explained
def freeze(*, duration: str | None, reason: str, nats_url: str | None, stack: str) -> None:
    """Stop all new effects in the cluster at once: of every workflow, in every namespace.

    The executor bridge, the only service that writes to the cluster, is given no more decisions. Those that it has in
    hand already are carried out to their end. Nothing is lost: what is decided meanwhile waits in its order.
    """
    seconds = _seconds(duration)

    async def work(api: Connection) -> None:
        frozen, trouble = await pause(api, seconds=seconds, by=me(), reason=reason)
        if not frozen.paused:
            raise RefusedError("the server took the pause and does not hold it; it must be NATS 2.11 or newer")
        click.echo(freeze_line(frozen))
        click.echo(GOES_ON)
        if trouble:
            click.echo(f"frozen, but who and why could not be noted: {trouble}", err=True)
        _told(await publish(api, frozen_event(msgspec.structs.replace(frozen, reason=reason), me())))

    _ask(nats_url, stack, work)


@click.command(cls=Exemplary, examples=(("thaw", "what waited is carried out in its order"),))
@_nats
@_stack
@explained
def thaw(*, nats_url: str | None, stack: str) -> None:
    """Let effects in the cluster go on after a freeze; what waited is carried out in its order."""

    async def work(api: Connection) -> None:
        before = await look(api)
        after = await resume(api)
        if not before.paused:
            click.echo(f"it was not frozen; {queue_words(after)}")
            return
        click.echo(f"thawed; {queue_words(before)} when it was, and they are carried out now")
        _told(await publish(api, thawed_event(before, me())))

    _ask(nats_url, stack, work)


def _ask(nats_url: str | None, stack: str, work: Callable[[Connection], Awaitable[_R]]) -> _R:
    url = find_nats(os.environ, nats_url=nats_url, stack=stack)

    async def connected() -> _R:
        async with jetstream_at(url, user=OPERATOR) as api:
            return await work(api)

    try:
        return asyncio.run(connected())
    except NoClusterError as error:
        raise click.ClickException(f"{error}; nothing was changed") from error
    except NotFoundError as error:
        raise click.ClickException(
            f"{error}; the bridge's consumer is not installed there. Is it the right NATS? "
            "`python -m kubernaut.install` makes it"
        ) from error
    except UnavailableError as error:
        raise click.ClickException(f"{error}. Whether it took effect is not known; try again, which is safe") from error


def _told(trouble: str) -> None:
    if trouble:
        click.echo(f"done, but the audit will not hold who did it and why: {trouble}", err=True)


def _seconds(duration: str | None) -> float | None:
    if duration is None:
        return None
    try:
        seconds = durations.parse(duration)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from None
    if not seconds:
        raise click.BadParameter("0 is no time; to end a freeze: `kubernaut thaw`", param_hint="--for")
    return seconds
