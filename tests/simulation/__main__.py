"""`python -m tests.simulation`: many seeds over all cores, or one seed, with its trace or made as small as it goes."""
# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tests.simulation.run import simulate
from tests.simulation.scenario import Scenario, draw
from tests.simulation.shrink import shrunk

if TYPE_CHECKING:
    from tests.simulation.run import Outcome

EVERY: Final = 500
"""Seeds between two lines of progress."""


def brief(seed: str) -> Outcome:
    """Run one seed; the trace stays in the process that ran it."""
    return msgspec.structs.replace(simulate(draw(seed)), trace=[])


def many(first: int, count: int, jobs: int) -> int:
    """Run seeds side by side; return how many failed."""
    began, failed, ends, creations = time.monotonic(), 0, Counter[str](), 0
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(brief, str(seed)) for seed in range(first, first + count)]
        for done, future in enumerate(as_completed(futures), 1):
            outcome = future.result()
            ends.update(outcome.phases)
            creations += outcome.creations
            if outcome.failure:
                failed += 1
                print(f"seed {outcome.seed} fails: {outcome.failure}")
                print(f"  {sys.executable} -m tests.simulation --seed {outcome.seed} --trace", flush=True)
            if done % EVERY == 0 or done == count:
                seconds = time.monotonic() - began
                print(f"{done} of {count} seeds in {seconds:.0f} s, {failed} failed", flush=True)
    print(f"{sum(ends.values())} runs, {creations} executions; ended as {dict(ends.most_common())}")
    return failed


def one(scenario: Scenario, *, trace: bool) -> bool:
    """Run a scenario and show it; return whether it failed."""
    outcome = simulate(scenario)
    for at, who, what in outcome.trace if trace else ():
        print(f"{at:10.4f} {who:16} {what}")
    print(outcome.failure or f"everything held: {', '.join(outcome.phases)}")
    print(f"{outcome.steps} steps, {outcome.seconds:.0f} virtual seconds, trace {outcome.digest[:16]}")
    return bool(outcome.failure)


def main() -> int:
    """Run what the command line asks for; 1 when anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at once")
    parser.add_argument("--seed", help="run this one only")
    parser.add_argument("--scenario", type=Path, help="run the scenario in a file that --shrink wrote")
    parser.add_argument("--trace", action="store_true", help="print everything that happened")
    parser.add_argument("--shrink", type=Path, help="leave out of a failing seed what it fails without; write the rest")
    asked = parser.parse_args()
    if asked.scenario:
        return one(msgspec.json.decode(asked.scenario.read_bytes(), type=Scenario), trace=asked.trace)
    if not asked.seed:
        return many(asked.first, asked.seeds, asked.jobs) > 0
    scenario = draw(asked.seed)
    if asked.shrink:
        scenario = shrunk(scenario, tell=print)
        asked.shrink.write_bytes(msgspec.json.format(msgspec.json.encode(scenario)))
    return one(scenario, trace=asked.trace)


if __name__ == "__main__":
    sys.exit(main())
