"""Folders that are claimed: the claim ends with the process that has it, and then the next deletes the folder."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubernaut.local import claims
from kubernaut.local.claims import Claim, scratch, sweep
from kubernaut.local.errors import LocalStackError

ROOT = Path(__file__).parents[2]
_CLAIM = """
import sys
from pathlib import Path
from kubernaut.local.claims import Claim

claim = Claim(Path(sys.argv[1]), sys.argv[2])
(claim.folder / "data").write_text("much")
print("claimed", flush=True)
sys.stdin.read()
"""


@contextmanager
def a_claiming_process(parent: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has claimed a folder and does not give it up by itself."""
    command = [sys.executable, "-c", _CLAIM, str(parent), name]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        try:
            yield process
        finally:
            process.kill()  # its end is waited for


def names(folder: Path) -> set[str]:
    """Return what is in a folder."""
    return {path.name for path in folder.iterdir()}


def test_what_a_killed_process_had_claimed_is_deleted(tmp_path: Path) -> None:
    """By whoever looks next; what a living one has, or what is called otherwise, is left alone."""
    (tmp_path / "ours-unclaimed").mkdir()
    with a_claiming_process(tmp_path, "ours-living"), a_claiming_process(tmp_path, "theirs-dead") as other:
        with a_claiming_process(tmp_path, "ours-dead") as process:
            sweep(tmp_path, "ours-")
            before = names(tmp_path)
            process.kill()
            process.wait()
        other.kill()
        other.wait()
        sweep(tmp_path, "ours-")

        living = {"ours-unclaimed", "ours-living", "ours-living.lock", "theirs-dead", "theirs-dead.lock"}
        assert living | {"ours-dead", "ours-dead.lock"} == before
        assert living == names(tmp_path)
        assert "much" == (tmp_path / "ours-living" / "data").read_text()


def test_a_claim_that_is_released_leaves_nothing(tmp_path: Path) -> None:
    """Neither the folder nor its lock; the next gets it empty."""
    claim = Claim(tmp_path, "one")
    (claim.folder / "data").write_text("much")
    claim.release()
    after = names(tmp_path)

    again = Claim(tmp_path, "one")

    assert set() == after
    assert set() == names(again.folder)
    again.release()


def test_what_was_killed_in_the_same_place_is_emptied(tmp_path: Path) -> None:
    """Without a sweep: who claims the name has it anew."""
    with a_claiming_process(tmp_path, "one") as process:
        process.kill()
        process.wait()

    claim = Claim(tmp_path, "one")

    assert set() == names(claim.folder)
    claim.release()


def test_what_somebody_else_has_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who claims it is told, and has waited for no longer than a deletion takes."""
    monkeypatch.setattr(claims, "_DELETED_SECONDS", 0.2)
    with a_claiming_process(tmp_path, "one"):
        with pytest.raises(LocalStackError, match="is somebody else's"):
            Claim(tmp_path, "one")

        assert "much" == (tmp_path / "one" / "data").read_text()


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    """A folder for temporary files is open to everybody."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("kept")
    (tmp_path / "ours-one").symlink_to(target)
    (tmp_path / "ours-one.lock").write_text("")
    (tmp_path / "ours-two.lock").symlink_to(target / "file")

    sweep(tmp_path, "ours-")

    assert "kept" == (target / "file").read_text()
    assert (tmp_path / "ours-two.lock").is_symlink()
    with pytest.raises(LocalStackError):
        Claim(tmp_path, "ours-two")


def test_a_scratch_folder_is_for_us_alone_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it goes what a killed process left of the same kind, and nothing of another."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with a_claiming_process(tmp_path, "kubernaut-one-0"), a_claiming_process(tmp_path, "kubernaut-two-0"):
        living = names(tmp_path)

    with scratch("one") as folder:
        during = names(tmp_path)
        mode = folder.stat().st_mode & 0o777
        (folder / "data").write_text("much")

    two = {"kubernaut-two-0", "kubernaut-two-0.lock"}
    assert two | {"kubernaut-one-0", "kubernaut-one-0.lock"} == living
    assert two | {folder.name, f"{folder.name}.lock"} == during
    assert (0o700, two) == (mode, names(tmp_path))
