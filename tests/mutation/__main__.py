"""Mutation testing of the scheduler's pure core: change the code in small ways, and see that a test fails each time.

`python -m tests.mutation [MODULE[::FUNCTION] ...]` works in a copy of this checkout (build/mutants-PID), so nothing
here is changed and an edit meanwhile changes nothing. It takes long, so `make test` has only the check that the list of
survivors fits the code (test_survivors.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
COPY: Final = ROOT / "build" / f"mutants-{os.getpid()}"


def main(modules: list[str]) -> int:
    """Copy what git knows or would add, and go on there (run.py)."""
    command = ["git", "ls-files", "-coz", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name)
    os.nice(10)
    try:
        return subprocess.run([sys.executable, "-m", "tests.mutation.run", *modules], cwd=COPY, check=False).returncode
    finally:
        shutil.rmtree(COPY)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
