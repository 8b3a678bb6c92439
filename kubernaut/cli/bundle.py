"""`kubernaut bundle`: one redacted file with everything about a run, for a laptop, a colleague, a test."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from kubernaut.cli.connection import cluster_at, find
from kubernaut.cli.options import explained
from kubernaut.cli.replay import servers_of
from kubernaut.cli.times import clock_time
from kubernaut.local.home import DEFAULT_NAME
from kubernaut.replay.as_test import as_test as test_of
from kubernaut.replay.bundle_file import VERSION, write
from kubernaut.replay.from_cluster import cluster_events
from kubernaut.replay.recording import Chain, Recording
from kubernaut.replay.sources import Servers, bundles_in, read_bundle
from runtime.errors import KubernautError

_PACKAGE: Final = "kubernaut-workflow"


@click.command()
@click.argument("run", metavar="WORKFLOW|UID|FILE")
@click.option(
    "-o", "--output", "output", metavar="FILE", help="By default NAME.ndjson.gz; a name without .gz is not packed."
)
@click.option(
    "--as-test", is_flag=True, help="Write a pytest that makes every decision again, by default test_NAME.py."
)
@click.option(
    "-n", "--namespace", metavar="NAME", help="Namespace of the workflow, where several have one of that name."
)
@click.option("--audit", is_flag=True, help="Read from the audit, not from the log.")
@click.option("--nats", "nats_url", metavar="URL", help="NATS server; by default NATS_URL, else the local stack's.")
@click.option("--database", metavar="DSN", help="The audit; by default DATABASE_URL, else the local stack's.")
@click.option(
    "--kubeconfig", metavar="FILE", help="Cluster whose Events are added; by default KUBECONFIG, else the stack's."
)
@click.option("--context", metavar="NAME", help="Context of the kubeconfig.")
@click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack, when several run.")
@explained
def bundle(*, run: str, output: str | None, as_test: bool, **options: Any) -> None:
    """Write everything about a run into one file: messages, decisions, signals, queue, events, Kubernetes Events.

    Nothing secret is in it: what comes from the log was redacted before it got there, and all of it is redacted once
    more. `kubernaut replay FILE` reads it without any cluster.
    """
    chain = Chain(asyncio.run(_recorded(run, options)))
    name = chain.workflow.name
    place = Path(output or (f"test_{_word(name)}.py" if as_test else f"{name}.ndjson.gz"))
    raw = _as_test(chain) if as_test else write(chain.recording, packed=place.name.endswith(".gz"))
    try:
        place.write_bytes(raw)
    except OSError as error:
        raise click.ClickException(f"{place} cannot be written: {error.strerror}") from error
    recording = chain.recording
    messages = f"{len(recording.messages)} messages ({len(chain.made)} decisions)"
    events = f"{len(recording.events)} public events, {len(recording.cluster_events)} Kubernetes Events"
    click.echo(f"{place}: {messages}, {events}, {len(raw) / 1024:.1f} KB")
    for note in recording.notes:
        click.echo(f"note: {note}", err=True)


def _word(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name)


def _as_test(chain: Chain) -> bytes:
    return test_of(chain).encode()


async def _recorded(run: str, options: dict[str, Any]) -> Recording:
    files = bundles_in(run)
    if files is not None:
        if len(files) != 1:
            raise click.UsageError(f"{run} holds {len(files)} bundles; name one")
        return read_bundle(files[0])
    async with Servers(*servers_of(**options), options["namespace"]) as servers:
        recording = await servers.record(run)
    try:
        found, notes = tuple(await _events_of(Chain(recording), options)), recording.notes
    except KubernautError as error:
        found, notes = (), (*recording.notes, f"no Kubernetes Events: {error}")
    return msgspec.structs.replace(recording, cluster_events=found, versions=_versions(), notes=notes)


async def _events_of(chain: Chain, options: dict[str, Any]) -> list[dict[str, Any]]:
    target = find(os.environ, kubeconfig=options["kubeconfig"], context=options["context"], stack=options["stack"])
    async with cluster_at(target) as cluster:
        return await cluster_events(cluster, chain)


def _versions() -> dict[str, str]:
    try:
        ours = version(_PACKAGE)
    except PackageNotFoundError:
        ours = "unknown"
    return {
        _PACKAGE: ours,
        "bundle": str(VERSION),
        "python": platform.python_version(),
        "made": clock_time(time.time_ns() // 1_000_000),
    }
