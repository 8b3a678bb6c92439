"""`python -m tests`: every test, in lanes side by side, for most of them wait for servers most of the time.

The output of the first lane is shown as it comes, that of the others when all are done. Ends with 1 when a test of any
failed. Must never leave a run behind.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import IO, Final

import msgspec


class Lane(msgspec.Struct, frozen=True):
    """Tests that run one after the other, in a session of their own."""

    paths: tuple[str, ...]
    niceness: int = 0


LANES: Final = (
    Lane(
        paths=(
            "tests/admission",
            "tests/chart",
            "tests/containers",
            "tests/database_roles",
            "tests/doctor",
            "tests/failpoints",
            "tests/install",
            "tests/kustomize",
            "tests/local",
            "tests/nats_cluster",
            "tests/nats_users",
            "tests/observability",
            "tests/rbac",
            "tests/rolling",
            "tests/storage",
            "tests/supply_chain",
            "tests/upgrades",
        )
    ),
    Lane(
        paths=(
            "tests/mutation",
            "tests/scheduler/test_properties.py",
            "tests/scheduler/test_state_machine.py",
            "tests/simulation",
        ),
        niceness=19,  # no servers, no clock but a virtual one: how long they take tells nothing
    ),
)
"""Those beside the first lane, which has the rest."""


def main() -> None:
    """Run all lanes, show the output of the others when the last is done, and exit."""
    with ExitStack() as stack:
        sys.exit(int(any(_run([stack.enter_context(tempfile.TemporaryFile()) for _ in LANES]))))


def _run(said: list[IO[bytes]]) -> list[int]:
    """Run all lanes and show what the others `said`; the exit codes."""
    rest = tuple(f"--ignore={path}" for lane in LANES for path in lane.paths)
    running = [_begin(Lane(paths=rest), None)]
    running += [_begin(lane, file) for lane, file in zip(LANES, said, strict=True)]

    def stop(*_: object) -> None:
        for process in running:
            process.send_signal(signal.SIGINT)  # pytest takes down what it has put up

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal has told each of them
    codes = [process.wait() for process in running]
    for file in said:
        file.seek(0)
        sys.stdout.write(file.read().decode(errors="replace"))
    return codes


def _begin(lane: Lane, said: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start a lane; `said` takes its output, None shows it."""
    plugins = () if said is None else ("-p", "no:cacheprovider")
    command = ["nice", "-n", str(lane.niceness), sys.executable, "-m", "pytest", *plugins, *lane.paths]
    return subprocess.Popen(command, stdout=said, stderr=None if said is None else subprocess.STDOUT)


if __name__ == "__main__":
    main()
