"""What builds and runs containers for tests: the machine's engine if that can pull, else a podman of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.parts import NATS_IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

VARIABLE: Final = "KUBERNAUT_TEST_CONTAINERS"
"""1 demands the tests that need an engine, 0 leaves them out; without it they run where there is an engine."""
_PROGRAMS: Final = ("docker", "podman")
_OWN_PROGRAMS: Final = ("podman", "runc", "iptables", "debootstrap")
_ASK_SECONDS: Final = 60.0
_PULL_SECONDS: Final = 180.0
RUN_SECONDS: Final = 900.0
"""The longest that anything may take; a build on a busy machine does."""


class ContainerError(RuntimeError):
    """A program that handles containers failed; the message has its last words."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How an engine is called. `environment` is for child processes only: nothing is set in this one."""

    program: str
    """docker or podman."""
    environment: Mapping[str, str]
    build_options: tuple[str, ...] = ()
    """What each `build` needs here."""
    pulls: bool
    """Whether public images can be had."""
    _images: list[str] = field(default_factory=list)

    def run(self, *arguments: str, seconds: float = RUN_SECONDS) -> str:
        """Run one command of the engine and return what it printed. Raises ContainerError."""
        return call(self.program, *arguments, environment=self.environment, seconds=seconds)

    def build(self, tag: str, context: Path, *options: str) -> str:
        """Build the Containerfile of a folder; the image is deleted with the engine. Return its tag."""
        file = context / "Containerfile"
        self.run("build", *self.build_options, "--file", str(file), "--tag", tag, *options, str(context))
        self.forget_at_the_end(tag)
        return tag

    def forget_at_the_end(self, tag: str) -> None:
        """Delete this image with the engine, whoever built it."""
        self._images.append(tag)

    def delete_images(self) -> None:
        """Delete what the tests built."""
        for tag in reversed(self._images):
            subprocess.run(
                [self.program, "rmi", "--force", tag], env=self.environment, check=False, capture_output=True
            )
        self._images.clear()


def call(
    *command: str,
    environment: Mapping[str, str] | None = None,
    seconds: float = RUN_SECONDS,
    folder: Path | None = None,
) -> str:
    """Run a program to its end and return what it printed. Raises ContainerError."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=environment,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        message = f"{' '.join(command)} did not end within {seconds:g} s"
        raise ContainerError(message) from None
    if done.returncode != 0:
        told = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        message = f"{' '.join(command)} failed with code {done.returncode}:\n{told}"
        raise ContainerError(message)
    return done.stdout


def own_can_run() -> bool:
    """Whether a podman of the tests' own has what it needs (`podman.own_podman`)."""
    return os.geteuid() == 0 and not own_lacks()


def own_lacks() -> list[str]:
    """Return the programs that are missing for a podman of the tests' own."""
    return [program for program in _OWN_PROGRAMS if shutil.which(program) is None]


def is_here() -> bool:
    """Whether containers can run on this machine, as far as can be told without trying."""
    return own_can_run() or any(_answers(program) for program in _PROGRAMS)


def wanted() -> bool:
    """Whether the tests that need an engine are to run."""
    asked = os.environ.get(VARIABLE)
    return is_here() if not asked else asked != "0"


def that_pulls() -> Engine | None:
    """Return the machine's engine, if there is one and it can have public images."""
    for program in _PROGRAMS:
        if _answers(program):
            try:
                call(program, "pull", "--quiet", f"docker.io/library/{NATS_IMAGE}", seconds=_PULL_SECONDS)
            except ContainerError:
                continue
            return Engine(program=program, environment=dict(os.environ), pulls=True)
    return None


def _answers(program: str) -> bool:
    if shutil.which(program) is None:
        return False
    try:
        call(program, "info", seconds=_ASK_SECONDS)
    except ContainerError:
        return False
    return True


@contextmanager
def deleting_images(engine: Engine) -> Iterator[Engine]:
    """Use an engine, and leave none of the images that were built with it."""
    try:
        yield engine
    finally:
        engine.delete_images()
