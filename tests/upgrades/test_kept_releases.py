"""What earlier releases wrote: this version reads every message of theirs and goes on from every state (F55)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubernaut.replay.again import make_again
from kubernaut.replay.recording import Chain
from kubernaut.replay.sources import read_bundle
from scheduler.redecide import inputs_of, learned_of, plan_of, redecide
from schemas.messages import Decision, decode, encode
from tests.upgrades.releases import releases, runs

FILES = [
    pytest.param(run, id=f"{version}-{run.name.partition('.')[0]}") for version in releases() for run in runs(version)
]


def test_every_release_is_kept_with_its_runs() -> None:
    """Those in which every phase, end, command and kind of cause was seen."""
    assert releases()
    assert all(runs(version) for version in releases())


@pytest.mark.parametrize("file", FILES)
def test_every_message_is_read(file: Path) -> None:
    """And keeps all that it says: a field that is no longer known would be lost with the next decision."""
    for stored in read_bundle(file).messages:
        body = decode(stored.headers["ce-type"], stored.data)

        assert [] == lost(msgspec.json.decode(stored.data), msgspec.json.decode(encode(body))), stored.subject


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """Which values of `before` are missing or other in `after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [each for key, value in before.items() for each in lost(value, after.get(key), f"{path}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) <= len(after):  # states grow at their end
        return [each for place, value in enumerate(before) for each in lost(value, after[place], f"{path}[{place}]")]
    return [] if before == after else [path]


@pytest.mark.parametrize("file", FILES)
def test_every_decision_is_made_again_from_the_state_before(file: Path) -> None:
    """By this version, from that release's states and messages; it may decide otherwise, but it can decide."""
    again = list(make_again(Chain(read_bundle(file))))

    assert {} == {each.made.stored.sequence: each.error for each in again if each.error}


@pytest.mark.parametrize("file", FILES)
def test_a_run_is_taken_over_after_any_decision_and_ends_as_it_did(file: Path) -> None:
    """From there on this version decides from its own states, with what came to the run then."""
    chain = Chain(read_bundle(file))
    made = [each.decision for each in chain.made]
    learned = learned_of(made)
    end = (made[-1].state.phase, made[-1].state.outcome)

    for taken_over in range(len(made)):
        state: Decision | None = made[taken_over]
        for recorded in made[taken_over + 1 :]:
            plan = plan_of(recorded, learned, chain.at.get)
            state = redecide(plan, state, inputs_of(recorded, chain.at.get)) or state

        assert state is not None
        assert end == (state.state.phase, state.state.outcome), f"taken over after decision {taken_over + 1}"
