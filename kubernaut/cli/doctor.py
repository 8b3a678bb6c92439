"""`kubernaut doctor`: what is wrong with an installation, and how to mend it. Reads only."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any, Final

import click
from rich.console import Console

from kubernaut.cli.connection import NoClusterError, find, is_of_stack, running_stack
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import explained
from kubernaut.cli.replay import servers_of
from kubernaut.doctor.checks import PARTS
from kubernaut.doctor.examine import Installation, examine
from kubernaut.doctor.finding import Unlooked, exit_code
from kubernaut.doctor.gather_nats import Addresses
from kubernaut.doctor.judge import NO_ADDRESS, findings
from kubernaut.doctor.report import as_json, lines, summary
from kubernaut.local.home import DEFAULT_NAME
from runtime import logs

_MONITOR: Final = "KUBERNAUT_NATS_MONITOR"
_SUBSCRIBERS: Final = "KUBERNAUT_SUBSCRIBERS_NATS_URL"


@click.command(
    cls=Exemplary,
    examples=(
        ("doctor", "everything: NATS, PostgreSQL, the cluster"),
        ("doctor --only nats --monitor http://nats:8222", "NATS alone, with what only its monitoring port tells"),
        ("doctor -o json --strict", "for a pipeline: warnings count as errors"),
    ),
)
@click.option("--only", "parts", multiple=True, type=click.Choice(PARTS), help="Look at this part; may be given again.")
@click.option("-v", "--verbose", "everything", is_flag=True, help="Tell what is well, too.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--timeout", "seconds", default=10.0, show_default=True, help="Longest time of one look, in seconds.")
@click.option("-o", "--output", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the output.")
@click.option("--nats", "nats_url", metavar="URL", help="NATS; by default NATS_URL, else the local stack's.")
@click.option("--monitor", metavar="URL", envvar=_MONITOR, help=f"Its monitoring port; by default {_MONITOR}.")
@click.option("--subscribers", metavar="URL", envvar=_SUBSCRIBERS, help="NATS, as a user of the subscribers' account.")
@click.option("--database", metavar="DSN", help="PostgreSQL; by default DATABASE_URL, else the local stack's.")
@click.option("--kubeconfig", metavar="FILE", help="Cluster; by default KUBECONFIG, else the local stack's.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig.")
@click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack, when several run.")
@explained
def doctor(
    *, parts: tuple[str, ...], everything: bool, strict: bool, seconds: float, form: str, **options: Any
) -> None:
    """Look at an installation: what is wrong, why it matters, and what to type to mend it. Changes nothing.

    What cannot be looked at is told as such and never taken for well; what was not asked for is told as skipped. Exit
    code 0 when nothing is wrong, 1 when there is an error, 2 when there is none but something could not be looked at.
    """
    logs.configure("error")
    found = findings(asyncio.run(examine(installation(parts or PARTS, options), seconds=seconds)))
    if form == "json":
        click.echo(json.dumps(as_json(found), indent=2, ensure_ascii=False))
    else:
        console = Console(highlight=False)
        for line in lines(found, everything=everything):
            console.print(line, soft_wrap=True)
        console.print(summary(found), soft_wrap=True)
    sys.exit(exit_code(found, strict=strict))


def installation(parts: tuple[str, ...], options: dict[str, Any]) -> Installation:
    """Return where to look: options, environment, else the local stack."""
    stack = options["stack"]
    nats, database = servers_of(nats_url=options["nats_url"], database=options["database"], stack=stack, audit=False)
    return Installation(
        nats=_nats(nats, options) if "nats" in parts else None,
        database=(database or _no_address("--database", "DATABASE_URL")) if "database" in parts else None,
        cluster=_cluster(options) if "cluster" in parts else None,
    )


def _no_address(option: str, variable: str) -> Unlooked:
    return Unlooked(f"{NO_ADDRESS}: neither {option} nor {variable} is given, and no local stack runs")


def _nats(url: str | None, options: dict[str, Any]) -> Addresses | Unlooked:
    if not url:
        return _no_address("--nats", "NATS_URL")
    monitor = options["monitor"] or _monitor_of(url, options["stack"])
    return Addresses(url=url, monitor=monitor, subscribers=options["subscribers"] or "")


def _monitor_of(url: str, stack: str) -> str:
    """Return the monitoring port of the local stack's NATS, when it is that one; else nothing."""
    state = running_stack(stack)
    if state is None or not is_of_stack(state, url):
        return ""
    ports = next((each.ports for each in state.processes if "monitor" in each.ports), {})
    return f"http://127.0.0.1:{ports['monitor']}" if ports else ""


def _cluster(options: dict[str, Any]) -> Any:
    try:
        return find(os.environ, **{name: options[name] for name in ("kubeconfig", "context", "stack")})
    except NoClusterError as error:
        return Unlooked(f"{NO_ADDRESS}: {str(error).removeprefix('no cluster: ')}")
