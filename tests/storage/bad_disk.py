"""Runs a program on a disk that forgets, fails or is slow. `python -m … LIVE DURABLE TEMPER PROGRAM …`.

The file TEMPER says what the disk is like at each moment: `good`, `broken` (what should become durable does not, and
the program is told EIO) or `slow` (it takes 200 ms). On SIGTERM the power is cut, and below DURABLE appears what the
disk holds then.
"""

from __future__ import annotations

import errno
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

from tests.storage.powercut import Disk
from tests.storage.traced import Answer, Call, run

SLOW_SECONDS = 0.2


class Temper(StrEnum):
    """What the disk is like."""

    GOOD = "good"
    BROKEN = "broken"
    SLOW = "slow"


class Drive:
    """Such a disk, seen from outside; good until it is told otherwise."""

    environment: Final = {"PYTHONPATH": str(Path(__file__).parents[2])}
    """What a program needs to run on it."""

    def __init__(self, live: Path, durable: Path, temper: Path) -> None:
        """`live`: what is looked at; `durable`: where it is left; `temper`: the file that tells."""
        self.live = live
        self.durable = durable
        self._temper = temper
        self.becomes(Temper.GOOD)

    def becomes(self, temper: Temper) -> None:
        """Change, from the next call on."""
        new = self._temper.with_suffix(".new")
        new.write_text(temper)
        new.replace(self._temper)

    def command(self, program: tuple[str, ...]) -> tuple[str, ...]:
        """Return how a program is run on it."""
        return (sys.executable, "-m", __name__, str(self.live), str(self.durable), str(self._temper), *program)


class BadDisk(Disk):
    """A disk with a temper."""

    def __init__(self, live: Path, durable: Path, temper: Path) -> None:
        super().__init__(live, durable)
        self._temper = temper
        self._found: dict[int, Temper] = {}
        self.failures = 0

    def begins(self, call: Call) -> bool:
        """Look what the disk is like as the call begins."""
        self._found[call.thread] = Temper(self._temper.read_text())
        if self._found[call.thread] is not Temper.BROKEN:
            super().begins(call)
        return True

    def ends(self, call: Call) -> Answer:
        """Say what became of it."""
        temper = self._found.pop(call.thread)
        if temper is Temper.BROKEN:
            self.failures += 1
            return Answer(error=errno.EIO)
        super().ends(call)
        return Answer(seconds=SLOW_SECONDS if temper is Temper.SLOW else 0.0)


def main(arguments: list[str]) -> None:
    """Run the program until SIGTERM, then leave what is durable."""
    live, durable, temper = (Path(argument).resolve() for argument in arguments[:3])
    disk = BadDisk(live, durable, temper)
    run(arguments[3:], live, disk)
    disk.write_out()
    sys.stdout.write(f"{disk.syncs} syncs, {disk.failures} that failed\n")


if __name__ == "__main__":
    main(sys.argv[1:])
