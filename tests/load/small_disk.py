"""A file system of a test's own, small enough to be filled: a tmpfs, with a ballast file that takes up what is left."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class CannotMountError(RuntimeError):
    """Mounting a file system is not allowed to this user."""


class SmallDisk:
    """A mounted one."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where it is mounted."""
        self._ballast = folder / "ballast"
        self._folder = folder

    def fill(self, *, leave: int) -> None:
        """Leave so many bytes and no more."""
        found = os.statvfs(self._folder)
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_bsize - leave)

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Mount one of `size` bytes at `folder` until the end of the block. Raises CannotMountError: only root may."""
    root = () if os.geteuid() == 0 else ("sudo", "-n")
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        [*root, "mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
        text=True,
    )
    if mounted.returncode:
        raise CannotMountError(mounted.stderr.strip())
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run([*root, "umount", "--lazy", str(folder)], check=True)
