from __future__ import annotations

import re

import pytest

from kubernaut.replay.recording import Chain, Recording, RecordingError
from kubernaut.replay.shown import overview, page
from tests.replay.builders import a_chain, a_recording, without

CHAIN = a_chain("stuck-drain")
FIRST, SECOND, LAST = (CHAIN.made[place].stored for place in (0, 1, -1))


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        pytest.param(FIRST.sequence - 1, -1, id="before the first decision there is no state"),
        pytest.param(FIRST.sequence, 0, id="at the first decision it is the first"),
        pytest.param(SECOND.sequence - 1, 0, id="until the second one it stays so"),
        pytest.param(SECOND.sequence, 1, id="from the second one on it is that one's"),
        pytest.param(LAST.sequence + 10_000, len(CHAIN.made) - 1, id="behind the end it is the last"),
    ],
)
def test_the_state_at_a_sequence_is_that_of_the_last_decision_before(sequence: int, expected: int) -> None:
    """The message at a sequence has an effect only once it is decided on."""
    assert expected == CHAIN.index_at_sequence(sequence)


def test_the_state_at_a_time_is_that_of_the_last_decision_stored_by_then() -> None:
    """By broker time."""
    assert [-1, 0, 0, 1] == [
        CHAIN.index_at_time(moment) for moment in (FIRST.time_ms - 1, FIRST.time_ms, SECOND.time_ms - 1, SECOND.time_ms)
    ]


def test_a_page_shows_object_plan_steps_and_timers_as_they_were() -> None:
    """While the second step of three runs."""
    index = next(place for place, line in enumerate(overview(CHAIN)) if "step 2 executing -> executing" in line)

    text = "\n".join(line.plain for line in page(CHAIN, index, plain=True))

    assert f"decision {index + 1} of {len(CHAIN.made)}: version {index + 1} at sequence" in text
    assert "because of execution-changed" in text
    assert "step 2 executing -> executing (observed)" in text
    assert "sequential, typically 7m5s, longest path 1 → 2 → 3" in text
    assert "1/3" in text
    assert re.search(r"^  step:2     in [12]\.\ds .*its time is over", text, re.MULTILINE)
    assert re.search(r"^  workflow   in 9m5\ds .*the run's time is over", text, re.MULTILINE)
    assert "next" not in text


def test_the_overview_has_a_line_for_each_decision_with_its_commands() -> None:
    """In order."""
    lines = overview(CHAIN)

    assert len(CHAIN.made) == len(lines)
    assert any("=> create_execution stuck-drain-step-2-retry-1" in line for line in lines)
    assert [f"v{place}" for place in range(1, len(lines) + 1)] == [line.split()[1] for line in lines]


def test_every_page_of_every_run_can_be_shown_without_its_definition() -> None:
    """A log that has lost the beginning shows the rest."""
    recording = a_recording("production-failover")
    definition = Chain(recording).made[0].decision.state.definition_sequence
    chain = Chain(without(recording, definition))

    pages = [page(chain, index) for index in range(len(chain.made))]

    assert all(len(lines) > 5 for lines in pages)


def test_a_run_about_which_nothing_was_decided_is_refused() -> None:
    """With its uid."""
    with pytest.raises(RecordingError, match="nothing was decided about run nobody"):
        Chain(Recording(uid="nobody", messages=()))
