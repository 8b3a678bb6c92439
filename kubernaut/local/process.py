"""One child process: started with a log file and a death signal, stopped, killed, frozen. It restarts nothing."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubernaut.local import probes
from kubernaut.local.account import Account
from kubernaut.local.errors import NotReadyError
from kubernaut.local.probes import AliveProbe, Probe

_SPAWN = Path(__file__).with_name("spawn.py")
_POLL_SECONDS = 0.05
_POLL_GROWTH = 1.2
_LONGEST_POLL_SECONDS = 1.0
_KILL_SECONDS = 10.0
_TAIL_BYTES = 16_384
TAIL_LINES = 15


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """How a process is started, asked whether it is ready, and stopped."""

    name: str
    command: tuple[str, ...]
    """An absolute path to the program, then its arguments."""
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to this process's own environment."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """What the ports are for, by name; for people only."""
    probe: Probe = field(default_factory=AliveProbe)
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 30.0
    """After it, the process is killed. Services have 25 s to put things in order."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends when this process dies first."""


class Process:
    """The running side of a ProcessSpec; may be started again after it ended."""

    def __init__(self, spec: ProcessSpec) -> None:
        """Describe it; nothing runs yet."""
        self.spec = spec
        self._child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    @property
    def exit_code(self) -> int | None:
        """How the last run ended, negative for a signal; None while it runs or before it ran."""
        return None if self._child is None else self._child.returncode

    async def start(self) -> None:
        """Start it, appending its output to its log."""
        spec = self.spec
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        user, group = (-1, -1) if spec.account is None else (spec.account.user_id, spec.account.group_id)
        wrapper = [sys.executable, "-I", "-S", str(_SPAWN), str(os.getpid()), str(int(spec.death_signal))]
        with spec.log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *wrapper,
                str(user),
                str(group),
                *spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **spec.environment},
            )

    async def wait(self) -> int:
        """Wait until it ends and return its exit code."""
        if self._child is None:
            message = f"{self.spec.name} was never started"
            raise RuntimeError(message)
        return await self._child.wait()

    async def run_to_end(self, seconds: float) -> None:
        """Start it and wait until it has done its work; NotReadyError when it fails or its time is up.

        Killed when it is not waited for any longer.
        """
        await self.start()
        try:
            async with asyncio.timeout(seconds):
                code = await self.wait()
        except BaseException as error:
            await self.kill()
            if isinstance(error, TimeoutError):
                raise self.not_ready(f"did not end within {seconds:g} s") from None
            raise
        if code != 0:
            raise self.not_ready(f"failed with code {code}")

    async def why_not_ready(self) -> str | None:
        """Ask its probe once: None when it is ready, else the reason."""
        return await probes.why_not_ready(self.spec.probe)

    async def wait_ready(self, seconds: float | None) -> None:
        """Return when its probe says ready; NotReadyError when it ends first or the time, if any, is up."""
        reason: str | None = "it was not asked yet"
        pause = _POLL_SECONDS
        try:
            async with asyncio.timeout(seconds):
                if isinstance(self.spec.probe, AliveProbe):
                    await self._settle(self.spec.probe.settle_seconds)
                while (reason := await self.why_not_ready()) is not None and self.pid is not None:
                    await asyncio.sleep(pause)
                    pause = min(_LONGEST_POLL_SECONDS, pause * _POLL_GROWTH)
        except TimeoutError:
            raise self.not_ready(f"was not ready after {seconds:g} s: {reason}") from None
        if self.pid is None:
            raise self.not_ready(f"ended with {describe_exit(self.exit_code)} before it was ready")

    async def _settle(self, seconds: float) -> None:
        """Wait a little, less when it ends: a wrong flag shows only then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wait()

    def not_ready(self, what: str) -> NotReadyError:
        """Make the error that says what happened, with the last log lines and where the log is."""
        lines = tail(self.spec.log)
        shown = "\n".join(f"    {line}" for line in lines) if lines else "    (its log is empty)"
        return NotReadyError(f"{self.spec.name} {what}\n{shown}\n  whole log: {self.spec.log}")

    async def stop(self) -> None:
        """Ask it to end and wait; kill it and its children when its time is up. Works on a frozen one, too."""
        if self._child is None or self.pid is None:
            return
        self.resume()
        _send(self._child.pid, self.spec.stop_signal)
        try:
            async with asyncio.timeout(self.spec.stop_seconds):
                await self._child.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it and everything that it started with SIGKILL, and wait until all of them are gone."""
        if self._child is None or self.pid is None:
            return
        family = [self._child.pid, *descendants(self._child.pid)]
        for pid in family:
            _send(pid, signal.SIGKILL)
        await self._child.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS):
                while any(is_alive(pid) for pid in family):  # noqa: ASYNC110 - no one tells of strangers' ends
                    await asyncio.sleep(_POLL_SECONDS)

    def pause(self) -> None:
        """Freeze it and everything that it started (SIGSTOP)."""
        self._signal_family(signal.SIGSTOP)

    def resume(self) -> None:
        """Let what was frozen go on (SIGCONT)."""
        self._signal_family(signal.SIGCONT)

    def _signal_family(self, number: signal.Signals) -> None:
        if self.pid is not None:
            for pid in (self.pid, *descendants(self.pid)):
                _send(pid, number)


def describe_exit(code: int | None) -> str:
    """Say an exit code for people: "code 1" or "signal SIGKILL"."""
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"code {code}"


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """Return the last lines of a log, none when there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below this one, as /proc tells; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat_fields(stat)
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = list(children.get(pid, []))
    while waiting:
        child = waiting.pop()
        found.append(child)
        waiting.extend(children.get(child, []))
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is more than an exit code that nobody has collected."""
    fields = _stat_fields(Path(f"/proc/{pid}/stat"))
    if fields is not None:
        return fields[0] not in ("Z", "X")
    if Path("/proc/self/stat").exists():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot: with the id it names one process for ever.

    None when there is no such process; 0 where there is no /proc.
    """
    fields = _stat_fields(Path(f"/proc/{pid}/stat"))
    if fields is not None:
        return int(fields[19])
    return 0 if not Path("/proc/self/stat").exists() and is_alive(pid) else None


def _stat_fields(stat: Path) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on; the name before it may hold any character."""
    try:
        return stat.read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
