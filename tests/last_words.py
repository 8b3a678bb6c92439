"""With each test that fails, what the services that ran at the time said last: the cause is mostly there."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LINES: Final = 6
_CHARACTERS: Final = 400
_folders: list[Path] = []


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Let the logs in a folder be shown with what fails meanwhile."""
    _folders.append(folder)
    try:
        yield
    finally:
        _folders.remove(folder)


def last_words() -> Iterator[tuple[str, str]]:
    """Return a title and the last lines of each log that is not empty, the newest system's first."""
    for folder in reversed(_folders):
        for file in sorted(folder.glob("*.log")):
            with file.open(errors="replace") as lines:
                said = "\n".join(line.rstrip()[:_CHARACTERS] for line in deque(lines, _LINES))
            if said:
                yield f"last words in {folder.parent.name}/{file.name}", said
