"""What processes use, as /proc tells: CPU time and memory, their children included. Linux only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from kubernaut.local.process import descendants

MIB: Final = 1024 * 1024
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS: Final = 0.5
_ENDED: Final = slice(13, 15)
"""Places after the name in /proc/PID/stat of what ended children used: cutime and cstime."""


class Usage(msgspec.Struct, frozen=True):
    """What a process and everything below it have used so far."""

    cpu: float
    """Seconds of CPU, of ended children too."""
    memory: int
    """Resident bytes; of a family the proportional share, because its members share pages."""
    peak: int
    """The most resident bytes ever; of a family as much as now, because the kernel keeps no peak of that."""


Pids = Callable[[], Mapping[str, int]]
"""The processes to look at, by name; a restarted one has another id."""


def look(pids: Mapping[str, int]) -> dict[str, Usage]:
    """Return what each process uses, with all of its children; those that have ended are left out."""
    found = {name: _of_family([pid, *descendants(pid)]) for name, pid in pids.items()}
    return {name: usage for name, usage in found.items() if usage is not None}


def spent(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    """Return the seconds of CPU between two looks."""
    return {name: usage.cpu - before[name].cpu for name, usage in after.items() if name in before}


def own_cpu() -> float:
    """Return the seconds of CPU that this process has used, without its children."""
    return time.process_time()


class Peaks:
    """Looks at the memory of processes now and then, and keeps the most of each."""

    def __init__(self, pids: Pids) -> None:
        self._pids = pids
        self.most: dict[str, int] = {}

    def look(self) -> None:
        """Look once."""
        for name, usage in look(self._pids()).items():
            self.most[name] = max(self.most.get(name, 0), usage.peak)

    async def sample_loop(self) -> None:
        """Look for ever."""
        while True:
            self.look()
            await asyncio.sleep(_SAMPLE_SECONDS)


def _of_family(pids: list[int]) -> Usage | None:
    members = [usage for pid in pids if (usage := _of_process(pid, alone=len(pids) == 1)) is not None]
    if not members:
        return None
    return Usage(
        sum(member.cpu for member in members),
        sum(member.memory for member in members),
        sum(member.peak for member in members),
    )


def _of_process(pid: int, *, alone: bool) -> Usage | None:
    folder = Path("/proc") / str(pid)
    try:
        fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        status = (folder / "status").read_text(errors="replace")
        rollup = "" if alone else (folder / "smaps_rollup").read_text(errors="replace")
        cpu = time.clock_gettime(_cpu_clock(pid)) + sum(map(int, fields[_ENDED])) / _TICKS
    except OSError:
        return None
    if alone:
        return Usage(cpu, _bytes(status, "VmRSS"), _bytes(status, "VmHWM"))
    shared = _bytes(rollup, "Pss")
    return Usage(cpu, shared, shared)


def _cpu_clock(pid: int) -> int:
    """Return the id of the clock of a process' CPU, in nanoseconds: utime and stime are ticks, ten milliseconds long.

    As Linux makes it (clock_getcpuclockid(3), CPUCLOCK_SCHED); Python offers it for threads only.
    """
    return (~pid << 3) | 2


def _bytes(text: str, field: str) -> int:
    with contextlib.suppress(AttributeError):
        return int(re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)[1]) * 1024  # type: ignore[index]
    return 0
