"""What a running stack tells other processes about itself, and cleaning up after one that was killed."""

import os
import shutil
import signal
import time

import msgspec

from kubernaut.local.errors import LocalStackError
from kubernaut.local.home import Home
from kubernaut.local.probes import Probe
from kubernaut.local.process import descendants, is_alive, start_time
from kubernaut.local.supervisor import Member

_POLL_SECONDS = 0.05
_GONE_SECONDS = 10.0


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a stack."""

    name: str
    pid: int | None
    started: int | None
    """When, in clock ticks since boot; tells it from a later process with the same id."""
    state: str
    restarts: int
    ports: dict[str, int]
    probe: Probe
    log: str


class StackState(msgspec.Struct, frozen=True, kw_only=True):
    """A stack as its supervisor last wrote it. It holds passwords: the file is for its owner alone."""

    name: str
    phase: str
    """starting, ready, failed or stopping."""
    message: str
    """What it is doing or why it failed, for people."""
    supervisor: int
    kubeconfig: str | None
    nats_url: str | None
    database_url: str | None
    logs: str
    folders: tuple[str, ...]
    """What is to be deleted when it has ended."""
    processes: tuple[ProcessState, ...]


def state_of(member: Member) -> ProcessState:
    """Return what others may know of a supervised process."""
    pid = member.process.pid
    return ProcessState(
        name=member.spec.name,
        pid=pid,
        started=None if pid is None else start_time(pid),
        state=member.state,
        restarts=member.restarts,
        ports=dict(member.spec.ports),
        probe=member.spec.probe,
        log=str(member.spec.log),
    )


def write_state(home: Home, state: StackState) -> None:
    """Replace the state file in one step, so that a reader never sees half of it."""
    draft = home.state_file.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(state))
    draft.replace(home.state_file)


def read_state(home: Home) -> StackState | None:
    """Return what was written last, None when there is nothing."""
    try:
        return msgspec.json.decode(home.state_file.read_bytes(), type=StackState)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        message = f"{home.state_file} cannot be read ({error}); end what runs there and delete the file"
        raise LocalStackError(message) from error


def clean_up(home: Home) -> tuple[str, ...]:
    """End and delete what a stack left that was killed; return the names of the processes that still ran.

    The caller holds the lock, or knows that nobody does.
    """
    state = read_state(home)
    if state is None:
        return ()
    left = [process for process in state.processes if _still_runs(process)]
    _kill([process.pid for process in left if process.pid is not None])
    for folder in state.folders:
        shutil.rmtree(folder, ignore_errors=True)
    for file in (home.kubeconfig, home.state_file):
        file.unlink(missing_ok=True)
    return tuple(process.name for process in left)


def _still_runs(process: ProcessState) -> bool:
    if process.pid is None or not is_alive(process.pid):
        return False
    return start_time(process.pid) == process.started


def _kill(pids: list[int]) -> None:
    family = [member for pid in pids for member in (pid, *descendants(pid))]
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + _GONE_SECONDS
    while any(is_alive(pid) for pid in family):
        if time.monotonic() >= deadline:
            message = f"processes {family} of a killed stack do not end; end them by hand and try again"
            raise LocalStackError(message)
        time.sleep(_POLL_SECONDS)
