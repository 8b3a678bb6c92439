"""Runs as a table, in the columns that `kubectl get` shows too. Pure: now is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kubernaut.cli.times import age, elapsed
from kubernaut.cli.view import RunView

_GAP: Final = "   "


def table(views: Sequence[RunView], now: int, *, wide: bool = False, namespaces: bool = False) -> list[str]:
    """Return a header and a line for each run. `now` in ms since 1970; `namespaces` adds their column."""
    header = ["NAME", "PHASE", "PROGRESS", "OUTCOME", "AGE"]
    if wide:
        header += ["CURRENT", "WAITING", "REMEDIATION", "DURATION"]
    if namespaces:
        header.insert(0, "NAMESPACE")
    return columns([header, *(_row(view, now, wide=wide, namespaces=namespaces) for view in views)])


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with their columns aligned; an empty cell is shown as `-` so that every row has as many words."""
    filled = [[cell or "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    return [_GAP.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in filled]


def _row(view: RunView, now: int, *, wide: bool, namespaces: bool) -> list[str]:
    row = [view.name, view.phase, view.progress, view.outcome, age((now - view.created) / 1000) if view.created else ""]
    if wide:
        duration = elapsed(view.seconds(now)) if view.started else ""
        row += [str(view.current) if view.current else "", view.waiting, view.remediation, duration]
    return [view.namespace, *row] if namespaces else row
