"""`python -m tests`: every test. What needs only the processor runs beside the rest, whenever that leaves it idle.

The rest waits for servers most of the time; it is not run side by side as well, for what it says of seconds would hold
no more. Ends with 1 when a test of either failed. Must never leave a run behind.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from typing import Final

BESIDE: Final = (
    "tests/mutation",
    "tests/scheduler/test_properties.py",
    "tests/scheduler/test_state_machine.py",
    "tests/simulation",
)
"""No servers, no clock but a virtual one: how long they take tells nothing."""
_PYTEST: Final = (sys.executable, "-m", "pytest")
_IDLE: Final = ("nice", "-n", "19")
_BESIDE_SECONDS: Final = 3600
"""For one test, where it says nothing itself: it may have no processor for long."""


def main() -> None:
    """Run both, show the output of the second when both are done, and exit."""
    running: list[subprocess.Popen[bytes]] = []

    def stop(*_: object) -> None:
        for process in running:
            process.send_signal(signal.SIGINT)  # pytest takes down what it has put up

    # Before they begin: a program in the background of a shell ignores SIGINT, and so would they.
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal tells both
    signal.signal(signal.SIGTERM, stop)
    with tempfile.TemporaryFile() as said:
        running.append(subprocess.Popen([*_PYTEST, *(f"--ignore={each}" for each in BESIDE)]))
        beside = [*_IDLE, *_PYTEST, "-p", "no:cacheprovider", f"--timeout={_BESIDE_SECONDS}", *BESIDE]
        running.append(subprocess.Popen(beside, stdout=said, stderr=subprocess.STDOUT))
        codes = [process.wait() for process in running]
        said.seek(0)
        sys.stdout.write(said.read().decode(errors="replace"))
    sys.exit(int(any(codes)))


if __name__ == "__main__":
    main()
