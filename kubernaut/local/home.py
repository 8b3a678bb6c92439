"""Where a stack of a name keeps its files, and the lock that says that it runs. It starts and ends nothing."""

import fcntl
import os
import re
import shutil
import time
from pathlib import Path
from typing import IO

import platformdirs

from kubernaut.local.errors import AlreadyRunningError, LocalStackError

DEFAULT_NAME = "default"
HOME_VARIABLE = "KUBERNAUT_HOME"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_POLL_SECONDS = 0.05


class Home:
    """The folders of one stack: `state`, emptied when it ends, and `logs`, kept."""

    def __init__(self, name: str = DEFAULT_NAME, root: Path | None = None) -> None:
        """Use `root`, else KUBERNAUT_HOME, else the user's own folders for state and logs."""
        if _NAME.fullmatch(name) is None:
            message = f"{name!r} cannot name a stack: use 1 to 40 of a-z, 0-9 and '-', not at its ends"
            raise LocalStackError(message)
        self.name = name
        asked = root or (Path(os.environ[HOME_VARIABLE]) if os.environ.get(HOME_VARIABLE) else None)
        if asked is not None:
            self.state = asked.absolute() / name
            self.logs = self.state / "logs"
        else:
            self.state = platformdirs.user_state_path("kubernaut") / name
            self.logs = platformdirs.user_log_path("kubernaut") / name

    @property
    def data(self) -> Path:
        """What the parts write; deleted at the end."""
        return self.state / "data"

    @property
    def state_file(self) -> Path:
        """What runs, for `kubernaut status`."""
        return self.state / "state.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig of the embedded Kubernetes API."""
        return self.state / "kubeconfig"

    @property
    def error_file(self) -> Path:
        """What a supervisor in the background writes when it breaks itself; gone when it ended well."""
        return self.state / "supervisor.err"

    @property
    def _lock_file(self) -> Path:
        return self.state / "lock"

    def lock(self) -> "Lock":
        """Take the lock until it is closed or this process dies; AlreadyRunningError when somebody has it."""
        self.state.mkdir(parents=True, exist_ok=True)
        file = self._lock_file.open("a+")
        if not _try_lock(file):
            file.close()
            message = (
                f"a stack named {self.name!r} is running already (its files are in {self.state}). "
                f"End it with `kubernaut down{self.name_option}`, or start a second one with `--name`."
            )
            raise AlreadyRunningError(message)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return Lock(file)

    @property
    def name_option(self) -> str:
        """What a command needs so that it means this stack."""
        return "" if self.name == DEFAULT_NAME else f" --name {self.name}"

    def is_running(self) -> bool:
        """Tell whether somebody holds the lock."""
        if not self._lock_file.exists():
            return False
        with self._lock_file.open("a") as file:
            return not _try_lock(file)

    def holder(self) -> int | None:
        """Return the id of the process that holds the lock, None when nobody does."""
        if not self.is_running():
            return None
        written = self._lock_file.read_text()
        return int(written) if written.isdigit() else None

    def wait_stopped(self, seconds: float) -> bool:
        """Wait until nobody holds the lock; False when the time is up."""
        deadline = time.monotonic() + seconds
        while self.is_running():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def rotate_logs(self) -> None:
        """Begin a new folder of logs, keeping the one before as `logs.previous` beside it."""
        previous = self.logs.with_name(f"{self.logs.name}.previous")
        if self.logs.is_dir() and any(self.logs.iterdir()):
            shutil.rmtree(previous, ignore_errors=True)
            self.logs.rename(previous)
        self.logs.mkdir(parents=True, exist_ok=True)


class Lock:
    """The lock of a home, held."""

    def __init__(self, file: IO[str]) -> None:
        """Keep the open file: the kernel drops the lock with it."""
        self._file = file

    def close(self) -> None:
        """Give it up."""
        self._file.close()


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
