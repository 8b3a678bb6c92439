"""Try every mutant of the modules asked for, and compare those that no test kills with the list (survivors.py).

Ends with 1 when a mutant survives that has no reason there, or when a reason is given for one that does not survive.
"""

# ruff: noqa: T201 - a command talks on standard output

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.mutation.mutants import Change, changes_of
from tests.mutation.survivors import Mutant, is_wording, survivors
from tests.mutation.trial import Reach, fate_of, get_ready, reach

WORKERS: Final = int(os.environ.get("WORKERS", "2"))
CORE: Final = (
    *("graph", "backoff", "inverse", "recommend", "templates", "rule_paths", "rules", "rules_expressions"),
    *("rules_times", "limits", "queueing", "timer_index", "transitions", "announce", "adapt", "cel/limits"),
    *("cel/regular", "cel/tree", "cel/values", "cel/conversions", "cel/checks", "cel/syntax", "cel/program"),
    *("cel/functions", "expressions", "scope", "plan", "definition", "inputs", "orders", "progress", "draft"),
    *("decide", "lifecycle", "commanding", "executing", "outcomes", "validating", "monitoring", "rolling_back"),
    *("controls", "deadlines", "retention", "ending"),
)
SLOW: Final = ("loops", "memory", "scheduler_metrics", "queue_real", "wake_ups_real", "shadow")
"""Tests that start a process, wait for tasks or measure."""
EXAMPLES: Final = "20"
"""Of the state machine's."""


def main(modules: list[str]) -> int:
    """Return 0 when every mutant of these modules, by default of the core, was killed or survives for a reason.

    `module::function` asks for the mutants of one function only.
    """
    began = time.monotonic()
    os.environ["EXAMPLES"] = EXAMPLES
    folder = Path("tests/scheduler")
    tests = [str(each) for each in sorted(folder.glob("test_*.py")) if each.stem.removeprefix("test_") not in SLOW]
    get_ready(tests)
    known = reach(tests, Path("reach.json"))
    print(f"{len(known.seconds)} tests pass in {sum(known.seconds.values()):.0f} s", flush=True)
    for test in known.failing:
        print(f"left out, as it fails on the code as it is: {test}", flush=True)
    right = [_judge(module, known) for module in modules or [f"scheduler/{name}.py" for name in CORE]]
    print(f"{len(right)} modules in {(time.monotonic() - began) / 60:.0f} minutes")
    return 0 if all(right) and not known.failing else 1


def _judge(asked: str, known: Reach) -> bool:
    """Tell how the mutants of a module fared: whether each was killed or lives for a reason, and no reason is idle."""
    began = time.monotonic()
    module, _, function = asked.partition("::")
    changes = [
        change for change in changes_of(module, Path(module).read_text()) if function in ("", change.mutant.function)
    ]
    listed = {
        mutant
        for each in survivors()
        for mutant in each.mutants()
        if mutant.module == module and function in ("", mutant.function)
    }
    fates = _fates(changes, known, listed)
    count = Counter(fates)
    alive = {change.mutant for change, fate in zip(changes, fates, strict=True) if fate == "survived"}
    worded = {mutant for mutant in alive - listed if is_wording(mutant)}
    unexplained, idle = sorted(alive - listed - worded), sorted(listed - alive)
    print(
        f"{asked}: {len(changes)} mutants, {count['killed']} killed, {count['endless']} endless, "
        f"{len(alive & listed)} with a reason, {len(worded)} only reworded, {len(unexplained)} unexplained, "
        f"in {time.monotonic() - began:.0f} s"
    )
    _show("survives", unexplained)
    _show("is listed, but does not survive", idle)
    return not unexplained and not idle


def _show(what: str, mutants: list[Mutant]) -> None:
    for mutant in mutants:
        print(f"  {what}: {mutant.function or 'the module'}\n    {mutant.was}\n -> {mutant.becomes}")
    sys.stdout.flush()


def _fates(changes: list[Change], known: Reach, listed: set[Mutant]) -> list[str]:
    """Try the mutants, a worker's share one after the other. Forks of this process: what it has loaded is theirs."""
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        work = [(changes[start::WORKERS], known, listed) for start in range(WORKERS)]
        shares = pool.starmap(_share, work, chunksize=1)
    fates = [""] * len(changes)
    for start, share in enumerate(shares):
        fates[start::WORKERS] = share
    return fates


def _share(changes: list[Change], known: Reach, listed: set[Mutant]) -> list[str]:
    killers: dict[str, int] = {}
    return [
        fate_of(change, known, killers, explained=change.mutant in listed or is_wording(change.mutant))
        for change in changes
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
