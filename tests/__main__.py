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


def main() -> None:
    """Run both, show the output of the second when both are done, and exit."""
    with tempfile.TemporaryFile() as said:
        rest = subprocess.Popen([*_PYTEST, *(f"--ignore={each}" for each in BESIDE)])
        beside = subprocess.Popen(
            [*_IDLE, *_PYTEST, "-p", "no:cacheprovider", *BESIDE], stdout=said, stderr=subprocess.STDOUT
        )

        def stop(*_: object) -> None:
            for process in (rest, beside):
                process.send_signal(signal.SIGINT)  # pytest takes down what it has put up

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, lambda *_: None)  # the terminal has told both
        codes = rest.wait(), beside.wait()
        said.seek(0)
        sys.stdout.write(said.read().decode(errors="replace"))
    sys.exit(int(any(codes)))


if __name__ == "__main__":
    main()
