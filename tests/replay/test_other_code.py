from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kubernaut.replay.other_code import OtherCode, OtherCodeError, checkout
from kubernaut.replay.verdict import judge_with, told
from tests.replay.builders import a_chain

REPOSITORY = Path(__file__).parents[2]
IN_GIT = (REPOSITORY / ".git").exists() and shutil.which("git") is not None
needs_git = pytest.mark.skipif(not IN_GIT, reason="this checkout is no git repository")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code that takes part in a decision."""
    folder: Path = tmp_path_factory.mktemp("copy")
    for package in ("schemas", "runtime", "scheduler"):
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def changed(copy: Path, folder: Path, file: str, old: str, new: str) -> str:
    """A version of the code with one text replaced."""
    shutil.copytree(copy, folder, dirs_exist_ok=True)
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return str(folder)


def test_the_same_code_elsewhere_decides_the_same(copy: Path) -> None:
    """In its own process, run by run."""
    names = ("stuck-drain", "production-failover")

    with judge_with(str(copy)) as decide_again:
        found = [decide_again(a_chain(name), effects=False) for name in names]

    assert [False, False] == [each.wrong for each in found]
    assert all(each.same for each in found)


def test_a_changed_rule_is_told_with_what_follows_from_it_and_the_reason(copy: Path, tmp_path: Path) -> None:
    """A version without retries: a failed attempt is the end of the step."""
    code = changed(copy, tmp_path, "scheduler/executing.py", "if not again or", "if True or")

    with judge_with(code) as decide_again:
        judged = decide_again(a_chain("throttled-api"), effects=True)

    text = "\n".join(told(judged))
    assert judged.wrong
    assert "- step 2 executing -> waiting_retry [" in text
    assert "+ step 2 executing -> failed [" in text


def test_a_changed_command_is_told_field_by_field(copy: Path, tmp_path: Path) -> None:
    """With the step's rule."""
    code = changed(
        copy,
        tmp_path,
        "scheduler/commanding.py",
        "hold=hold,\n            approved",
        "hold=True,\n            approved",
    )

    with judge_with(code) as decide_again:
        judged = decide_again(a_chain("stuck-drain"), effects=True)

    assert any("hold: nothing -> true  [commanded]" in line for line in told(judged))


def test_a_version_that_raises_is_told_and_asked_on(copy: Path, tmp_path: Path) -> None:
    """One decision of it fails; the others are compared."""
    code = changed(copy, tmp_path, "scheduler/rolling_back.py", "def begin(draft: Draft", "def begun(draft: Draft")

    with judge_with(code) as decide_again:
        judged = decide_again(a_chain("stuck-drain"), effects=False)

    assert judged.same + len(judged.untried) == len(a_chain("stuck-drain").made)
    assert "AttributeError" in judged.untried[0][1]


def test_a_version_that_does_not_start_is_an_error_in_words(copy: Path, tmp_path: Path) -> None:
    """And no hang."""
    code = changed(copy, tmp_path, "scheduler/decide.py", "import msgspec", "import nothing_of_that_name")

    with pytest.raises(OtherCodeError, match="broke off"), OtherCode(Path(code)):
        pass


@needs_git
def test_a_git_revision_is_checked_out_beside_and_removed_again() -> None:
    """The worktree that is asked is gone after it."""
    with checkout("HEAD", REPOSITORY) as folder:
        assert (folder / "scheduler" / "decide.py").is_file()

    worktrees = subprocess.run(
        ["git", "-C", str(REPOSITORY), "worktree", "list", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert not folder.exists()
    assert str(folder) not in worktrees.stdout


@needs_git
def test_what_is_neither_a_folder_nor_a_revision_is_refused() -> None:
    """By name."""
    with pytest.raises(OtherCodeError, match="neither a folder"), checkout("no-such-thing", REPOSITORY):
        pass
