from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from kubernaut.replay.changes import ChangeError, Changes, Delay, read_changes
from kubernaut.replay.oracle import consult, first_end
from kubernaut.replay.recording import Chain
from kubernaut.replay.simulation import Course, Simulation
from kubernaut.replay.sources import bundles_in, read_bundle
from kubernaut.replay.what_if import ask, step_times, way
from tests.replay.builders import CORPUS, a_chain

FILES = bundles_in(str(CORPUS)) or []
NOTICEABLE_MS = 500
"""Two wake-ups, each of which the server sends up to 250 ms late."""


def simulate(name: str, *texts: str) -> Course:
    """One run of the corpus with changes."""
    return Simulation([consult(a_chain(name))], read_changes(texts)).go()[0]


def seconds(course: Course) -> float:
    """How long it took."""
    return way(course.plan, course.oracle.begins_at, course.decisions).makespan_ms / 1000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_simulated_as_it_was_a_run_goes_as_it_went(file: Path) -> None:
    """The same end, the same ends of steps, and the same time, but for the server's lateness: the oracle is true."""
    chain = Chain(read_bundle(file))
    recorded = first_end(chain)
    assert recorded is not None

    course = Simulation([consult(chain)], Changes()).go()[0]

    assert course.last is not None
    state = course.last.state
    assert (recorded.state.phase, recorded.state.outcome) == (state.phase, state.outcome)
    assert [(each.number, each.phase, each.attempt, each.reason) for each in recorded.state.steps] == [
        (each.number, each.phase, each.attempt, each.reason) for each in state.steps
    ]
    assert abs(recorded.state.ended_at - state.ended_at) <= NOTICEABLE_MS


def test_one_step_at_a_time_takes_longer_and_never_runs_two() -> None:
    """The limit is the plan's own; the engine keeps it."""
    course = simulate("bad-rollout", "parallelism=1")

    times = sorted((each.began, each.ended) for each in step_times(course.decisions).values())
    assert all(before[1] <= after[0] for before, after in pairwise(times))
    assert seconds(course) > seconds(simulate("bad-rollout"))


def test_a_slower_step_on_the_critical_path_moves_the_end_by_as_much() -> None:
    """And one beside it does not, as long as it stays beside it."""
    usual = seconds(simulate("bad-rollout"))

    assert 10 == pytest.approx(seconds(simulate("bad-rollout", "delay.step.8=10.3s")) - usual, abs=0.5)
    assert usual == pytest.approx(seconds(simulate("bad-rollout", "delay.action.update_hpa=2x")), abs=0.2)


def test_a_longer_timeout_lets_a_step_end_that_was_cut_when_it_is_said_how_long_it_takes() -> None:
    """What it would have taken was never recorded, so it must be said; else it is taken never to end."""
    long_enough = simulate("stuck-drain", "timeout.step.2=10s", "delay.step.2=5s")
    unknown = simulate("stuck-drain", "timeout.step.2=10s")

    assert long_enough.last is not None
    assert unknown.last is not None
    assert "completed" == long_enough.last.state.phase
    assert "failed" == unknown.last.state.phase
    assert any("was cut: it is taken never to end by itself" in text for text in unknown.assumed)


def test_a_smaller_budget_ends_a_run_sooner() -> None:
    """The attempts that are left go as they went."""
    course = simulate("stuck-drain", "retries=0")

    assert course.last is not None
    assert ("failed", 1) == (course.last.state.phase, course.last.state.steps[1].attempt)
    assert seconds(course) < seconds(simulate("stuck-drain"))


def test_a_larger_budget_brings_attempts_that_are_assumed_to_succeed() -> None:
    """And it is said that they are."""
    course = simulate("stuck-drain", "retries.step.2=2 timeout.step.2=6m timeout.workflow=1h")

    assert course.last is not None
    assert (3, "completed") == (course.last.state.steps[1].attempt, course.last.state.steps[1].phase)
    assert any(text.startswith("attempt 3 of step 2 (execute) was never recorded") for text in course.assumed)


def test_fewer_places_make_runs_wait_for_one_another() -> None:
    """The real queue hands them out."""
    chains = [a_chain(name) for name in ("storm-payments-down", "cold-standby-forbidden", "error-budget")]

    courses = Simulation([consult(chain) for chain in chains], read_changes(["maxActive=1"])).go()

    ends = sorted((c.last.state.started_at, c.last.state.ended_at) for c in courses if c.last)
    assert all(before[1] <= after[0] for before, after in pairwise(ends))
    assert any(course.decisions[0].state.phase == "queued" for course in courses)


def test_the_answer_stands_beside_what_was_recorded() -> None:
    """With makespan, critical path, times of steps, and what was assumed."""
    lines = ask([a_chain("bad-rollout")], ["parallelism=1 delay.step.2=30s"])

    text = "\n".join(lines)
    assert "recorded" in lines[2]
    assert re.search("1 → [23] → 7 → 8", lines[2])  # steps 2 and 3 took the same time, but for milliseconds
    assert "what if" in lines[4]
    assert "→(limit)" in lines[4]
    assert "STEP" in text


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(["parallelism=3 retries=2"], Changes(parallelism=3, retries=2), id="several in one text"),
        pytest.param(["retries.step.4=0", "retries.step.5=1"], Changes(step_retries={4: 0, 5: 1}), id="by step"),
        pytest.param(["timeout.step.4=30s"], Changes(step_timeouts={4: 30_000}), id="a step's timeout"),
        pytest.param(["timeout.workflow=10m"], Changes(workflow_ms=600_000), id="the run's timeout"),
        pytest.param(
            ["delay.action.drain_node=2x"], Changes(delays={"action.drain_node": Delay(factor=2)}), id="a factor"
        ),
        pytest.param(["delay.step.4=30s"], Changes(delays={"step.4": Delay(fixed_ms=30_000)}), id="a time"),
        pytest.param(["order=longest maxActive=2"], Changes(longest_first=True, max_active=2), id="order and places"),
    ],
)
def test_changes_are_read(texts: list[str], expected: Changes) -> None:
    """As people write them."""
    assert expected == read_changes(texts)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("parallelism", "is no change", id="no value"),
        pytest.param("speed=3", "cannot be changed; what can: parallelism=3", id="an unknown name"),
        pytest.param("parallelism=0", "give a number from 1 to 10", id="too small"),
        pytest.param("timeout.step.x=3s", "name a step by its number", id="no number"),
        pytest.param("delay.action.reboot=2x", "no action is called 'reboot'", id="an unknown action"),
        pytest.param("delay.all=fast", "is not a duration", id="no duration"),
        pytest.param("order=random", "give longest", id="an unknown order"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_with_what_would(text: str, error: str) -> None:
    """Before anything is simulated."""
    with pytest.raises(ChangeError, match=error):
        read_changes([text])


def test_a_step_that_the_run_does_not_have_is_refused() -> None:
    """With those that it has."""
    with pytest.raises(ChangeError, match="stuck-drain has no step 9; it has 1, 2, 3"):
        simulate("stuck-drain", "timeout.step.9=3s")
