"""A failure shows the last lines of each log, and nothing of a system that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.last_words import kept_in, last_words

if TYPE_CHECKING:
    from pathlib import Path


def test_the_last_lines_of_each_log_are_told(tmp_path: Path) -> None:
    """Cut where a line is long; an empty log says nothing."""
    logs = tmp_path / "a-system" / "logs"
    logs.mkdir(parents=True)
    (logs / "watcher.log").write_text("".join(f"line {n} {'x' * 1000}\n" for n in range(20)))
    (logs / "auditor.log").write_text("")

    with kept_in(logs):
        ((title, said),) = last_words()

    assert "last words in a-system/watcher.log" == title
    assert [f"line {n} xxx" for n in range(14, 20)] == [line[:11] for line in said.splitlines()]
    assert 6 * 401 > len(said)
    assert [] == list(last_words())
