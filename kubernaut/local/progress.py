"""Tell somebody what is being done: nobody, a terminal, a plain log, or a process at the other end of a pipe."""

import time
from collections.abc import Callable
from typing import IO

import msgspec

PLAIN_SECONDS = 15.0
"""How often a log without a terminal shows a line that passes, so that its reader sees life."""


class Progress:
    """Told what happens; this one keeps it to itself."""

    def say(self, line: str) -> None:
        """Tell what has happened."""

    def show(self, line: str) -> None:
        """Tell how far something is; the next line may take its place."""


class PlainProgress(Progress):
    """Writes lines; of those that pass only one in a while."""

    def __init__(self, out: IO[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._shown_at = float("-inf")

    def say(self, line: str) -> None:
        """Write the line."""
        self._out.write(f"{line}\n")
        self._out.flush()

    def show(self, line: str) -> None:
        """Write the line unless one was written shortly before."""
        now = self._clock()
        if now - self._shown_at >= PLAIN_SECONDS:
            self._shown_at = now
            self.say(line)


class TerminalProgress(Progress):
    """Writes lines that stay, and below them one that changes."""

    _CLEAR_LINE = "\r\x1b[K"

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._out.write(f"{self._CLEAR_LINE}{line}\n")
        self._out.flush()

    def show(self, line: str) -> None:
        """Write over the line that passes."""
        self._out.write(f"{self._CLEAR_LINE}{line}")
        self._out.flush()


class Said(msgspec.Struct, frozen=True, tag="said"):
    """Something has happened."""

    line: str


class Shown(msgspec.Struct, frozen=True, tag="shown"):
    """How far something is."""

    line: str


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The stack is ready; nothing follows."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The stack has ended before it was ready; nothing follows."""

    reason: str


Report = Said | Shown | Ready | Failed


class PipeProgress(Progress):
    """Writes one JSON object a line for another process, and goes on when that one is gone."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def say(self, line: str) -> None:
        """Report what has happened."""
        self.report(Said(line))

    def show(self, line: str) -> None:
        """Report how far something is."""
        self.report(Shown(line))

    def report(self, report: Report) -> None:
        """Write one report."""
        try:
            self._out.write(msgspec.json.encode(report) + b"\n")
            self._out.flush()
        except BrokenPipeError:
            return


def for_stream(out: IO[str]) -> Progress:
    """Return what fits a stream: a changing line on a terminal, plain lines elsewhere."""
    return TerminalProgress(out) if out.isatty() else PlainProgress(out)
