"""The services on ports in memory, under a virtual clock: whatever goes wrong, the guarantees hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.run import simulate
from tests.simulation.scenario import draw, only
from tests.simulation.shrink import shrunk

SEEDS: Final = 500
TOGETHER: Final = 10
KEPT: Final = Path(__file__).parent / "kept_seeds.txt"
TWICE: Final = ("3", "15", "37", "3226")

KINDS: Final = {
    "crash_at": "killed before and after each effect (F1, F2)",
    "crash": "killed between an effect and its acknowledgement, at any await (F3, F54)",
    "stop": "told to stop in the middle of its work (F53)",
    "pause": "frozen until others have its work, then awake (F32)",
    "lose_answers": "the API server, the log and the database did it and never said so (F16, F31, F46)",
    "refuse": "the API server, the log or the database cannot be reached (F14, F45)",
    "slow": "a slow line (F44)",
    "lose_acks": "acknowledgements get lost (F32)",
    "shuffle": "messages come in any order",
    "redeliver": "messages come again (F38)",
    "restart_broker": "the broker is killed and forgets what was acknowledged last (F27)",
    "cut_watch": "watches are cut, in order and in the middle of a line (F8)",
    "lag_watch": "the API server tells what is long past (F4)",
    "compact": "the history is forgotten (F11)",
    "repeat_watch": "a watch tells again what it told (F7)",
    "swallow": "a watch leaves out events and goes on (F6)",
    "purge_timers": "all wake-ups get lost (F43)",
    "skew": "clocks are five minutes apart, and jump (F50)",
    "apply_again": "deleted and applied again under the same name (F17)",
    "delete_execution": "executions are deleted by hand (F18)",
    "delete_workflow": "workflows are deleted while they run (F26)",
}
"""Kinds of faults, and what each stands for in the catalogue of faults."""
ONLY: Final = ("1", "2")


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


@pytest.mark.parametrize("kind", [pytest.param(kind, id=words) for kind, words in KINDS.items()])
def test_the_guarantees_hold_when_one_thing_goes_wrong_again_and_again(kind: str) -> None:
    """Many faults of one kind, which do happen, and nothing else but what the executor does to steps."""
    outcomes = [simulate(only(kind, seed)) for seed in ONLY]

    assert [""] * len(ONLY) == [one.failure for one in outcomes]
    assert any(who == "fault" and what.startswith(kind) for one in outcomes for _, who, what in one.trace)


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
