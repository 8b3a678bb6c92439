"""The services on ports in memory, under a virtual clock: whatever goes wrong, the guarantees hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.run import simulate
from tests.simulation.scenario import draw
from tests.simulation.shrink import shrunk

SEEDS: Final = 200
TOGETHER: Final = 10
KEPT: Final = Path(__file__).parent / "kept_seeds.txt"
TWICE: Final = ("3", "15", "37", "3226")


def kept_seeds() -> list[str]:
    """Seeds that failed once."""
    return [line.split()[0] for line in KEPT.read_text().splitlines() if line and not line.startswith("#")]


def failures(seeds: list[str]) -> list[str]:
    """What does not hold, each with the command that shows it."""
    outcomes = [simulate(draw(seed)) for seed in seeds]
    return [f"python -m tests.simulation --seed {one.seed} --trace: {one.failure}" for one in outcomes if one.failure]


@pytest.mark.parametrize("first", range(0, SEEDS, TOGETHER))
def test_the_guarantees_hold_whatever_goes_wrong(first: int) -> None:
    """Crashes, pauses, lost answers, cuts, repeats, people: then everything is healed and comes to rest."""
    assert [] == failures([str(seed) for seed in range(first, first + TOGETHER)])


@pytest.mark.parametrize("seed", kept_seeds())
def test_what_failed_once_does_not_fail_again(seed: str) -> None:
    """Each of these seeds has found something."""
    assert [] == failures([seed])


def test_the_same_seed_is_the_same_run_in_any_process() -> None:
    """Whatever the order of strings in sets: the same trace, to the last line."""
    program = "import sys; from tests.simulation.run import simulate; from tests.simulation.scenario import draw\n"
    program += "print([simulate(draw(seed)).digest for seed in sys.argv[1:]])"

    traces = {
        subprocess.run(
            [sys.executable, "-c", program, *TWICE],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert {f"{[simulate(draw(seed)).digest for seed in TWICE]}\n"} == traces


def test_a_failing_scenario_is_made_smaller_and_still_fails() -> None:
    """What it fails without is left out."""
    whole = draw("0")
    (guilty, *_), planned = whole.faults, whole.workflows[-1]

    small = shrunk(
        whole,
        tell=lambda _: None,
        fails=lambda each: "G0" if guilty in each.faults and planned in each.workflows else "",
    )

    assert ((guilty,), (planned,)) == (small.faults, small.workflows)
    assert {1} == set(small.replicas.values())
