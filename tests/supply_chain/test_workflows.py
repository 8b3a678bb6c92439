"""The workflows of .github can do no more than they must, and run nothing that can change under them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / ".github"
WORKFLOWS: Final = sorted((FOLDER / "workflows").glob("*.yml"))
TAKEN: Final = {
    "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1": "v7.0.1",
    "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97": "v7.0.0",
    "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae": "v5.0.5",
}
"""The actions that are used, each a commit that was looked up; another one is a decision."""


def judged(folder: Path) -> subprocess.CompletedProcess[str]:
    """Have zizmor look, without a network."""
    zizmor = Path(sys.executable).with_name("zizmor")
    command = [str(zizmor), "--offline", "--persona", "pedantic", "--no-progress", "--quiet", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    """Return the jobs of a workflow."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(workflow.read_text())["jobs"]
    return found


def test_zizmor_finds_nothing() -> None:
    """With its strictest view."""
    done = judged(FOLDER)

    assert 0 == done.returncode, done.stdout + done.stderr


def test_zizmor_would_find_something(tmp_path: Path) -> None:
    """A workflow that runs what a stranger wrote into a title, with an action that may change."""
    workflow = tmp_path / ".github" / "workflows" / "bad.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(
        "on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - uses: actions/checkout@main\n      - run: echo ${{ github.event.pull_request.title }}\n"
    )

    done = judged(tmp_path)

    assert 0 != done.returncode
    assert "template-injection" in done.stdout
    assert "unpinned-uses" in done.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_every_action_is_a_commit_that_was_looked_up(workflow: Path) -> None:
    """With its version beside it, for people and for Dependabot."""
    used = re.findall(r"uses: (\S+)(?: # (\S+))?", workflow.read_text())

    assert used
    assert [(action, TAKEN.get(action)) for action, _ in used] == used


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_every_job_has_its_own_rights_and_an_end(workflow: Path) -> None:
    """None of the whole workflow's; writing only where something is given away."""
    whole = yaml.safe_load(workflow.read_text())
    writing = {name for name, job in jobs(workflow).items() if "write" in job["permissions"].values()}

    assert {} == whole["permissions"]
    assert whole["concurrency"]["group"]
    assert all(job["timeout-minutes"] <= 90 for job in jobs(workflow).values())
    assert writing == ({"image", "release"} if workflow.stem == "release" else set())


def test_what_the_workflows_call_is_there() -> None:
    """The rules of the Makefile and the script."""
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {
        words
        for workflow in WORKFLOWS
        for job in jobs(workflow).values()
        for step in job["steps"]
        for words in re.findall(r"^make (\w+)$", step.get("run", ""))
    }

    assert {"image", "scan", "secrets"} == called
    assert called <= rules
    assert (ROOT / ".ci" / "run").exists()


def test_dependabot_knows_every_module() -> None:
    """A go.mod that it does not know would grow old unseen."""
    known = [
        each for each in yaml.safe_load((FOLDER / "dependabot.yml").read_text())["updates"] if "directories" in each
    ]
    modules = {f"/{file.parent.relative_to(ROOT)}" for file in ROOT.glob("*/**/go.mod") if ".venv" not in file.parts}

    assert modules == set(known[0]["directories"])
