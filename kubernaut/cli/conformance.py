"""`kubernaut conformance`: does a program that reads the public events behave? A card with a line a behaviour."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Final

import click
import msgspec

from kubernaut.cli.options import explained
from kubernaut.conformance.run import SECONDS, conformance
from kubernaut.conformance.stage import a_stage
from kubernaut.conformance.verdicts import EXPECTED, Verdict
from kubernaut.local.claims import scratch

OWN: Final = (sys.executable, "-m", "kubernaut.subscriber")
_WIDTH: Final = max(len(name) for name in EXPECTED)


@click.command("conformance")
@click.option("--command", metavar="CMD", help="The consumer, as a shell would start it; by default the Python client.")
@click.option("--seconds", type=float, default=SECONDS, show_default=True, help="Limit of each situation.")
@click.option("--only", multiple=True, type=click.Choice(list(EXPECTED)), help="Only this behaviour; repeatable.")
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="The card as JSON.")
@explained
def conformance_(*, command: str | None, seconds: float, only: tuple[str, ...], form: str | None) -> None:
    """Try a consumer of the public events in every situation that it must bear.

    It is started with NATS_URL and KUBERNAUT_DURABLE in its environment and writes a line of JSON for each thing that
    it has dealt with, before it acknowledges it; docs/subscribers/README.md has the form. The exit code is 0 when it
    shows every behaviour.
    """
    words = tuple(shlex.split(command)) if command else OWN
    if not words:
        raise click.BadParameter("an empty command", param_hint="--command")
    card = asyncio.run(_try(words, seconds, only, quiet=form is not None))
    if form is not None:
        click.echo(msgspec.json.encode([_plain(each) for each in card]).decode())
    failed = sum(not each.passed for each in card)
    if form is None:
        click.echo(f"{len(card) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


async def _try(words: Sequence[str], seconds: float, only: Sequence[str], *, quiet: bool) -> list[Verdict]:
    with scratch("conformance") as folder:
        async with a_stage(folder) as stage:
            environment = {**os.environ, "TMPDIR": str(folder)}  # what a consumer leaves behind goes with it
            tell = _nothing if quiet else _tell
            return await conformance(words, environment, stage, seconds=seconds, only=only, tell=tell)


def _nothing(_: Verdict) -> None:
    """Say nothing: the card is printed as a whole."""


def _tell(one: Verdict) -> None:
    state = click.style("pass", fg="green") if one.passed else click.style("FAIL", fg="red")
    click.echo(f"{state}  {one.behaviour:<{_WIDTH}}  {one.expected}")
    if one.detail:
        click.echo(f"      {'':<{_WIDTH}}  {one.detail}")


def _plain(one: Verdict) -> dict[str, object]:
    return {"behaviour": one.behaviour, "passed": one.passed, "expected": one.expected, "detail": one.detail}
