"""The state tables: what is legal, and that the docs show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.transitions import RUN, STEP, IllegalTransitionError, diagram, run_after, step_after
from schemas.workflow_status import TERMINAL_PHASES, TERMINAL_STEP_PHASES

DOCS = Path(__file__).parents[2] / "docs"


def test_an_absent_pair_is_an_error_that_names_both() -> None:
    """It changes nothing."""
    with pytest.raises(IllegalTransitionError, match="a run in phase 'completed' knows no event 'started'"):
        run_after("completed", "started")
    with pytest.raises(IllegalTransitionError, match="a step in phase 'skipped' knows no event 'commanded'"):
        step_after("skipped", "commanded")


def test_a_final_phase_is_left_only_by_a_rollback_or_at_the_word_of_a_person() -> None:
    """Nothing else starts a run or a step again."""
    assert {("failed", "rollback_asked")} == {pair for pair in RUN if pair[0] in TERMINAL_PHASES}
    asked_again = {("failed", "retry_asked"), ("skipped", "revived")}
    assert {("completed", "rolled_back")} | asked_again == {pair for pair in STEP if pair[0] in TERMINAL_STEP_PHASES}


def test_every_phase_that_can_be_reached_can_be_left_or_is_final() -> None:
    """No run can hang in a phase that knows no event."""
    left = {before for before, _ in RUN}

    assert set(RUN.values()) - TERMINAL_PHASES <= left


def test_the_docs_show_the_tables_as_they_are() -> None:
    """`make generate` writes the page."""
    assert diagram() == (DOCS / "states.md").read_text()
