"""What is left on a disk after a power cut: what was written and never synced is gone.

At each sync the file is copied as it is at that moment; a file that was opened with O_SYNC or O_DSYNC is copied after
each write. In the end that is written out: every name, and of every file only what was synced. That is harder than most
disks: it is what a program may rely on.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tests.storage.traced import Answer, Call


class Disk:
    """What would be there after the power came back."""

    def __init__(self, live: Path, durable: Path) -> None:
        self._live = live
        self._durable = durable
        self._kept: dict[tuple[int, int], bytes] = {}
        for file in live.rglob("*"):
            self._keep(file)  # what is there already is durable
        self.syncs = 0

    def begins(self, call: Call) -> bool:
        """Keep a file before its sync returns: what is written meanwhile may not be part of it."""
        self.syncs += 1
        if call.syncs:
            self._keep(call.file)
        return not call.syncs

    def ends(self, call: Call) -> Answer:
        """Keep what a write has made durable."""
        if not call.syncs:
            self._keep(call.file)
        return Answer()

    def _keep(self, file: Path) -> None:
        with contextlib.suppress(OSError), file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            self._kept[(found.st_dev, found.st_ino)] = opened.read()

    def write_out(self) -> None:
        """Make the folder: every name, of every file what was synced, in folders what there is."""
        for path in sorted(self._live.rglob("*")):
            target = self._durable / path.relative_to(self._live)
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                found = path.stat()
                target.write_bytes(self._kept.get((found.st_dev, found.st_ino), b""))
