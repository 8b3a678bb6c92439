"""The program under test as a process of its own group: started, read, blocked, killed. It judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

from kubernaut.conformance.verdicts import Line, parse
from runtime.errors import KubernautError

SMALL_PIPE: Final = 4096
"""Bytes; the least that Linux has."""
_POLL_SECONDS: Final = 0.05
_STUCK_SECONDS: Final = 1.0
_END_SECONDS: Final = 5.0
_READ: Final = 65536


class ConsumerError(KubernautError):
    """The program did not do what any consumer must; the text says what."""


class ConsumerProcess:
    """A running consumer and the lines that it wrote so far."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: int) -> None:
        self._process = process
        self._pipe = pipe
        self._rest = b""
        self.lines: list[Line] = []

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> Self:
        """Start it with an output that holds little, so that it can be made to wait."""
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
        os.set_blocking(reading, False)
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            start_new_session=True,
        )
        os.close(writing)
        return cls(process, reading)

    def read(self) -> None:
        """Take in what it wrote. Raises ConsumerError for a line that is none."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._pipe, _READ):
                *whole, self._rest = (self._rest + chunk).split(b"\n")
                for each in whole:
                    try:
                        self.lines.append(parse(each.decode("utf-8", "replace")))
                    except ValueError as error:
                        raise ConsumerError(str(error)) from error

    async def until(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        """Read until something holds. Raises ConsumerError when it does not in time, or when the program ends."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            ended = self._process.poll()
            self.read()
            if holds():
                return
            if ended is not None:
                raise ConsumerError(f"it ended with code {ended} before {what}")
            if loop.time() > end:
                raise ConsumerError(f"not within {seconds:g} s: {what}; it wrote {len(self.lines)} lines")
            await asyncio.sleep(_POLL_SECONDS)

    async def until_stuck(self, seconds: float) -> None:
        """Wait, without reading, until its output is full and stays so: it waits before an acknowledgement."""
        loop = asyncio.get_running_loop()
        end, since, before = loop.time() + seconds, loop.time(), -1
        while loop.time() < end:
            held = _bytes_in(self._pipe)
            if held != before:
                since, before = loop.time(), held
            if held > SMALL_PIPE // 2 and loop.time() - since > _STUCK_SECONDS:
                return
            if self._process.poll() is not None:
                raise ConsumerError(f"it ended with code {self._process.returncode} while its output was full")
            await asyncio.sleep(_POLL_SECONDS)
        raise ConsumerError(f"its output did not fill within {seconds:g} s: it wrote {before} bytes")

    async def kill(self) -> None:
        """Kill -9 it and all that it started, and take in what it had written; a line cut off is none."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait, _END_SECONDS)
        self.read()

    async def end(self) -> None:
        """End it, in order if it does so in a few seconds."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, _END_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)
        os.close(self._pipe)


@asynccontextmanager
async def running(command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[ConsumerProcess]:
    """Run a consumer until the end of the block; its complaints go where ours go.

    Raises ConsumerError when it cannot be started.
    """
    try:
        consumer = ConsumerProcess.start(command, environment)
    except OSError as error:
        raise ConsumerError(f"{command[0]} cannot be started: {error}") from error
    try:
        yield consumer
    finally:
        await consumer.end()


def _bytes_in(pipe: int) -> int:
    held = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, held)
    return int.from_bytes(held, sys.byteorder)
