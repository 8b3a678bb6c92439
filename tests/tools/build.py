"""Go programs that tests run: built once from pinned modules and kept in the user's cache. It starts none of them."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import subprocess
from pathlib import Path
from typing import Final

import platformdirs

from kubernaut.local.toolchain import Toolchain, find_toolchain

BUILD_SECONDS: Final = 3600.0
"""helm and kubeconform take seven minutes on two busy cores."""


def built(modules: Path, package: str = ".", *, go: Toolchain | None = None) -> Path:
    """Return the program of a package, built at most once for the same sources and pinned modules.

    `modules`: the folder of the go.mod that pins it; `package`: of a module in there, or a folder below.
    """
    name = modules.name if package == "." else package.rpartition("/")[2]
    program = _cache() / _key(modules) / name
    program.parent.mkdir(parents=True, exist_ok=True)
    with program.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel drops it with the file; two builds at once take twice as long
        if not program.exists():
            scratch = program.with_name(f"{name}-{os.getpid()}")
            flags = ("build", "-trimpath", "-ldflags", "-s -w", "-o", str(scratch))
            run_go(go or asyncio.run(find_toolchain()), modules, *flags, package)
            scratch.replace(program)
    return program


def run_go(go: Toolchain, folder: Path, *arguments: str) -> str:
    """Run the Go command in a folder; return what it prints."""
    command = [str(go.program), "-C", str(folder), *arguments]
    environment = os.environ | go.environment() | {"GOFLAGS": "-mod=readonly -buildvcs=false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def _cache() -> Path:
    return platformdirs.user_cache_path("kubernaut") / "tools"


def _key(modules: Path) -> str:
    sources = sorted([*modules.glob("*.go"), modules / "go.mod", modules / "go.sum"])
    return hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()[:16]
