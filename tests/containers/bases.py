"""Images that tests stand on: public ones where they can be pulled, else made here, the slow one kept in the cache."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from kubernaut.local.build import build, cache_folder, find_sources
from kubernaut.local.nats import find_nats_server
from kubernaut.local.postgres import find_installation
from kubernaut.local.progress import Progress
from tests import parts
from tests.containers.engine import ContainerError, Engine, call
from tests.containers.podman import unmounted

if TYPE_CHECKING:
    from collections.abc import Iterator

_IMAGES: Final = Path(__file__).with_name("images")
SUITE: Final = "trixie"
PACKAGES: Final = ("ca-certificates", "openssl", "python3", "python3-venv")
"""What the product's image is built on and stands on, and what servers of tests need."""
MIRROR: Final = tuple(filter(None, [os.environ.get("KUBERNAUT_TEST_DEBIAN_MIRROR")]))
"""Of Debian's packages; none: debootstrap's own choice."""
_DROPPED: Final = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
_TRIES: Final = 3
PYTHON: Final = "localhost/kubernaut-tests/python:3.13"


@dataclass(frozen=True, kw_only=True)
class Bases:
    """Names of images, each there to be used."""

    builder: str
    """Python with pip's needs and a shell."""
    base: str
    """The same Python, for the last stage."""
    python: str
    """Where `base` has its interpreter."""
    nats: str
    postgres: str
    """With pgvector."""


def bases(engine: Engine) -> Bases:
    """Return the images to build on and to test with. Raises ContainerError."""
    if engine.pulls:
        return Bases(
            builder="docker.io/library/python:3.13-slim-trixie",
            base="gcr.io/distroless/python3-debian13:nonroot",
            python="/usr/bin/python3",
            nats=f"docker.io/library/{parts.NATS_IMAGE}",
            postgres=f"docker.io/{parts.POSTGRES_IMAGE}",
        )
    python = python_image(engine)
    return Bases(
        builder=python, base=python, python="/usr/bin/python3", nats=nats_image(engine), postgres=postgres_image(engine)
    )


def python_image(engine: Engine) -> str:
    """Import Debian with Python, made once a machine."""
    engine.run("import", str(_debian()), PYTHON)
    return PYTHON


def nats_image(engine: Engine) -> str:
    """Build nats-server as a static program and nothing else."""
    with _context("nats") as folder:
        shutil.copy2(find_nats_server(), folder / "nats-server")
        return engine.build("localhost/kubernaut-tests/nats:test", folder)


def postgres_image(engine: Engine) -> str:
    """Build PostgreSQL of the wheel, which is asked for a user, a password and a database as the public image is."""
    with _context("postgres") as folder:
        installation = find_installation()
        programs = folder / "programs" / installation.parent.name
        shutil.copytree(
            installation, programs / installation.name, ignore=shutil.ignore_patterns("include", "doc", "man")
        )
        libraries = installation.parent.with_name(f"{installation.parent.name}.libs")
        if libraries.is_dir():  # the programs look for them beside their package
            shutil.copytree(libraries, programs.with_name(libraries.name))
        return engine.build("localhost/kubernaut-tests/postgres:test", folder, "--build-arg", f"BASE={PYTHON}")


def kubernetes_image(engine: Engine) -> str:
    """Build the API server with etcd and the controller manager: what stands for K3s where none can be pulled."""
    base = "docker.io/library/python:3.13-slim-trixie" if engine.pulls else python_image(engine)
    program = asyncio.run(build(find_sources(), cache_folder(), Progress()))
    with _context("kubernetes") as folder:
        shutil.copy2(program, folder / "localcluster")
        return engine.build("localhost/kubernaut-tests/kubernetes:test", folder, "--build-arg", f"BASE={base}")


@contextmanager
def _context(name: str) -> Iterator[Path]:
    """A folder to build from, with the files of that image in it."""
    with tempfile.TemporaryDirectory(prefix="kubernaut-context-") as scratch:
        folder = Path(scratch) / name
        shutil.copytree(_IMAGES / name, folder)
        yield folder


def _debian() -> Path:
    """Return the archive of a Debian with PACKAGES; it is made where the cache has none."""
    key = hashlib.sha256("\n".join((SUITE, platform.machine(), *PACKAGES, *_DROPPED)).encode()).hexdigest()[:16]
    folder = platformdirs.user_cache_path("kubernaut") / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"debian-{SUITE}-{key}.tar.gz"
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once make it once
        if not archive.exists():
            with _in_memory() as scratch:
                _make(scratch, archive)
    return archive


@contextmanager
def _in_memory() -> Iterator[Path]:
    """A folder in memory, of which nothing is left: dpkg syncs every file, which takes minutes on a busy disk."""
    folder = Path(tempfile.mkdtemp(prefix="kubernaut-debian-"))
    try:
        call("mount", "-t", "tmpfs", "-o", "size=2g,mode=0755", "tmpfs", str(folder))
        yield folder
    finally:
        unmounted(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _make(scratch: Path, archive: Path) -> None:
    """Install Debian into a folder and pack it. Mirrors fail at times: it is tried anew."""
    for attempt in range(1, _TRIES + 1):
        root = scratch / f"root-{attempt}"
        options = ("--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root), *MIRROR)
        try:
            call("debootstrap", *options)
            break
        except ContainerError:
            if attempt == _TRIES:
                raise
        finally:
            unmounted(root)
    for each in _DROPPED:
        shutil.rmtree(root / each, ignore_errors=True)
        (root / each).mkdir()
    part = archive.with_suffix(".part")
    call("tar", "--directory", str(root), "--one-file-system", "--use-compress-program=gzip -1", "-cf", str(part), ".")
    part.replace(archive)
