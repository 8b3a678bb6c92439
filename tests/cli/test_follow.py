"""Following runs on the in-memory API, and what the displays make of it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from rich.console import Console

from kubernaut.cli.display import Display, Lines, Trees, show
from kubernaut.cli.follow_loop import Follower, Run, follow
from kubernaut.cli.view import RunView, view_of
from runtime.errors import ForbiddenError, GoneError, StreamBrokenError, UnavailableError
from runtime.kinds import WORKFLOWS
from tests.cli.builders import NOW, UID, a_running_workflow, a_workflow, an_ended_workflow
from tests.eventually import eventually
from tests.fakes.cluster import FakeCluster

RUN = Run("shop", "leak", UID)
OTHER = Run("bank", "other", "22222222-0000-4000-8000-000000000000")


class Told(Follower):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.lost: list[Run] = []
        self.troubles: list[str] = []

    def seen(self, view: RunView) -> None:
        """Remember the phase."""
        self.phases.append(view.phase)

    def gone(self, run: Run) -> None:
        """Remember the run."""
        self.lost.append(run)

    def trouble(self, message: str) -> None:
        """Remember trouble, once each."""
        if message and message not in self.troubles:
            self.troubles.append(message)


def a_cluster() -> FakeCluster:
    """Return a cluster with one workflow that nobody has taken up."""
    cluster = FakeCluster()
    cluster.put(WORKFLOWS, a_workflow())
    return cluster


@asynccontextmanager
async def following(cluster: FakeCluster, *runs: Run) -> AsyncIterator[tuple[Told, asyncio.Task[None]]]:
    """Follow the runs in a task."""
    told = Told()
    task = asyncio.create_task(follow(cluster, runs or (RUN,), told))
    try:
        yield told, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def watching(cluster: FakeCluster) -> Callable[[], bool]:
    """Return whether somebody watches."""
    return lambda: any(call[0] == "watch" for call in cluster.calls)


async def test_it_is_followed_to_its_end() -> None:
    """Every version is told, and following ends with the run."""
    cluster = a_cluster()

    async with following(cluster) as (told, task):
        await eventually(watching(cluster))
        for phase in ("planning", "executing", "completed"):
            cluster.set_status(WORKFLOWS, "shop", "leak", phase=phase)
        await asyncio.wait_for(task, 5)

    assert told.phases == ["", "planning", "executing", "completed"]


async def test_a_run_that_has_ended_already_is_told_once() -> None:
    """There is nothing to wait for."""
    cluster = FakeCluster()
    cluster.put(WORKFLOWS, an_ended_workflow())

    async with following(cluster) as (told, task):
        await asyncio.wait_for(task, 5)

    assert told.phases == ["completed"]


async def test_a_run_that_is_deleted_is_gone() -> None:
    """Deleting a run ends following it."""
    cluster = a_cluster()

    async with following(cluster) as (told, task):
        await eventually(watching(cluster))
        cluster.remove(WORKFLOWS, "shop", "leak")
        await asyncio.wait_for(task, 5)

    assert told.lost == [RUN]


async def test_another_run_of_the_same_name_is_not_taken_for_it() -> None:
    """The uid tells a run from one that was made again under its name."""
    cluster = a_cluster()

    async with following(cluster, Run("shop", "leak", OTHER.uid)) as (told, task):
        await asyncio.wait_for(task, 5)

    assert (told.lost, told.phases) == ([Run("shop", "leak", OTHER.uid)], [])


async def test_runs_in_two_namespaces_are_followed_side_by_side() -> None:
    """Following ends with the last of them."""
    cluster = a_cluster()
    other = an_ended_workflow("other")
    other["metadata"] |= {"namespace": "bank", "uid": OTHER.uid}
    cluster.put(WORKFLOWS, other)

    async with following(cluster, RUN, OTHER) as (told, task):
        await eventually(watching(cluster))
        assert not task.done()
        cluster.set_status(WORKFLOWS, "shop", "leak", phase="failed")
        await asyncio.wait_for(task, 5)

    assert sorted(told.phases) == ["", "completed", "failed"]


@pytest.mark.parametrize(
    ("verb", "error"),
    [
        ("list", UnavailableError("no answer")),
        ("get", UnavailableError("no answer")),
        ("watch", UnavailableError("no answer")),
        ("watch", GoneError("410")),
        ("watch", StreamBrokenError("cut")),
    ],
)
async def test_trouble_is_told_and_waited_out(verb: Any, error: Exception) -> None:
    """After any trouble it reads the run again and goes on."""
    cluster = a_cluster()
    cluster.fail(verb, error)

    async with following(cluster) as (told, task):
        await eventually(lambda: told.troubles)
        cluster.set_status(WORKFLOWS, "shop", "leak", phase="completed")
        await asyncio.wait_for(task, 5)

    assert (told.troubles, told.phases[-1]) == ([str(error)], "completed")


async def test_what_is_forbidden_is_not_tried_again() -> None:
    """Somebody without the rights is told so at once."""
    cluster = a_cluster()
    cluster.fail("get", ForbiddenError("not you"))

    with pytest.raises(ForbiddenError, match="not you"):
        await follow(cluster, [RUN], Told())


async def test_old_versions_are_not_shown_after_newer_ones() -> None:
    """The watch begins before what was read; what it repeats is left out."""
    cluster = a_cluster()
    cluster.set_status(WORKFLOWS, "shop", "leak", phase="planning")

    async with following(cluster) as (told, task):
        await eventually(watching(cluster))
        cluster.set_status(WORKFLOWS, "shop", "leak", phase="completed")
        await asyncio.wait_for(task, 5)

    assert told.phases == ["planning", "completed"]


def a_display(**ends: str) -> tuple[Display, list[Run]]:
    """Return a display that saw runs end so; `gone` is one that was deleted."""
    display, runs = Display(), []
    for name, outcome in ends.items():
        body = an_ended_workflow(name, outcome, "completed")
        body["metadata"]["uid"] = name
        runs.append(Run("shop", name, name))
        if outcome == "gone":
            display.gone(runs[-1])
        else:
            display.seen(view_of(body))
    return display, runs


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ({"a": "success"}, 0),
        ({"a": "success", "b": "success"}, 0),
        ({"a": "partial_success"}, 3),
        ({"a": "success", "b": "partial_success"}, 3),
        ({"a": "failed"}, 1),
        ({"a": "cancelled"}, 1),
        ({"a": "unknown"}, 1),
        ({"a": ""}, 1),
        ({"a": "partial_success", "b": "failed"}, 1),
        ({"a": "success", "b": "gone"}, 1),
    ],
)
def test_the_exit_code_is_that_of_the_worst(ends: dict[str, str], expected: int) -> None:
    """0 only when all succeeded, 2 for a partial success, 1 for whatever else."""
    display, runs = a_display(**ends)

    assert expected == display.exit_code(runs)


def a_console(*, terminal: bool, width: int = 100, height: int = 40) -> tuple[Console, io.StringIO]:
    """Return a console that writes into a text."""
    text = io.StringIO()
    console = Console(
        file=text, force_terminal=terminal, width=width, height=height, color_system=None, legacy_windows=False
    )
    return console, text


async def test_without_a_terminal_there_is_one_line_for_each_change() -> None:
    """Plain output holds no control characters and no line twice."""
    cluster = FakeCluster()
    cluster.put(WORKFLOWS, an_ended_workflow())
    console, text = a_console(terminal=False, width=20)

    await show(cluster, [RUN], console)

    assert [line[9:] for line in text.getvalue().splitlines()] == [
        "leak  step 1 completed after 7.0s  step 1  [notify_only]",
        "leak  completed (success)  1/1  after 7.0s",
    ]


async def test_in_a_terminal_the_whole_tree_stays_at_the_end() -> None:
    """When the drawing is over, the last thing on the screen is the tree in full."""
    cluster = FakeCluster()
    cluster.put(WORKFLOWS, an_ended_workflow())
    console, text = a_console(terminal=True)

    await show(cluster, [RUN], console)

    assert text.getvalue().rstrip().splitlines()[-2:] == [
        "leak  completed (success)  ━━━━━━━━━━━━━━━━━━━━  1/1  7.0s",
        "└── ✔  1 step 1  notify_only  completed    7.0s",
    ]


def drawn(count: int, **size: int) -> list[str]:
    """Return what a terminal of that size shows of several runs."""
    console, text = a_console(terminal=True, **size)
    trees = Trees(console, now=lambda: NOW)
    for number in range(count):
        body = a_running_workflow()
        body["metadata"] |= {"name": f"run-{number}", "uid": str(number)}
        trees.seen(view_of(body))
    console.print(trees.draw())
    return text.getvalue().splitlines()


def test_several_runs_are_drawn_below_one_another() -> None:
    """In a narrow terminal each run has its own block."""
    lines = drawn(2)

    assert [number for number, line in enumerate(lines) if line.startswith("run-")] == [0, 7]


def test_several_runs_are_drawn_side_by_side_where_there_is_room() -> None:
    """A wide terminal shows them next to each other."""
    lines = drawn(2, width=160)

    assert "run-0" in lines[0]
    assert "run-1" in lines[0]
    assert lines[2].count("executing   10.0s") == 2


def test_a_low_terminal_gets_the_brief_form() -> None:
    """What does not fit is left out, not scrolled away."""
    assert len(drawn(2, height=12)) < 12


def test_trouble_is_printed_once_and_when_it_is_over() -> None:
    """The same trouble again is no news."""
    console, text = a_console(terminal=False)
    lines = Lines(console, now=lambda: NOW)

    for message in ("", "no answer", "no answer", ""):
        lines.trouble(message)

    assert [line.strip() for line in text.getvalue().splitlines()] == [
        "0.0s  no answer",
        "0.0s  the cluster answers again",
    ]
