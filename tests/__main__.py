"""`python -m tests`: every test. What needs only the processor runs beside the rest, whenever that leaves it idle.

The rest waits for servers most of the time. Ends with 1 when a test of either failed. Must never leave a run behind.
"""

from __future__ import annotations

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
    """Run both, show the output of the second when the first is done, and exit."""
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(
            [*_IDLE, *_PYTEST, "-p", "no:cacheprovider", *BESIDE], stdout=said, stderr=subprocess.STDOUT
        )
        try:
            rest = subprocess.run([*_PYTEST, *(f"--ignore={each}" for each in BESIDE)], check=False)
            beside.wait()
        finally:
            beside.terminate()
            beside.wait()
            said.seek(0)
            sys.stdout.write(said.read().decode(errors="replace"))
    sys.exit(int(bool(rest.returncode or beside.returncode)))


if __name__ == "__main__":
    main()
