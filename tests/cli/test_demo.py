"""The demo: what it makes of its runs, and the whole of it on real parts."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from kubernaut.cli.audit_count import AuditCount
from kubernaut.cli.demo import SAMPLES, report_audit, report_runs
from kubernaut.cli.display import Display
from kubernaut.cli.follow_loop import Run
from kubernaut.cli.view import view_of
from tests.cli.builders import an_ended_workflow

DEMO_SECONDS = 600


def report(*outcomes: str) -> tuple[bool, str]:
    """Return the verdict and the report on runs of the samples that ended so."""
    display, runs = Display(), []
    for each, outcome in zip(SAMPLES, outcomes, strict=True):
        body = an_ended_workflow(each.file, outcome)
        body["metadata"]["uid"] = each.file
        runs.append(Run("default", each.file, each.file))
        if outcome:
            display.seen(view_of(body))
    text = io.StringIO()
    return report_runs(display, runs, Console(file=text)), text.getvalue()


GOOD = tuple(each.expected for each in SAMPLES)


def test_the_samples_end_as_they_should() -> None:
    """Some succeed, some in part, one fails and is undone; that is what the demo expects."""
    good, text = report(*GOOD)

    assert good
    assert {"success", "partial_success", "failed"} == set(GOOD)
    assert text.count("as it should") == len(SAMPLES)


@pytest.mark.parametrize(
    "outcomes",
    [
        pytest.param(("failed", *GOOD[1:]), id="one has failed"),
        pytest.param((*GOOD[:2], "success", *GOOD[3:]), id="one is better than it should be"),
        pytest.param((GOOD[0], "", *GOOD[2:]), id="nothing was seen of one"),
    ],
)
def test_a_sample_that_ends_otherwise_is_shown(outcomes: tuple[str, ...]) -> None:
    """One that ends otherwise, or of which nothing was seen, spoils the verdict, and its line says so."""
    good, text = report(*outcomes)

    assert not good
    assert text.count("NOT AS IT SHOULD") == 1


@pytest.mark.parametrize(("in_log", "complete", "words"), [(5, True, "one row for each"), (6, False, "NOT COMPLETE")])
def test_the_audit_is_held_against_the_log(in_log: int, words: str, *, complete: bool) -> None:
    """As many rows as messages, or the audit is not complete."""
    counted, text = AuditCount(by_type=(("a", 3), ("b", 2)), in_log=in_log), io.StringIO()

    report_audit(counted, Console(file=text))

    assert counted.complete is complete
    assert words in text.getvalue()


@pytest.mark.real
@pytest.mark.timeout(DEMO_SECONDS + 30)
def test_the_demo_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Started in another folder and without a terminal it exits 0, and none of its processes is left."""
    environment = {**os.environ, "KUBERNAUT_HOME": str(tmp_path / "home"), "KUBERNAUT_TEST_DEMO": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-m", "kubernaut", "demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as it should") == len(SAMPLES)
    assert "one row for each message" in done.stdout
    assert "\x1b" not in done.stdout
    assert _left(tmp_path) == []


def _left(folder: Path) -> list[str]:
    """Return the command lines of what was started for the demo in a folder and still runs."""
    mark, left = f"KUBERNAUT_TEST_DEMO={folder}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                left.append((process / "cmdline").read_text())
        except OSError:
            continue  # it ended while we looked, or is none of ours
    return left
