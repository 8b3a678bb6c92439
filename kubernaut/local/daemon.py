"""A stack in the background: the process that `kubernaut up --detach` leaves behind, and how it is started.

The options travel on standard input, because command lines are open to every user and these hold passwords.
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import msgspec

from kubernaut.local.errors import LocalStackError
from kubernaut.local.home import Home
from kubernaut.local.process import describe_exit, tail
from kubernaut.local.progress import Failed, PipeProgress, Progress, Ready, Report, Said, Shown
from kubernaut.local.serve import serve
from kubernaut.local.stack import LocalStack, StackOptions

_STOP_SECONDS = 120.0


def start_detached(options: StackOptions, progress: Progress) -> None:
    """Start a stack in a session of its own and return when it is ready; LocalStackError with the reason when not."""
    home = Home(options.name, options.home)
    home.state.mkdir(parents=True, exist_ok=True)
    with home.error_file.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "kubernaut.local.daemon"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,  # never this process's own: whoever reads that to its end would wait for the stack's end
            start_new_session=True,
        )
    with child:
        try:
            verdict = _follow(child, options, progress)
        except BaseException:
            child.send_signal(signal.SIGTERM)
            child.wait(_STOP_SECONDS)
            raise
        if isinstance(verdict, Failed):
            raise LocalStackError(verdict.reason)
        if verdict is None:
            end = describe_exit(child.wait())
            lines = "\n".join(f"    {line}" for line in tail(home.error_file))
            raise LocalStackError(f"the supervisor ended with {end}\n{lines}\n  log: {home.error_file}")
        child.returncode = 0  # it lives on, and that is meant: without this its handle would complain


def _follow(child: "subprocess.Popen[bytes]", options: StackOptions, progress: Progress) -> Ready | Failed | None:
    """Pass on what the child reports until its verdict; None when it ended without one."""
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the supervisor was started without pipes")
    child.stdin.write(msgspec.json.encode(options, enc_hook=str))
    child.stdin.close()
    for line in child.stdout:
        report = msgspec.json.decode(line, type=Report)
        match report:
            case Said(text):
                progress.say(text)
            case Shown(text):
                progress.show(text)
            case Ready() | Failed():
                return report
    return None


def main() -> None:
    """Run a stack as told on standard input until it is asked to end."""
    options = msgspec.json.decode(sys.stdin.buffer.read(), type=StackOptions, dec_hook=_decode)
    reports = PipeProgress(sys.stdout.buffer)

    def ready(_stack: LocalStack) -> None:
        reports.report(Ready())
        _close(sys.stdout.buffer)

    try:
        asyncio.run(serve(options, reports, ready))
    except LocalStackError as error:
        reports.report(Failed(str(error)))
        sys.exit(1)
    finally:
        _drop_when_empty(Home(options.name, options.home).error_file)


def _drop_when_empty(file: Path) -> None:
    if file.exists() and file.stat().st_size == 0:
        file.unlink()


def _close(pipe: IO[bytes]) -> None:
    """Point a pipe to nowhere: closed, its number would be given to the next file."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), pipe.fileno())


def _decode(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"options hold no {kind}")


if __name__ == "__main__":
    main()
