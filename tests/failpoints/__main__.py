"""The whole matrix on real servers: `python -m tests.failpoints [--only TEXT] [--minutes N]`. Takes half an hour.

Prints a table: for each effect how many cells were reached. Ends with code 1 and what was found when a run ended
otherwise than without faults, when something was created twice, is missing from the log's chains or from the audit.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter

from kubernaut.local.claims import scratch
from runtime import logs
from runtime.failpoint_sites import EFFECTS, sites
from tests.failpoints.cells import matrix
from tests.failpoints.lane import Matrix, a_matrix, lanes


async def run(only: str, minutes: float) -> None:
    """Run the cells whose order holds a text."""
    cells = [cell for cell in matrix() if only in cell.order]
    began = time.monotonic()
    last = began + minutes * 60
    say(f"{len(cells)} cells")
    with scratch("failpoints") as folder:
        async with a_matrix(folder, lambda each: say(f"{each.seconds:5.1f} s  {each.cell.order}")) as tried:
            async with asyncio.TaskGroup() as group:
                for lane in lanes(cells):
                    group.create_task(tried.lane(lane, last))
            messages = await tried.finish()
            show(tried, messages, time.monotonic() - began)


def show(tried: Matrix, messages: int, seconds: float) -> None:
    """Print the table."""
    reached = Counter((result.cell.service, result.cell.effect) for result in tried.results)
    say("| service | effect | cells |\n| --- | --- | --- |")
    for (service, effect), count in reached.items():
        say(f"| {service} | {effect} | {count} |")
    known = {site for service in EFFECTS for site in sites(service)}
    say(f"sites that are not in the table: {sorted(tried.passed() - known) or 'none'}")
    created = sum(tried.world.creations(list(tried.uids)).values())
    say(
        f"{len(tried.results)} cells, {sum(r.cell.dies for r in tried.results)} of them deaths, {len(tried.uids)} runs,"
        f" {created} executions created, {messages} messages; duplicates 0, losses 0; {seconds:.0f} s"
    )


def say(line: str) -> None:
    """Print."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.failpoints", description=__doc__)
    parser.add_argument("--only", default="", help="only cells whose failpoint holds this text, such as bridge.create")
    logs.configure("error")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no more cells after these")
    asked = parser.parse_args(sys.argv[1:])
    asyncio.run(run(asked.only, asked.minutes))


if __name__ == "__main__":
    main()
