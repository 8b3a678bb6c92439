"""A process that may use so much memory and no more: by a cgroup of the kernel, else by a guard that kills.

Must never let a service run without a limit because the machine offers none: then the guard looks at it ten times a
second and kills it with SIGKILL, as the kernel would.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

MIB: Final = 1024 * 1024
_CGROUPS: Final = Path("/sys/fs/cgroup/memory")
_ENTER: Final = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
_HOLD: Final = "import sys, time; held = b'x' * int(sys.argv[1]); time.sleep(600)"
_MORE_THAN_THERE_IS: Final = 8 * MIB
_LOOK_SECONDS: Final = 0.1
_REMOVE_SECONDS: Final = 10.0


class MemoryLimit(Protocol):
    """The limit of one service, over all of its lives."""

    kind: str
    """How it is kept, for the report of a run."""

    def wrap(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command that runs `command` under the limit, with the same process id."""

    def exhaust(self, pid: int) -> None:
        """Leave the process that runs now less memory than it has, so that it is killed."""

    def relax(self) -> None:
        """Give the memory back that `exhaust` took."""

    @property
    def kills(self) -> int:
        """How many processes were killed for it so far."""

    def close(self) -> None:
        """Leave nothing behind; the process has ended."""


class Cgroup:
    """A memory cgroup, version 1, of one service; the kernel kills."""

    kind = "cgroup"

    def __init__(self, name: str, most: int) -> None:
        """Make it. Raises OSError where that is not possible."""
        self._folder = _CGROUPS / f"kubernaut-{os.getpid()}-{time.monotonic_ns()}-{name}"
        self._most = most
        self._folder.mkdir()
        (self._folder / "memory.limit_in_bytes").write_text(str(most))
        self._other: subprocess.Popen[bytes] | None = None

    def wrap(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """See `MemoryLimit`."""
        return ("/bin/sh", "-c", _ENTER, str(self._folder), *command)

    def exhaust(self, pid: int) -> None:
        """See `MemoryLimit`. Another process in the cgroup takes the rest, and the kernel is told which to kill."""
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
        told = (self._folder / "memory.stat").read_text().split()
        wanted = self._most - int(told[told.index("rss") + 1]) + _MORE_THAN_THERE_IS
        holding = (sys.executable, "-S", "-c", _HOLD, str(wanted))
        self._other = subprocess.Popen(("/bin/sh", "-c", _ENTER, str(self._folder), *holding))

    def relax(self) -> None:
        """See `MemoryLimit`."""
        if self._other is not None:
            self._other.kill()
            self._other.wait()
            self._other = None

    @property
    def kills(self) -> int:
        """See `MemoryLimit`."""
        told = (self._folder / "memory.oom_control").read_text().split()
        return int(told[told.index("oom_kill") + 1])

    def close(self) -> None:
        """See `MemoryLimit`."""
        until = time.monotonic() + _REMOVE_SECONDS
        while True:
            try:
                self._folder.rmdir()
            except OSError:  # the kernel takes a moment to forget the last process
                if time.monotonic() > until:
                    raise
                time.sleep(_LOOK_SECONDS)
            else:
                return


class Guard:
    """Looks at the resident memory of a service and kills it above the limit."""

    kind = "guard"

    def __init__(self, pid: Callable[[], int | None], most: int) -> None:
        """`pid`: of the process that runs now."""
        self._pid = pid
        self._most = self._now = most
        self._kills = 0
        self._task = asyncio.create_task(self._look_loop())

    def wrap(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """See `MemoryLimit`."""
        return command

    def exhaust(self, pid: int) -> None:  # noqa: ARG002 - it asks itself which process runs
        """See `MemoryLimit`."""
        self._now = 0

    def relax(self) -> None:
        """See `MemoryLimit`."""
        self._now = self._most

    @property
    def kills(self) -> int:
        """See `MemoryLimit`."""
        return self._kills

    def close(self) -> None:
        """See `MemoryLimit`."""
        self._task.cancel()

    async def _look_loop(self) -> None:
        killed = None
        while True:
            pid = self._pid()
            if pid is not None and pid != killed and resident(pid) > self._now:
                killed = pid
                self._kills += 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_LOOK_SECONDS)


def limited(name: str, most: int, pid: Callable[[], int | None]) -> MemoryLimit:
    """Return the strictest limit that this machine can keep."""
    try:
        return Cgroup(name, most)
    except OSError:
        return Guard(pid, most)


def resident(pid: int) -> int:
    """Return the resident bytes of a process; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(found[0]) * 1024 if found else 0
