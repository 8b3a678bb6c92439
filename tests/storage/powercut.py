"""Runs a program and cuts its power: what it wrote and never synced is gone. `powercut.py LIVE DURABLE PROGRAM …`.

Standard library only, no rights, no file system of its own: the program is traced (ptrace, with a seccomp filter that
stops it at the calls that write and sync). At each fsync the file is copied as it is at that moment; a file that was
opened with O_SYNC or O_DSYNC is copied after each write. On SIGTERM the program and all its threads are killed at
once, and below DURABLE appears what a disk would hold that had kept every name, and of every file only what was synced.
That is harder than most disks: it is what a program may rely on.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from pathlib import Path

SYNCS = {"x86_64": (74, 75), "aarch64": (82, 83)}
"""fsync, fdatasync."""
WRITES = {"x86_64": (1, 18, 20, 296, 328), "aarch64": (64, 68, 66, 70, 287)}
"""write, pwrite64, writev, pwritev, pwritev2."""
TRACEME, CONT, SYSCALL, SETOPTIONS, GETEVENTMSG, GET_SYSCALL_INFO = 0, 7, 24, 0x4200, 0x4201, 0x420E
CLONE, FORK, VFORK, EXEC, SECCOMP, SYSGOOD, EXITKILL = 1 << 3, 1 << 1, 1 << 2, 1 << 4, 1 << 7, 1, 1 << 20
EVENT_SECCOMP = 7
SET_NO_NEW_PRIVS, SET_SECCOMP, MODE_FILTER = 38, 22, 2
RET_TRACE, RET_ALLOW = 0x7FF00000, 0x7FFF0000
WALL = 0x40000000

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


class Program(ctypes.Structure):
    """A filter of system calls (struct sock_fprog)."""

    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def ptrace(request: int, pid: int, address: int = 0, data: object = 0) -> int:
    """Call ptrace; -1 when the thread is gone or runs."""
    return LIBC.ptrace(request, pid, ctypes.c_void_p(address), data)


def stop_at(numbers: list[int]) -> None:
    """Have this process stopped for its tracer at these system calls, and at no other."""
    code = struct.pack("HBBI", 0x20, 0, 0, 0)  # load the number of the call
    for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True):
        code += struct.pack("HBBI", 0x15, left, 0, number)  # equal: jump to the last line
    code += struct.pack("HBBI", 0x06, 0, 0, RET_ALLOW) + struct.pack("HBBI", 0x06, 0, 0, RET_TRACE)
    program = Program(len(code) // 8, code)
    if LIBC.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) or LIBC.prctl(SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


class Disk:
    """What would be there after the power came back."""

    def __init__(self, live: Path, durable: Path) -> None:
        self._live = live
        self._durable = durable
        self._kept: dict[tuple[int, int], bytes] = {}
        self.syncs = 0

    def file_of(self, pid: int, number: int) -> Path | None:
        """Return the open file of a thread if it is one of the live folder."""
        link = f"/proc/{pid}/fd/{number}"
        try:
            return Path(link) if str(Path(link).readlink()).startswith(f"{self._live}/") else None
        except OSError:
            return None

    def is_synced(self, pid: int, number: int) -> bool:
        """Whether each write to an open file is durable by itself (O_SYNC, O_DSYNC)."""
        try:
            lines = Path(f"/proc/{pid}/fdinfo/{number}").read_text().splitlines()
        except OSError:
            return False
        flags = next((int(line.split()[1], 8) for line in lines if line.startswith("flags:")), 0)
        return bool(flags & os.O_DSYNC)

    def keep(self, file: Path) -> None:
        """Take a file as durable, as it is now."""
        try:
            with file.open("rb") as opened:
                found = os.fstat(opened.fileno())
                self._kept[(found.st_dev, found.st_ino)] = opened.read()
        except OSError:
            return
        self.syncs += 1

    def write_out(self) -> None:
        """Make the folder: every name, of every file what was synced, in folders what there is."""
        for path in sorted(self._live.rglob("*")):
            target = self._durable / path.relative_to(self._live)
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                found = path.stat()
                target.write_bytes(self._kept.get((found.st_dev, found.st_ino), b""))


class Tracer:
    """Follows every thread of the program."""

    def __init__(self, disk: Disk, syncs: tuple[int, ...]) -> None:
        self._disk = disk
        self._syncs = syncs
        self._writing: dict[int, Path] = {}
        """Threads in a write whose file is durable once it returns."""

    def run(self, first: int) -> None:
        """Go on until the program has ended."""
        threads = {first}
        while threads:
            try:
                pid, status = os.waitpid(-1, WALL)
            except ChildProcessError:
                return
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                threads.discard(pid)
                continue
            threads.add(pid)
            request, number = self._stopped(pid, status)
            ptrace(request, pid, 0, number)

    def _stopped(self, pid: int, status: int) -> tuple[int, int]:
        """Look at why a thread stopped; return how it goes on, and with which signal."""
        number, event = os.WSTOPSIG(status), status >> 16
        if event == EVENT_SECCOMP:
            return self._call(pid), 0
        if number == signal.SIGTRAP | 0x80:
            file = self._writing.pop(pid, None)
            if file is not None:
                self._disk.keep(file)
            return CONT, 0
        if event or number in (signal.SIGTRAP, signal.SIGSTOP):
            return CONT, 0
        return CONT, number

    def _call(self, pid: int) -> int:
        """A thread is about to write or to sync."""
        buffer = ctypes.create_string_buffer(88)
        ptrace(GET_SYSCALL_INFO, pid, len(buffer), ctypes.cast(buffer, ctypes.c_void_p))
        call, descriptor = struct.unpack_from("QQ", buffer, 24)
        file = self._disk.file_of(pid, descriptor & 0xFFFFFFFF)
        if file is None:
            return CONT
        if call in self._syncs:
            self._disk.keep(file)  # before it returns: what is written meanwhile may not be part of it
        elif self._disk.is_synced(pid, descriptor & 0xFFFFFFFF):
            self._writing[pid] = file
            return SYSCALL
        return CONT


def main(arguments: list[str]) -> None:
    """Run the program until SIGTERM, then leave what is durable."""
    live, durable = Path(arguments[0]).resolve(), Path(arguments[1]).resolve()
    syncs, writes = SYNCS[platform.machine()], WRITES[platform.machine()]
    child = os.fork()
    if not child:
        ptrace(TRACEME, 0)
        stop_at([*syncs, *writes])
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(arguments[2], arguments[2:])  # noqa: S606 - that is its duty
    os.waitpid(child, WALL)
    options = CLONE | FORK | VFORK | EXEC | SECCOMP | SYSGOOD | EXITKILL
    if ptrace(SETOPTIONS, child, 0, options) < 0:
        os.kill(child, signal.SIGKILL)
        raise OSError(ctypes.get_errno(), "the kernel lets nobody trace here (kernel.yama.ptrace_scope, seccomp)")
    disk = Disk(live, durable)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    ptrace(CONT, child)
    Tracer(disk, syncs).run(child)
    disk.write_out()
    sys.stdout.write(f"{disk.syncs} syncs\n")


if __name__ == "__main__":
    main(sys.argv[1:])
