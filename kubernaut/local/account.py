"""Which user a program runs as that refuses to run as root, and where that user can reach files.

It changes no permission of anything that it did not make.
"""

import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kubernaut.local.errors import LocalStackError

_CANDIDATES = ("nobody", "daemon")  # initdb wants a user with a name, and these exist nearly everywhere


@dataclass(frozen=True)
class Account:
    """A user of this machine by number."""

    name: str
    user_id: int
    group_id: int


def unprivileged_account() -> Account | None:
    """Return the account to drop to, or None when this process is not root and needs none."""
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=name, user_id=entry.pw_uid, group_id=entry.pw_gid)
    message = (
        "PostgreSQL refuses to run as root, and this machine has none of the users "
        f"{', '.join(_CANDIDATES)} to run it as; run as another user, or give a database of yours with --postgres"
    )
    raise LocalStackError(message)


def is_reachable(path: Path) -> bool:
    """Tell whether any user may enter every folder above the path and read the path itself, by its mode bits."""
    resolved = path.resolve()
    wanted = stat.S_IROTH | (stat.S_IXOTH if resolved.is_dir() else 0)
    if resolved.stat().st_mode & wanted != wanted:
        return False
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in resolved.parents)


def shared_parent(preferred: Path) -> Path:
    """Return a folder that other users may enter: `preferred`, else one for temporary files."""
    preferred.mkdir(parents=True, exist_ok=True)
    for parent in (preferred, Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/tmp")):  # noqa: S108 - the last resorts
        if parent.is_dir() and is_reachable(parent):
            return parent
    message = (
        f"no folder was found that both root and other users may enter: {preferred} is closed, "
        "and so are the folders for temporary files; set TMPDIR to one with mode 1777"
    )
    raise LocalStackError(message)


def emptied_folder(folder: Path) -> Path:
    """Make a folder of ours, or empty it when it is there already."""
    if folder.is_symlink() or (folder.exists() and folder.stat().st_uid != os.geteuid()):
        message = f"{folder} belongs to somebody else; remove it, or set TMPDIR to another folder"
        raise LocalStackError(message)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    folder.chmod(0o711)  # whatever the umask is
    return folder
