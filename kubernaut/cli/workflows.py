"""`kubernaut run`, `list`, `get` and `watch`: workflows for people. Decides nothing about them."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import click
import msgspec
from rich.console import Console

from kubernaut.cli import output
from kubernaut.cli.connection import Target, cluster_at
from kubernaut.cli.details import details
from kubernaut.cli.display import clock, show
from kubernaut.cli.follow_loop import Run
from kubernaut.cli.manifests import TOKEN_LENGTH, TOKEN_LETTERS, ManifestError, named, read
from kubernaut.cli.options import found
from kubernaut.cli.problems import explain
from kubernaut.cli.steering_write import who_am_i
from kubernaut.cli.table import table
from kubernaut.cli.view import view_of
from runtime.errors import KubernautError
from runtime.kinds import WORKFLOWS
from runtime.ports import Cluster
from schemas.names import ANNOTATION_CREATED_BY

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as a shell gives it (128 + SIGINT)."""

_R = TypeVar("_R")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), metavar="FILE")
@click.option("--name", help="Name of the run, instead of the one in the file.")
@click.option("--generate-name", is_flag=True, help="Add a random ending to the name, so that it can be run again.")
@click.option("--detach", is_flag=True, help="Do not follow it; print its name and return.")
@found
def run(
    *, file: str, name: str | None, generate_name: bool, detach: bool, namespace: str | None, target: Target
) -> None:
    """Apply the workflows in FILE (- is standard input) and follow them live to their end.

    Exit code 0 when all succeeded, 3 when one succeeded in part, 1 when one failed; after Ctrl-C they go on.
    """
    bodies = named(read(_text(file), file), name=name, generate=generate_name, token=new_token)
    started: list[Run] = []

    async def work(cluster: Cluster) -> int:
        for body in bodies:
            started.append(await apply(cluster, body, namespace or target.namespace, override=namespace is not None))
            click.echo(f"started {started[-1].namespace}/{started[-1].name}", err=not detach)
        if detach:
            click.echo(_how_to_follow(started, target), err=True)
            return 0
        return (await show(cluster, started, Console())).exit_code(started)

    sys.exit(_finish(target, work, lambda: _how_to_follow(started, target) if started else ""))


@click.command("list")
@click.option("-A", "--all-namespaces", is_flag=True, help="Runs of all namespaces.")
@click.option("-o", "--output", "form", type=click.Choice(output.FORMATS), help="Form of the output.")
@found
def list_(*, all_namespaces: bool, form: str | None, namespace: str | None, target: Target) -> None:
    """List the runs, the oldest first."""
    where = None if all_namespaces else namespace or target.namespace

    async def work(cluster: Cluster) -> list[dict[str, Any]]:
        return await _all(cluster, where)

    bodies = sorted(_ask(target, work, "list"), key=lambda body: str(body["metadata"].get("creationTimestamp", "")))
    if form in {"json", "yaml", "name"}:
        click.echo(output.many(bodies, form))
    elif bodies:
        views = [view_of(body) for body in bodies]
        lines = table(views, clock(), wide=form == "wide", namespaces=all_namespaces)
        click.echo("\n".join(lines))
    else:
        click.echo(f"no workflows in {where or 'any namespace'}; `kubernaut run FILE` starts one", err=True)


@click.command()
@click.argument("name")
@click.option("-o", "--output", "form", type=click.Choice(output.FORMATS), help="Form of the output.")
@found
def get(*, name: str, form: str | None, namespace: str | None, target: Target) -> None:
    """Show one run: its steps, what they wait for, what went wrong, and what to do next."""
    body = _ask(target, _reading(namespace or target.namespace, name), f"get {name}")
    if form in {"json", "yaml", "name"}:
        click.echo(output.one(body, form))
        return
    if form == "wide":
        click.echo("\n".join(table([view_of(body)], clock(), wide=True)))
        return
    console = Console()
    for line in details(view_of(body), clock(), options=target.options, plain=console.options.ascii_only):
        console.print(line, soft_wrap=True)


@click.command()
@click.argument("name")
@found
def watch(*, name: str, namespace: str | None, target: Target) -> None:
    """Follow one run live to its end. Exit code as of `run`."""

    async def work(cluster: Cluster) -> int:
        body = await _reading(namespace or target.namespace, name)(cluster)
        run_ = _run_of(body)
        return (await show(cluster, [run_], Console())).exit_code([run_])

    sys.exit(_finish(target, work, lambda: "", what=f"watch {name}"))


async def apply(cluster: Cluster, body: dict[str, Any], namespace: str, *, override: bool = True) -> Run:
    """Create a workflow as who calls; `override`: in `namespace` whatever the object says.

    Raises click.ClickException.
    """
    metadata = body["metadata"]
    where = namespace if override else metadata.get("namespace") or namespace
    annotations = await _creator(cluster) | (metadata.get("annotations") or {})
    wanted = body | {"metadata": metadata | {"namespace": where, "annotations": annotations}}
    try:
        return _run_of(await cluster.create(WORKFLOWS, where, wanted))
    except KubernautError as error:
        raise click.ClickException(explain(error, f"run {metadata['name']}")) from error


async def _creator(cluster: Cluster) -> dict[str, str]:
    """Return the annotation that four eyes ask for; nothing where the server does not say who calls."""
    try:
        return {ANNOTATION_CREATED_BY: await who_am_i(cluster)}
    except KubernautError:
        return {}  # whether it can do without is for the server to say


def _reading(namespace: str, name: str) -> Callable[[Cluster], Awaitable[dict[str, Any]]]:
    async def read_it(cluster: Cluster) -> dict[str, Any]:
        return await cluster.get(WORKFLOWS, namespace, name)

    return read_it


async def _all(cluster: Cluster, namespace: str | None) -> list[dict[str, Any]]:
    page = await cluster.list(WORKFLOWS, namespace)
    items = list(page.items)
    while page.next_page:
        page = await cluster.list(WORKFLOWS, namespace, next_page=page.next_page)
        items += page.items
    return [msgspec.json.decode(item) for item in items]


def _ask(target: Target, work: Callable[[Cluster], Awaitable[_R]], what: str) -> _R:
    async def connected() -> _R:
        async with cluster_at(target) as cluster:
            return await work(cluster)

    try:
        return asyncio.run(connected())
    except KubernautError as error:
        raise click.ClickException(explain(error, what)) from error


def _finish(
    target: Target, work: Callable[[Cluster], Awaitable[int]], parting: Callable[[], str], what: str = "run"
) -> int:
    try:
        return _ask(target, work, what)
    except KeyboardInterrupt:
        if words := parting():
            click.echo(f"\n{words}", err=True)
        return INTERRUPTED


def _run_of(body: dict[str, Any]) -> Run:
    metadata = body["metadata"]
    return Run(metadata["namespace"], metadata["name"], metadata["uid"])


def _text(file: str) -> str:
    try:
        with click.open_file(file, encoding="utf-8") as stream:
            text: str = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{file} cannot be read as text: {error}") from error
    return text


def _how_to_follow(runs: Sequence[Run], target: Target) -> str:
    lines = [f"  kubernaut watch {run_.name} -n {run_.namespace}{target.options}" for run_ in runs]
    return "\n".join(["it goes on without this command; follow it with", *lines])


def new_token() -> str:
    """Return a random ending for a name."""
    return "".join(secrets.choice(TOKEN_LETTERS) for _ in range(TOKEN_LENGTH))
