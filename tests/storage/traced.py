"""Runs a program and stops it where it makes something durable: at a sync, or a write to a file opened with O_SYNC.

Standard library only, no rights, no file system of its own: the program is traced (ptrace, with a seccomp filter that
stops it at the calls that write and sync). Who watches is told when such a call begins and when it ends, and may say
that it failed or took long: it took place, but the program gets that answer. On SIGTERM the program and all its threads
are killed at once.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import time
from pathlib import Path
from typing import NamedTuple, Protocol

SYNCS = {"x86_64": (74, 75), "aarch64": (82, 83)}
"""fsync, fdatasync."""
WRITES = {"x86_64": (1, 18, 20, 296, 328), "aarch64": (64, 68, 66, 70, 287)}
"""write, pwrite64, writev, pwritev, pwritev2."""
RESULT = {"x86_64": 80, "aarch64": 0}
"""Where among the registers the answer to a call is."""
TRACEME, CONT, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 7, 24, 0x4200, 0x420E
GETREGSET, SETREGSET, GENERAL_REGISTERS = 0x4204, 0x4205, 1
CLONE, FORK, VFORK, EXEC, SECCOMP, SYSGOOD, EXITKILL = 1 << 3, 1 << 1, 1 << 2, 1 << 4, 1 << 7, 1, 1 << 20
EVENT_SECCOMP = 7
SET_NO_NEW_PRIVS, SET_SECCOMP, MODE_FILTER = 38, 22, 2
RET_TRACE, RET_ALLOW = 0x7FF00000, 0x7FFF0000
WALL = 0x40000000
AWAITED = (signal.SIGCHLD, signal.SIGTERM)
IDLE_SECONDS = 3600.0

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


class Call(NamedTuple):
    """A call that makes something durable."""

    thread: int
    file: Path
    """The open file, which may have lost its name."""
    syncs: bool
    """Else it writes."""


class Answer(NamedTuple):
    """What a call ends with, other than what the kernel says."""

    error: int = 0
    seconds: float = 0.0
    """How much later it ends."""


class Watcher(Protocol):
    """Is told of each call."""

    def begins(self, call: Call) -> bool:
        """Look at a call that begins; return whether to be told of its end."""

    def ends(self, call: Call) -> Answer:
        """Look at a call that has ended."""


class Program(ctypes.Structure):
    """A filter of system calls (struct sock_fprog)."""

    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


class Buffer(ctypes.Structure):
    """A piece of memory (struct iovec)."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def ptrace(request: int, pid: int, address: int = 0, data: object = 0) -> int:
    """Call ptrace; -1 when the thread is gone or runs."""
    called: int = LIBC.ptrace(request, pid, ctypes.c_void_p(address), data)
    return called


def stop_at(numbers: list[int]) -> None:
    """Have this process stopped for its tracer at these system calls, and at no other."""
    code = struct.pack("HBBI", 0x20, 0, 0, 0)  # load the number of the call
    for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True):
        code += struct.pack("HBBI", 0x15, left, 0, number)  # equal: jump to the last line
    code += struct.pack("HBBI", 0x06, 0, 0, RET_ALLOW) + struct.pack("HBBI", 0x06, 0, 0, RET_TRACE)
    program = Program(len(code) // 8, code)
    if LIBC.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) or LIBC.prctl(SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


def answer_with(thread: int, error: int) -> None:
    """Have a call that just ended tell an error."""
    registers = ctypes.create_string_buffer(1024)
    buffer = Buffer(ctypes.addressof(registers), len(registers))
    if ptrace(GETREGSET, thread, GENERAL_REGISTERS, ctypes.byref(buffer)) == 0:
        struct.pack_into("q", registers, RESULT[platform.machine()], -error)
        ptrace(SETREGSET, thread, GENERAL_REGISTERS, ctypes.byref(buffer))


def file_of(thread: int, number: int, folder: Path) -> Path | None:
    """Return the open file of a thread if it is below a folder."""
    link = Path(f"/proc/{thread}/fd/{number}")
    try:
        return link if str(link.readlink()).startswith(f"{folder}/") else None
    except OSError:
        return None


def is_synced(thread: int, number: int) -> bool:
    """Whether each write to an open file is durable by itself (O_SYNC, O_DSYNC)."""
    try:
        lines = Path(f"/proc/{thread}/fdinfo/{number}").read_text().splitlines()
    except OSError:
        return False
    flags = next((int(line.split()[1], 8) for line in lines if line.startswith("flags:")), 0)
    return bool(flags & os.O_DSYNC)


class Tracer:
    """Follows every thread of a program."""

    def __init__(self, first: int, folder: Path, watcher: Watcher) -> None:
        """`first`: the program's process, which is stopped; `folder`: whose files are looked at."""
        self._first = first
        self._folder = folder
        self._watcher = watcher
        self._calls: dict[int, Call] = {}
        self._held: list[tuple[float, int]] = []
        """Threads whose call takes longer, and until when."""

    def run(self) -> None:
        """Go on until the program has ended. The awaited signals are blocked."""
        while self._look_at_all():
            self._let_go()
            wait = self._held[0][0] - time.monotonic() if self._held else IDLE_SECONDS
            found = signal.sigtimedwait(AWAITED, max(wait, 0.0))
            if found is not None and found.si_signo == signal.SIGTERM:
                os.kill(self._first, signal.SIGKILL)

    def _look_at_all(self) -> bool:
        """Look at what has stopped; return whether anything is left of the program."""
        while True:
            try:
                pid, status = os.waitpid(-1, WALL | os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            if os.WIFSTOPPED(status):
                self._stopped(pid, os.WSTOPSIG(status), status >> 16)

    def _let_go(self) -> None:
        while self._held and self._held[0][0] <= time.monotonic():
            ptrace(CONT, self._held.pop(0)[1])

    def _stopped(self, pid: int, number: int, event: int) -> None:
        """Let a thread go on, in the way that is right after what it stopped for."""
        if event == EVENT_SECCOMP:
            ptrace(SYSCALL if self._begins(pid) else CONT, pid)
        elif number == signal.SIGTRAP | 0x80:
            self._ended(pid)
        elif event or number in (signal.SIGTRAP, signal.SIGSTOP):
            ptrace(CONT, pid)
        else:
            ptrace(CONT, pid, 0, number)

    def _begins(self, pid: int) -> bool:
        buffer = ctypes.create_string_buffer(88)
        ptrace(GET_SYSCALL_INFO, pid, len(buffer), ctypes.cast(buffer, ctypes.c_void_p))
        number, descriptor = struct.unpack_from("QQ", buffer, 24)
        descriptor &= 0xFFFFFFFF
        file = file_of(pid, descriptor, self._folder)
        syncs = number in SYNCS[platform.machine()]
        if file is None or not (syncs or is_synced(pid, descriptor)):
            return False
        self._calls[pid] = Call(pid, file, syncs)
        return self._watcher.begins(self._calls[pid])

    def _ended(self, pid: int) -> None:
        answer = self._watcher.ends(self._calls.pop(pid))
        if answer.error:
            answer_with(pid, answer.error)
        self._held.append((time.monotonic() + answer.seconds, pid))
        self._held.sort()


def run(command: list[str], folder: Path, watcher: Watcher) -> None:
    """Run a program until it ends, or until SIGTERM. Raises OSError where nobody may trace."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    child = os.fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        ptrace(TRACEME, 0)
        stop_at([*SYNCS[platform.machine()], *WRITES[platform.machine()]])
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(command[0], command)  # noqa: S606 - that is its duty
    os.waitpid(child, WALL)
    options = CLONE | FORK | VFORK | EXEC | SECCOMP | SYSGOOD | EXITKILL
    if ptrace(SETOPTIONS, child, 0, options) < 0:
        os.kill(child, signal.SIGKILL)
        raise OSError(ctypes.get_errno(), "the kernel lets nobody trace here (kernel.yama.ptrace_scope, seccomp)")
    ptrace(CONT, child)
    Tracer(child, folder, watcher).run()
