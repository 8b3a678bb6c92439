"""`kubernaut rerun`: a finished run once more, from a step or from what was not done."""

from __future__ import annotations

import asyncio

import click

from kubernaut.cli.connection import Target, cluster_at
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import found
from kubernaut.cli.problems import explain
from kubernaut.cli.rerun_body import Rerun, next_name, rerun_of
from kubernaut.cli.workflows import apply, new_token
from runtime.errors import KubernautError
from runtime.kinds import WORKFLOWS


@click.command(
    cls=Exemplary,
    examples=(
        ("rerun node-drain", "what failed or did not run, and what depends on it"),
        ("rerun node-drain --from 3 --name node-drain-2", "step 3 and all that depends on it, under this name"),
    ),
)
@click.argument("name")
@click.option("--from", "start", type=click.IntRange(min=1), metavar="STEP", help="Step to begin with.")
@click.option(
    "--name", "new_name", metavar="NEW", help="Name of the new run; by default the old one's and a random ending."
)
@found
def rerun(*, name: str, start: int | None, new_name: str | None, namespace: str | None, target: Target) -> None:
    """Run a finished run again, as a new object that refers to the old one.

    Steps that were done are not done again: the new run takes over their results. Without --from it runs what failed
    or was not reached, and all that depends on it. The new run asks for its own approval.
    """
    where = namespace or target.namespace

    async def work() -> tuple[Rerun, str]:
        async with cluster_at(target) as cluster:
            old = await cluster.get(WORKFLOWS, where, name)
            made = rerun_of(old, start=start or 0, name=new_name or next_name(name, new_token()))
            return made, (await apply(cluster, made.body, where)).name

    try:
        made, started = asyncio.run(work())
    except KubernautError as error:
        raise click.ClickException(explain(error, f"rerun {name}")) from error
    click.echo(f"started {where}/{started}")
    click.echo(f"runs again: {_steps(made.again)}; takes over from {name}: {_steps(made.kept)}", err=True)
    click.echo(f"follow it: kubernaut watch {started} -n {where}{target.options}", err=True)


def _steps(numbers: tuple[int, ...]) -> str:
    if not numbers:
        return "nothing"
    return f"step{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
