"""Runs a service under cProfile: `python profiled.py PROFILE MODULE`. Run as a file, by the benchmark only.

Services end with os._exit, which asks nobody; here it writes the profile first.
"""

from __future__ import annotations

import cProfile
import os
import runpy
import sys
import time
from typing import NoReturn


def main() -> None:
    """Run the module as `python -m MODULE` does, and leave its profile at its end."""
    file, module = sys.argv[1:]
    profile = cProfile.Profile(time.process_time)  # waiting is no work
    leave = os._exit

    def write_and_leave(status: int) -> NoReturn:
        profile.disable()
        profile.dump_stats(file)
        leave(status)

    os._exit = write_and_leave
    sys.argv = [module]
    sys.path.pop(0)  # the folder of this file, which `-m` would not have put there
    profile.enable()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
