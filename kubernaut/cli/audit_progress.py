"""How far a long pass over the audit is: one line on a terminal, and nothing elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Final, Self

_PAUSE_SECONDS: Final = 0.2


class Progress:
    """Told of each row; use it with `with`. Shown on standard error, so that it is never part of what was asked for."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._due = 0.0
        self._shown = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def __call__(self, sequence: int, last: int) -> None:
        """Show it, a few times a second."""
        if not self._on or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _PAUSE_SECONDS
        self._shown = True
        sys.stderr.write(f"\r\033[K{sequence} of {last}")
        sys.stderr.flush()
