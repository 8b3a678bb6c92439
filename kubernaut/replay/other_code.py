"""Another version of the scheduler, asked in a process of its own: a checkout, or a revision in a temporary worktree.

The other code decides and does nothing else, but it is code: whoever names a version runs it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from kubernaut.local.claims import scratch
from kubernaut.replay import worker
from kubernaut.replay.recording import Chain, RecordingError
from scheduler import redecide

_REPOSITORY: Final = Path(__file__).parents[2]
_END_SECONDS: Final = 5.0


class OtherCodeError(RecordingError):
    """The other version cannot be asked: there is none, it does not start, or it broke off."""


class Answer(msgspec.Struct, frozen=True):
    """What the other version makes of one decision."""

    sequence: int = 0
    decision: str | None = None
    """As JSON; None when it decides nothing, or `error` says why it could not."""
    recorded: str = ""
    """The recorded decision as that version writes it."""
    error: str = ""
    done: bool = False
    protocol: int = 0


_ANSWERS: Final = msgspec.json.Decoder(Answer)


@contextmanager
def checkout(which: str, repository: Path = _REPOSITORY) -> Iterator[Path]:
    """Give the folder of a version: a path, or a git revision put into a worktree that is removed again.

    Raises OtherCodeError.
    """
    if (Path(which) / "scheduler" / "decide.py").is_file():
        yield Path(which).resolve()
        return
    commit = _git(repository, "rev-parse", "--verify", "--quiet", f"{which}^{{commit}}", what=which)
    with scratch("code") as folder:
        place = folder / "code"
        _git(repository, "worktree", "add", "--detach", "--quiet", str(place), commit, what=which)
        try:
            yield place
        finally:
            with suppress(OtherCodeError):
                _git(repository, "worktree", "remove", "--force", str(place), what=which)


def _git(repository: Path, *arguments: str, what: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        raise OtherCodeError(
            f"{what} is no folder with a scheduler, and there is no git to look for a revision"
        ) from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip() or "no such revision"
        raise OtherCodeError(f"{what} is neither a folder with a scheduler nor a git revision: {reason}") from error
    return done.stdout.strip()


class OtherCode:
    """A running worker with another version on its path; ends with the `with` block."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where the packages of that version are."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it. Raises OtherCodeError when it does not speak."""
        self._process = subprocess.Popen(
            # -P: the worker's own folder, which is this version, must not be on the path.
            [sys.executable, "-P", str(worker.__file__), str(redecide.__file__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder,
            env=os.environ | {"PYTHONPATH": str(self._folder), "PYTHONSAFEPATH": "1"},
        )
        try:
            self._greet()
        except OtherCodeError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _greet(self) -> None:
        spoken = self._next().protocol
        if spoken != worker.PROTOCOL:
            raise OtherCodeError(f"the worker in {self._folder} speaks protocol {spoken} and not {worker.PROTOCOL}")

    def ask(self, chain: Chain) -> dict[int, Answer]:
        """Return what it makes of every decision of a run, by the recorded one's sequence. Raises OtherCodeError."""
        messages = [
            {
                "sequence": stored.sequence,
                "timeMs": stored.time_ms,
                "subject": stored.subject,
                "headers": stored.headers,
                "data": stored.data.decode("utf-8", "replace"),
            }
            for stored in chain.recording.messages
        ]
        try:
            pipe = self._pipe("stdin")
            pipe.write(msgspec.json.encode({"uid": chain.recording.uid, "messages": messages}) + b"\n")
            pipe.flush()
        except OSError as error:
            raise OtherCodeError(f"the scheduler in {self._folder} broke off: {error}") from error
        answers = {}
        while not (answer := self._next()).done:
            answers[answer.sequence] = answer
        return answers

    def _next(self) -> Answer:
        line = self._pipe("stdout").readline()
        if not line:
            raise OtherCodeError(f"the scheduler in {self._folder} broke off; what it said stands above")
        try:
            return _ANSWERS.decode(line)
        except msgspec.MsgspecError as error:
            raise OtherCodeError(f"the scheduler in {self._folder} answered {line[:200]!r}: {error}") from error

    def _pipe(self, name: str) -> IO[bytes]:
        pipe: IO[bytes] | None = getattr(self._process, name, None)
        if pipe is None:
            raise OtherCodeError("the other version is not running")
        return pipe
