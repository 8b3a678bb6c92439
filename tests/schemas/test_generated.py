"""What is made from the contracts is current, and the check finds out when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from schemas.crds import execution_crd, workflow_crd
from schemas.generate import generated, main, stale, write

ROOT = Path(__file__).resolve().parents[2]


def test_the_files_in_the_repository_are_current() -> None:
    """CI runs the same check."""
    assert stale(ROOT) == []


def test_what_is_written_is_current(tmp_path: Path) -> None:
    """Into an empty folder, and then nothing is left to do."""
    first, second = write(tmp_path), write(tmp_path)

    assert (sorted(generated()), [], []) == (first, second, stale(tmp_path))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(lambda root: (root / "docs/actions.md").unlink(), "docs/actions.md", id="a file is missing"),
        pytest.param(
            lambda root: (root / "docs/actions.md").write_bytes(b"\xff"), "docs/actions.md", id="a file was edited"
        ),
        pytest.param(
            lambda root: (root / "schemas/generated/old.schema.json").write_text("{}"),
            "schemas/generated/old.schema.json",
            id="a file is not made any more",
        ),
    ],
)
def test_a_file_that_is_not_current_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: object, named: str
) -> None:
    """With the command that mends it, and exit code 1."""
    write(tmp_path)
    change(tmp_path)  # type: ignore[operator]

    code = main(["--check"], tmp_path)

    assert (code, capsys.readouterr().err) == (1, f"{named} is not current; run: python -m schemas.generate\n")


def test_writing_mends_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stale files are written, old ones taken away, each named."""
    write(tmp_path)
    (tmp_path / "docs/actions.md").write_text("x")
    (tmp_path / "schemas/generated/old.schema.json").write_text("{}")

    codes = [main([], tmp_path), main(["--check"], tmp_path)]

    assert (codes, capsys.readouterr().out) == (
        [0, 0],
        "wrote docs/actions.md\nwrote schemas/generated/old.schema.json\n",
    )


def test_an_unknown_argument_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what is known, and nothing is written."""
    code = main(["--chek"], tmp_path)

    assert (code, capsys.readouterr().err.startswith("usage: "), list(tmp_path.iterdir())) == (2, True, [])


def test_the_files_hold_the_definitions_that_are_installed() -> None:
    """Whoever applies the files has the same as whoever runs the installer."""
    files = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / "deploy/crds").glob("*.yaml")}

    assert files == {"workflowexecutions.yaml": workflow_crd(), "kubernetesexecutions.yaml": execution_crd()}
