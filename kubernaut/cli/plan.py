"""`kubernaut plan`: how a workflow would run, exactly as the scheduler plans it. Needs no cluster, starts nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Final

import click
from rich.console import Console
from rich.text import Text

from kubernaut.cli.graphs.dot import dot
from kubernaut.cli.graphs.mermaid import mermaid
from kubernaut.cli.graphs.svg import svg
from kubernaut.cli.graphs.tree import tree
from kubernaut.cli.lint import report_of, show
from kubernaut.cli.linting.checking import failed
from kubernaut.cli.linting.files import source
from kubernaut.cli.planned import PlanView, as_json, view_of

_DRAWN: Final[dict[str, Callable[[PlanView], str]]] = {"mermaid": mermaid, "dot": dot, "svg": svg}
_FORMS: Final = ("tree", *_DRAWN, "json")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True), metavar="FILE")
@click.option("-o", "--output", "form", type=click.Choice(_FORMS), default="tree", help="Form of the output.")
@click.option("--workflow", "name", metavar="NAME", help="Which workflow, when FILE holds several.")
def plan(*, file: str, form: str, name: str | None) -> None:
    """Show how the workflow in FILE (- is standard input) would run: waves, longest path, estimate, limits, rollback.

    A workflow with errors is refused with the list that `kubernaut lint` gives, and exit code 1.
    """
    found = source(file)
    report = report_of(found)
    if failed(report.findings):
        show([report], Console(stderr=True, highlight=False))
        sys.exit(1)
    known = [each for each in found.checked.workflows if each.plan is not None]
    views = [view_of(each.name, each.plan) for each in known if each.plan and name in {None, each.name}]
    if not views:
        raise click.UsageError(_none_of(name, [each.name for each in known], report.file))
    if form == "tree":
        _print_trees(views)
    elif form == "json":
        told = [as_json(view) for view in views]
        click.echo(json.dumps(told[0] if len(told) == 1 else told, indent=2, ensure_ascii=False))
    elif len(views) > 1:
        names = ", ".join(view.name for view in views)
        raise click.UsageError(f"{report.file} holds {len(views)} workflows; choose one by --workflow: {names}")
    else:
        click.echo(_DRAWN[form](views[0]))


def _print_trees(views: Sequence[PlanView]) -> None:
    console = Console(highlight=False)
    plain = console.options.ascii_only
    for place, view in enumerate(views):
        if place:
            console.print()
        for line in tree(view, plain=plain):
            shown = Text(line.plain.encode("ascii", "replace").decode()) if plain else line
            console.print(shown, soft_wrap=True)


def _none_of(name: str | None, names: Sequence[str], file: str) -> str:
    if name is None or not names:
        return f"{file} holds no workflow"
    return f"{file} holds no workflow {name}; it holds {', '.join(names)}"
