"""`python -m tests.load`: ten thousand workflows at once, with the figures; 1 when the system did not hold."""
# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import asyncio
import sys

from benchmarks.figures import quantile
from kubernaut.local.claims import scratch
from tests.load.flood import Flood
from tests.load.loaded import NAMES, a_loaded_world
from tests.load.memory_limits import MIB


async def run(count: int, most: int, seconds: float) -> bool:
    """Run a flood; return whether the system held."""
    with scratch("load") as home:
        await asyncio.to_thread(home.chmod, 0o755)  # PostgreSQL may have to run as another user
        async with a_loaded_world(home, most=most) as loaded:
            flood = Flood(loaded, [f"load-{number}" for number in range(count)])
            await flood.run(seconds, tell=lambda line: print(line, flush=True))
            rows = await loaded.world.audit_is_complete(seconds)
            twice = [name for name, times in loaded.world.creations(list(flood.names)).items() if times != 1]
            print(*flood.figures(), f"{rows} messages in the log, each once in the audit", sep="\n")
            print(f"executions created more than once: {len(twice)}; restarts: {loaded.restarts()}")
            flat = all(flood.growth(name) < most // 10 for name in NAMES)
            fast = quantile(flood.answers.seconds, 0.99) < 1 and not flood.answers.bad
            ends = set(flood.ended.values()) == {"completed"}
            return ends and flat and fast and not twice and not loaded.restarts()


def main() -> int:
    """Run what the command line asks for; 1 when the system did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--workflows", type=int, default=10_000, help="how many are applied at once")
    parser.add_argument("--memory", type=int, default=300, help="limit of each service in MiB")
    parser.add_argument("--seconds", type=float, default=3600.0, help="time that all of them may take")
    asked = parser.parse_args()
    held = asyncio.run(run(asked.workflows, asked.memory * MIB, asked.seconds))
    print("it held" if held else "it did not hold")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
