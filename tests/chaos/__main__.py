"""`python -m tests.chaos`: real processes killed, frozen and restarted for minutes; nothing lost, nothing twice."""
# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys

from tests.chaos.keep import folder_of
from tests.chaos.run import Asked, chaos


def main() -> int:
    """Run what the command line asks for; 1 when anything is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long faults go on")
    parser.add_argument("--seed", type=int, help="of faults, workflows and people; a new one by default")
    parser.add_argument("--workflows", type=int, default=100, help="how many run at once")
    parser.add_argument("--end-seconds", type=float, default=60.0, help="in which all must end after the last fault")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    asked = Asked(seed=seed, seconds=given.minutes * 60, workflows=given.workflows, end_seconds=given.end_seconds)
    folder = folder_of(seed)
    print(f"again with: {asked.command}", flush=True)
    report = asyncio.run(chaos(asked, folder, lambda line: print(line, flush=True)))
    print("\n".join(report.lines()))
    if report.problems:
        print(f"logs, streams and the API server's audit log are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
