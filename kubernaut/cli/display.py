"""Shows runs while they run: trees that change in a terminal, else one line for each change."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kubernaut.cli.follow_loop import Follower, Run, follow
from kubernaut.cli.plain import changes
from kubernaut.cli.times import elapsed
from kubernaut.cli.tree import tree
from kubernaut.cli.view import RunView
from runtime.ports import Cluster

REFRESH_SECONDS: Final = 0.125
PARTIAL: Final = 3
"""Exit code of a partial success; 2 is what click gives for a wrong command line."""
SIDE_BY_SIDE_WIDTH: Final = 64
"""Columns that a tree needs beside others."""


class Clock(Protocol):
    """Milliseconds since 1970."""

    def __call__(self) -> int:
        """Return the time."""
        ...


def clock() -> int:
    """Return the milliseconds since 1970 of this machine."""
    return time.time_ns() // 1_000_000


class Display(Follower):
    """What was seen of each run: the last view, and which are gone."""

    def __init__(self) -> None:
        self.views: dict[str, RunView] = {}
        self.lost: set[str] = set()

    def seen(self, view: RunView) -> None:
        """Keep the newest view."""
        self.views[view.uid] = view

    def gone(self, run: Run) -> None:
        """Remember that the run was deleted."""
        self.lost.add(run.uid)

    def exit_code(self, runs: Sequence[Run]) -> int:
        """Return 0 when every run ended as success, 1 when one failed or is gone, else `PARTIAL`."""
        ends = {run.uid: self.views[run.uid].outcome if run.uid in self.views else "" for run in runs}
        if any(uid in self.lost or outcome not in {"success", "partial_success"} for uid, outcome in ends.items()):
            return 1
        return PARTIAL if "partial_success" in ends.values() else 0


class Lines(Display):
    """Prints one line for each change."""

    def __init__(self, console: Console, now: Clock = clock) -> None:
        super().__init__()
        self._console = console
        self._now = now
        self._began = now()
        self._said = ""

    def seen(self, view: RunView) -> None:
        """Print what is different from the view before."""
        for line in changes(self.views.get(view.uid), view):
            self._say(line)
        super().seen(view)

    def gone(self, run: Run) -> None:
        """Print that it was deleted."""
        super().gone(run)
        self._say(f"{run.name}  was deleted before it ended")

    def trouble(self, message: str) -> None:
        """Print trouble once, and that it is over."""
        if message != self._said:
            self._say(message or "the cluster answers again")
        self._said = message

    def _say(self, line: str) -> None:
        passed = elapsed((self._now() - self._began) / 1000)
        self._console.print(f"{passed:>7}  {line}", soft_wrap=True, markup=False, highlight=False)


class Trees(Display):
    """Draws all runs, over and over, until they have ended."""

    def __init__(self, console: Console, now: Clock = clock) -> None:
        super().__init__()
        self._console = console
        self._now = now
        self._trouble = ""

    def trouble(self, message: str) -> None:
        """Show trouble below the trees for as long as it lasts."""
        self._trouble = message

    def draw(self) -> RenderableType:
        """Return all trees as they are now, as large as the terminal allows."""
        rows = self._console.size.height - 2
        beside = len(self.views) > 1 and self._console.size.width >= SIDE_BY_SIDE_WIDTH * len(self.views)
        trees = self._trees(brief=False, narrow=beside)
        sizes = [len(lines) + 1 for lines in trees]
        if (max(sizes, default=0) if beside else sum(sizes)) > rows:
            trees = self._trees(brief=True, narrow=beside)
        return _grid(trees) if beside else _stack(trees, self._trouble)

    def whole(self) -> RenderableType:
        """Return all trees in full, for the record that stays."""
        return _stack(self._trees(brief=False), "")

    def _trees(self, *, brief: bool, narrow: bool = False) -> list[list[Text]]:
        now, plain = self._now(), self._console.options.ascii_only
        return [tree(view, now, plain=plain, brief=brief, narrow=narrow) for view in self.views.values()]


def _grid(trees: list[list[Text]]) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 2))
    for _ in trees:
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_row(*(Group(*lines) for lines in trees))
    return grid


def _stack(trees: list[list[Text]], trouble: str) -> RenderableType:
    lines: list[Text] = []
    for number, block in enumerate(trees):
        lines += [Text(), *block] if number else block
    if trouble:
        lines.append(Text(f"the cluster cannot be read: {trouble}; trying again", "yellow"))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


async def show(cluster: Cluster, runs: Sequence[Run], console: Console) -> Display:
    """Follow the runs to their end on the console; what was seen of them."""
    if not console.is_terminal:
        lines = Lines(console)
        await follow(cluster, runs, lines)
        return lines
    trees = Trees(console)
    with _drawn(trees, console) as live:
        drawing = asyncio.create_task(_draw_loop(trees, live))
        try:
            await follow(cluster, runs, trees)
        finally:
            drawing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await drawing
    return trees


@contextmanager
def _drawn(trees: Trees, console: Console) -> Iterator[Live]:
    """Draw in place; at the end, in whatever way it comes, the whole trees stay on the screen."""
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield live
    finally:
        if trees.views:
            console.print(trees.whole())


async def _draw_loop(trees: Trees, live: Live) -> None:
    while True:
        live.update(trees.draw(), refresh=True)
        await asyncio.sleep(REFRESH_SECONDS)
