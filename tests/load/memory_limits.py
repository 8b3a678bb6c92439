"""A process that may use so much memory and no more: by a cgroup of the kernel, else by a guard that kills.

Must never let a service run without a limit because the machine offers none: then the guard looks at it ten times a
second and kills it with SIGKILL, as the kernel would.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

MIB: Final = 1024 * 1024
_CGROUPS: Final = Path("/sys/fs/cgroup/memory")
_ENTER: Final = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
_LOOK_SECONDS: Final = 0.1
_REMOVE_SECONDS: Final = 10.0


class MemoryLimit(Protocol):
    """The limit of one service, over all of its lives."""

    kind: str
    """How it is kept, for the report of a run."""

    def wrap(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command that runs `command` under the limit, with the same process id."""

    def set(self, most: int) -> None:
        """Change the limit, in bytes, of the process that runs now and of those after it."""

    def tighten(self) -> None:
        """Lower the limit to what is used now, so that the process is killed as soon as it wants more."""

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
        self._folder.mkdir()
        self.set(most)

    def wrap(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """See `MemoryLimit`."""
        return ("/bin/sh", "-c", _ENTER, str(self._folder), *command)

    def set(self, most: int) -> None:
        """See `MemoryLimit`."""
        (self._folder / "memory.limit_in_bytes").write_text(str(most))

    def tighten(self) -> None:
        """See `MemoryLimit`. Again and again, because the kernel gives up cached files first."""
        with contextlib.suppress(OSError):  # EBUSY: it has grown meanwhile
            self.set(int((self._folder / "memory.usage_in_bytes").read_text()))

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
        self._most = most
        self._kills = 0
        self._task = asyncio.create_task(self._look_loop())

    def wrap(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """See `MemoryLimit`."""
        return command

    def set(self, most: int) -> None:
        """See `MemoryLimit`."""
        self._most = most

    def tighten(self) -> None:
        """See `MemoryLimit`."""
        self._most = 0

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
            if pid is not None and pid != killed and resident(pid) > self._most:
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
