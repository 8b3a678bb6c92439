"""Shows measures to people as tables, and to programs as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Measure
from benchmarks.machine import Machine
from benchmarks.options import Options

_EXACT_FROM: Final = 100


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that one call has found."""

    began: str
    """RFC 3339."""
    machine: Machine
    options: Options
    measures: tuple[Measure, ...]


def as_json(report: Report) -> bytes:
    """Return the report for programs; each figure tells whether its goal was met."""
    body: dict[str, Any] = msgspec.to_builtins(report, enc_hook=str)
    for shown, measure in zip(body["measures"], report.measures, strict=True):
        for row, figure in zip(shown["figures"], measure.figures, strict=True):
            row["goal"] = None if figure.goal is None else str(figure.goal)
            row["met"] = figure.met
    return msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"


def show(console: Console, machine: Machine, measures: Sequence[Measure]) -> None:
    """Print one table a measure."""
    console.print(
        f"{machine.cores} cores of {machine.processor}, {machine.memory_mib / 1024:.0f} GiB, {machine.file_system}, "
        f"{machine.python}; before it began: load {machine.load:g}, yardstick {machine.yardstick_ms:g} ms",
        highlight=False,
    )
    for measure in measures:
        console.print(_table(measure))


def _table(measure: Measure) -> Table:
    table = Table(
        title=f"{measure.name}: {measure.title} ({measure.seconds:.0f} s)", title_justify="left", title_style="bold"
    )
    with_floor = any(figure.floor is not None for figure in measure.figures)
    table.add_column("figure")
    for name in ("measured", *(["floor"] if with_floor else []), "unit", "goal", ""):
        table.add_column(name, justify="right" if name in ("measured", "floor") else "left")
    for figure in measure.figures:
        bare = [] if not with_floor else ["" if figure.floor is None else number(figure.floor)]
        goal = "" if figure.goal is None else str(figure.goal)
        table.add_row(figure.name, number(figure.value), *bare, figure.unit, goal, _verdict(figure))
    return table


def number(value: float) -> str:
    """Write a figure with as many digits as mean anything."""
    return f"{value:,.0f}" if abs(value) >= _EXACT_FROM or value == int(value) else f"{value:.3g}"


def _verdict(figure: Figure) -> str:
    return {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[figure.met]
