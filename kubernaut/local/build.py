"""The programs of the Kubernetes control plane: given ones, or `localcluster` built once and kept in the user's cache.

It never leaves a half-written program where a finished one is looked for, and it starts none of them.
"""

import asyncio
import fcntl
import hashlib
import os
import platform
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import platformdirs

from kubernaut.local.compile import compile_program
from kubernaut.local.errors import LocalStackError
from kubernaut.local.kubernetes import API_SERVER, CONTROLLER_MANAGER, ETCD
from kubernaut.local.progress import Progress

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
_REQUIRED = (ETCD, API_SERVER)
_OPTIONAL = (CONTROLLER_MANAGER,)
_PROGRAM = "localcluster"
_KEPT_PROGRAMS = 3
_SCRATCH_PREFIX = "build-"
_POLL_SECONDS = 0.2


async def control_plane(progress: Progress) -> Mapping[str, tuple[str, ...]]:
    """Return how each program of the control plane is called, building them first when they are not there."""
    assets = os.environ.get(ASSETS_VARIABLE)
    if assets:
        return _given(assets)
    program = str(await build(find_sources(), cache_folder(), progress))
    return {name: (program, name) for name in (*_REQUIRED, *_OPTIONAL)}


def cache_folder() -> Path:
    """Where built programs are kept."""
    return platformdirs.user_cache_path("kubernaut") / _PROGRAM


def find_sources() -> Path:
    """Return the folder of the Go program: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / _PROGRAM, package.parent / _PROGRAM):
        if (folder / "go.mod").exists():
            return folder
    message = (
        f"the sources of {_PROGRAM} are neither in {package} nor beside it; install kubernaut-workflow again, "
        f"or set {ASSETS_VARIABLE} to a folder with {', '.join(_REQUIRED)}"
    )
    raise LocalStackError(message)


async def build(sources: Path, cache: Path, progress: Progress) -> Path:
    """Return the program made of these sources, building it at most once however many ask at the same time."""
    program = cache / f"{_PROGRAM}-{source_key(sources)}"
    if program.exists():
        os.utime(program)  # the ones used last are kept
        return program
    async with _alone(cache, progress):
        if program.exists():
            return program
        _drop_old(cache)
        scratch = cache / f"{_SCRATCH_PREFIX}{os.getpid()}"
        scratch.mkdir()
        try:
            built = await compile_program(sources, scratch, linker_variables(sources), progress)
            built.replace(program)
        finally:
            progress.say("removing what only the build needed; a slow disk takes minutes for that")
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    return program


def source_key(sources: Path) -> str:
    """Return a name for what the sources and the kind of machine make: 16 hex digits."""
    digest = hashlib.sha256(f"{platform.system()} {platform.machine()}\n".encode())
    for file in sorted([*sources.glob("*.go"), sources / "go.mod", sources / "go.sum"]):
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def linker_variables(sources: Path) -> dict[str, str]:
    """Return the version that Kubernetes' own build stamps into its programs; clients refuse the unstamped one."""
    found = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)", (sources / "go.mod").read_text())
    if found is None:
        return {}
    package = "k8s.io/component-base/version"
    return {
        f"{package}.gitVersion": found[1],
        f"{package}.gitMajor": found[2],
        f"{package}.gitMinor": found[3],
    }


def _given(assets: str) -> Mapping[str, tuple[str, ...]]:
    folder = Path(assets).absolute()
    programs = {name: (str(folder / name),) for name in (*_REQUIRED, *_OPTIONAL) if (folder / name).exists()}
    missing = [name for name in _REQUIRED if name not in programs]
    if missing:
        message = (
            f"{ASSETS_VARIABLE}={folder} has no {' and no '.join(missing)}; "
            "point it to a folder that has them, or unset it to have them built"
        )
        raise LocalStackError(message)
    return programs


@asynccontextmanager
async def _alone(cache: Path, progress: Progress) -> AsyncIterator[None]:
    """Hold the lock of the cache; the kernel drops it when this process dies."""
    with _lock_file(cache) as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress.say(f"waiting for another build of {_PROGRAM} on this machine to end")
                    told = True
                await asyncio.sleep(_POLL_SECONDS)
        yield


def _lock_file(cache: Path) -> IO[str]:
    cache.mkdir(parents=True, exist_ok=True)
    return (cache / "lock").open("w")


def _drop_old(cache: Path) -> None:
    """Delete what interrupted builds left, and all but the programs used last."""
    for scratch in cache.glob(f"{_SCRATCH_PREFIX}*"):
        shutil.rmtree(scratch, ignore_errors=True)
    programs = sorted(cache.glob(f"{_PROGRAM}-*"), key=lambda file: file.stat().st_mtime, reverse=True)
    for program in programs[_KEPT_PROGRAMS - 1 :]:
        program.unlink()
