"""Folders outside of a stack's own, each claimed by a lock beside it; those that nobody claims any more are deleted.

The kernel drops a lock with the process that holds it, however that ends. A folder without a lock beside it is not ours
to judge and is left alone.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from kubernaut.local.account import emptied_folder
from kubernaut.local.errors import LocalStackError

_LOCK = ".lock"
_DELETED_SECONDS = 60.0
"""How long somebody may take to delete what was there."""
_POLL_SECONDS = 0.05


class Claim:
    """A folder that is ours until it is released or this process dies."""

    def __init__(self, parent: Path, name: str) -> None:
        """Claim the folder, and make or empty it. Waits while somebody deletes what was there.

        Who claims a name must know that nobody else works in it. Raises LocalStackError.
        """
        self.folder = parent / name
        lock = _locked(_lock_of(self.folder), seconds=_DELETED_SECONDS)
        if lock is None:
            message = f"{self.folder} is somebody else's; end what runs there, or set TMPDIR to another folder"
            raise LocalStackError(message)
        self._lock = lock
        try:
            emptied_folder(self.folder)
        except BaseException:
            self._lock.close()
            raise

    def release(self) -> None:
        """Delete the folder and give the claim up."""
        _delete(self.folder, self._lock)


def sweep(parent: Path, prefix: str) -> None:
    """Delete the folders below `parent` whose names begin so and whose claim died with its process."""
    for path in parent.glob(f"{prefix}*{_LOCK}"):
        lock = _locked(path, seconds=0.0)
        if lock is not None:
            _delete(path.with_name(path.name.removesuffix(_LOCK)), lock)


@contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """Give a folder for temporary files of a kind, for us alone, deleted at the end; those of killed runs go first."""
    parent, prefix = Path(tempfile.gettempdir()), f"kubernaut-{kind}-"
    sweep(parent, prefix)
    claim = Claim(parent, f"{prefix}{secrets.token_hex(6)}")
    try:
        claim.folder.chmod(0o700)
        yield claim.folder
    finally:
        claim.release()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_LOCK}")


def _delete(folder: Path, lock: IO[str]) -> None:
    """Delete the folder first: as long as there is one, it has a lock."""
    shutil.rmtree(folder, ignore_errors=True)
    _lock_of(folder).unlink(missing_ok=True)
    lock.close()


def _locked(path: Path, *, seconds: float) -> IO[str] | None:
    """Open and lock a file of ours; None when it is somebody else's, or held by another for so long."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+")
        except OSError:
            return None
        if os.fstat(file.fileno()).st_uid != os.geteuid():
            file.close()
            return None
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):
                return file
        file.close()  # somebody has it, or has just deleted it: the lock of a file that nobody finds is worth nothing
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_SECONDS)


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
