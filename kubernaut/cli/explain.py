"""`kubernaut explain`: why a step ran, or what exactly keeps it waiting, with the messages that prove it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click
import msgspec

from kubernaut.cli.events import parse_start
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import explained
from kubernaut.cli.replay import servers_of
from kubernaut.explain.lines import lines
from kubernaut.explain.outside import frozen, turn
from kubernaut.explain.report import Explained, Outside, Report
from kubernaut.local.home import DEFAULT_NAME
from kubernaut.replay.recording import Chain, Recording, RecordingError
from kubernaut.replay.sources import Servers, bundles_in, read_bundle


@click.command(
    cls=Exemplary,
    examples=(
        ("explain restart-web", "what the run and each step that has not ended wait for"),
        ("explain restart-web --step 4", "why step 4 ran, or what keeps it; and everything that happened to it"),
        ("explain restart-web --at 10m", "the same, ten minutes ago"),
    ),
)
@click.argument("workflow", metavar="WORKFLOW|UID|FILE")
@click.option("--step", type=int, metavar="N", help="One step, with everything that happened to it.")
@click.option("--at", metavar="SEQ|TIME", help="As it was then: a sequence, an RFC 3339 time, 10m ago.")
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="Form of the output.")
@click.option("-n", "--namespace", metavar="NAME", help="Namespace, where several have a workflow of that name.")
@click.option("--audit", is_flag=True, help="Read from the audit, not from the log.")
@click.option("--nats", "nats_url", metavar="URL", help="NATS server; by default NATS_URL, else the local stack's.")
@click.option("--database", metavar="DSN", help="The audit; by default DATABASE_URL, else the local stack's.")
@click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack, when several run.")
@explained
def explain(*, workflow: str, step: int | None, at: str | None, form: str | None, **options: Any) -> None:
    """Tell why a step ran or what keeps it waiting: each reason with the message that proves it.

    All reasons together are what keeps it: once they are gone it runs, and while one stands it does not. Read from the
    log, past its retention from the audit, or from a file made by `kubernaut bundle`.
    """
    report = asyncio.run(_report(workflow, step, at, options))
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        click.echo("\n".join(lines(report)))


async def _report(workflow: str, step: int | None, at: str | None, options: dict[str, Any]) -> Report:
    nats_url, database_url = servers_of(**options)
    files = bundles_in(workflow)
    if files is not None:
        chain = Chain(read_bundle(_only(files, workflow)))
        return Explained(chain, index_at(chain, at)).report(step)
    async with Servers(nats_url, database_url, options["namespace"]) as servers:
        recording: Recording = await servers.record(workflow)
        chain = Chain(recording)
        index = index_at(chain, at)
        outside = Outside()
        if at is None and nats_url is not None:
            outside = await turn(await servers.log(), recording.uid, chain.made[index].decision.state)
            outside = msgspec.structs.replace(outside, freeze=await frozen(nats_url))
    return Explained(chain, index, outside).report(step)


def index_at(chain: Chain, at: str | None) -> int:
    """Return the index of the decision that was the last one then. Raises RecordingError before the first."""
    if at is None:
        return len(chain.made) - 1
    sequence, moment = parse_start(at, time.time_ns() // 1_000_000)
    index = chain.index_at_time(moment) if moment else chain.index_at_sequence(sequence)
    if index < 0:
        first = chain.made[0].stored.sequence
        raise RecordingError(f"nothing was decided at {at} yet: the run's first decision is #{first}")
    return index


def _only(files: list[Any], argument: str) -> Any:
    if len(files) != 1:
        raise RecordingError(f"{argument} holds {len(files)} bundles; name one of them")
    return files[0]
