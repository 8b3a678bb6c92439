"""`kubernaut trace`: the trace of any run, made of the log: the spans that the services send, with the same ids."""

from __future__ import annotations

import asyncio
from typing import Any

import click
import msgspec

from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import explained
from kubernaut.cli.replay import servers_of
from kubernaut.local.home import DEFAULT_NAME
from kubernaut.replay.recording import Recording, RecordingError
from kubernaut.replay.sources import Servers, bundles_in, read_bundle
from kubernaut.trace.lines import lines
from kubernaut.trace.made import trace as made_of
from runtime.otlp import body_of


@click.command(
    cls=Exemplary,
    examples=(
        ("trace restart-web", "a tree of who did what, when, and how long it took"),
        (
            "trace restart-web -o otlp-json | curl -d @- -H content-type:application/json http://collector:4318/v1/traces",
            "a run of before traces were asked for, in your collector",
        ),
    ),
)
@click.argument("workflow", metavar="WORKFLOW|UID|FILE")
@click.option("-o", "--output", "form", type=click.Choice(["text", "otlp-json"]), default="text", help="Form of it.")
@click.option("--rows", is_flag=True, help="As text: with the rows of the audit.")
@click.option("-n", "--namespace", metavar="NAME", help="Namespace, where several have a workflow of that name.")
@click.option("--audit", is_flag=True, help="Read from the audit, not from the log.")
@click.option("--nats", "nats_url", metavar="URL", help="NATS server; by default NATS_URL, else the local stack's.")
@click.option("--database", metavar="DSN", help="The audit; by default DATABASE_URL, else the local stack's.")
@click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack, when several run.")
@explained
def trace(*, workflow: str, form: str, rows: bool, **options: Any) -> None:
    """Make the trace of a run, from the log, past its retention from the audit, or from a file of `kubernaut bundle`.

    The spans have the ids that the services send them with, so that both are the same trace in a collector.
    """
    spans = made_of(_recording(workflow, options))
    if form == "text":
        click.echo("\n".join(lines(spans, rows=rows)))
    else:
        click.echo(msgspec.json.encode(body_of(spans)).decode())


def _recording(workflow: str, options: dict[str, Any]) -> Recording:
    files = bundles_in(workflow)
    if files is not None:
        if len(files) != 1:
            raise RecordingError(f"{workflow} holds {len(files)} bundles; name one of them")
        return read_bundle(files[0])

    async def ask() -> Recording:
        async with Servers(*servers_of(**options), options["namespace"]) as servers:
            return await servers.record(workflow)

    return asyncio.run(ask())
