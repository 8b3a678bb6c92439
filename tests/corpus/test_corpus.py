"""Recorded runs of the real system: this version makes every decision of theirs again, byte for byte.

Fails where the engine decides otherwise. Is that meant: `kubernaut replay --check tests/corpus` shows each difference,
for the review; then `python -m tests.corpus.record` records them anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kubernaut.replay.recording import Chain
from kubernaut.replay.sources import bundles_in, read_bundle
from kubernaut.replay.verdict import judge, told
from schemas.redaction import redact_json

FILES = bundles_in(str(Path(__file__).parent)) or []
LARGEST = 100 * 1024


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_a_recorded_run_is_decided_as_it_was(file: Path) -> None:
    """Every stored decision, byte for byte, with none left out."""
    chain = Chain(read_bundle(file))

    with judge() as decide_again:
        judged = decide_again(chain, effects=False)

    assert len(chain.made) == judged.same, "\n".join(told(judged))


def test_the_corpus_shows_what_a_run_may_meet() -> None:
    """Every phase but the queue, every end of a step, every kind of command, nearly every kind of cause."""
    seen = {"phases": set[str](), "steps": set[str](), "commands": set[str](), "causes": set[str]()}
    for file in FILES:
        for made in Chain(read_bundle(file)).made:
            decision = made.decision
            seen["phases"] |= {each.after for each in decision.transitions if each.entity == "workflow"}
            seen["steps"] |= {each.after for each in decision.transitions if each.entity == "step"}
            seen["commands"] |= {str(each.__struct_config__.tag) for each in decision.commands}
            seen["causes"] |= {each.type.split(".")[3] for each in decision.causes}

    wanted = {
        "phases": {
            "planning",
            "validating",
            "executing",
            "monitoring",
            "rolling_back",
            "completed",
            "failed",
            "cancelled",
        },
        "steps": {"executing", "waiting_retry", "completed", "failed", "skipped", "cancelled", "rolled_back"},
        "commands": {
            "create_execution",
            "delete_execution",
            "release_execution",
            "hold_workflow",
            "release_workflow",
            "run_check",
            "delete_workflow",
        },
        "causes": {
            "workflow-changed",
            "execution-changed",
            "check-reported",
            "alert-fired",
            "timer-due",
            "queue-decision",
            "decision",
        },
    }
    assert {} == {what: names - seen[what] for what, names in wanted.items() if names - seen[what]}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_a_recorded_run_is_small_and_holds_no_secret(file: Path) -> None:
    """So that it can stand in the repository."""
    recording = read_bundle(file)

    assert file.stat().st_size <= LARGEST
    assert [] == [each.sequence for each in recording.messages if redact_json(each.data) is not each.data]
