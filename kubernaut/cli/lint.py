"""`kubernaut lint`: every error of workflow files at once, each at its line, with what to do. Needs no cluster."""

from __future__ import annotations

import json
import sys

import click
from rich.console import Console

from kubernaut.cli.linting.checking import failed
from kubernaut.cli.linting.files import Source, sources
from kubernaut.cli.linting.report import Report, as_json, lines, summary


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, readable=True, allow_dash=True), metavar="FILE..."
)
@click.option("-o", "--output", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the output.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
def lint(*, files: tuple[str, ...], form: str, strict: bool) -> None:
    """Check the workflows in each FILE (a folder: in all YAML files below; -: standard input).

    Tells every error of the YAML, of the fields and of the plan at once, as file:line:column. Other objects in a file
    are skipped. Exit code 0 when there is no error, 1 when there is one, 2 when a file cannot be read.
    """
    found = list(sources(files))
    reports = [report_of(each) for each in found]
    if form == "json":
        click.echo(json.dumps(as_json(reports), indent=2, ensure_ascii=False))
    else:
        show(reports, Console(highlight=False))
    sys.exit(1 if any(failed(report.findings, strict=strict) for report in reports) else 0)


def report_of(source: Source) -> Report:
    """Return what there is to tell about a file."""
    checked = source.checked
    return Report(file=source.file, text=source.text, findings=checked.findings, workflows=len(checked.workflows))


def show(reports: list[Report], console: Console) -> None:
    """Print the findings, on a terminal with the lines of the file, and how many there are."""
    for report in reports:
        for line in lines(report, excerpts=console.is_terminal):
            console.print(line, soft_wrap=True)
    console.print(summary(reports), soft_wrap=True)
