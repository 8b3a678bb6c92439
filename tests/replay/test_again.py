from __future__ import annotations

import msgspec

from kubernaut.replay.again import make_again
from kubernaut.replay.recording import Chain
from kubernaut.replay.verdict import judge, summary, told
from tests.replay.builders import a_chain, a_recording, altered, without


def test_every_decision_is_made_again_from_what_the_log_holds() -> None:
    """Byte for byte, of a run with timeouts, a retry and a rollback that a person asked for."""
    chain = a_chain("stuck-drain")

    found = list(make_again(chain))

    assert [(each.sequence, True) for each in (made.stored for made in chain.made)] == [
        (each.made.stored.sequence, each.same) for each in found
    ]


def test_a_decision_whose_message_is_missing_is_told_and_the_others_are_still_made() -> None:
    """Nothing is guessed in the place of what retention took."""
    recording = a_recording("stuck-drain")
    cause = Chain(recording).made[1].decision.causes[0]

    found = list(make_again(Chain(without(recording, cause.sequence))))

    assert [1] == [place for place, each in enumerate(found) if not each.same]
    assert f"message {cause.sequence} ({cause.id}) is not there" == found[1].error


def test_another_message_under_the_same_sequence_is_not_taken_for_it() -> None:
    """A damaged file can use a sequence again; identity is the id."""
    recording = a_recording("stuck-drain")
    cause = Chain(recording).made[1].decision.causes[0]
    damaged = altered(
        recording,
        cause.sequence,
        lambda stored: msgspec.structs.replace(stored, headers={**stored.headers, "ce-id": "another"}),
    )

    found = list(make_again(Chain(damaged)))

    assert f"message {cause.sequence} is another and not {cause.id}" == found[1].error


def test_a_run_whose_beginning_is_past_retention_is_made_again_from_its_second_decision_on() -> None:
    """The first that is there has nothing before it, and is told; it still carries the state for the next."""
    recording = a_recording("stuck-drain")
    first = Chain(recording).made[0].stored.sequence

    found = list(make_again(Chain(without(recording, first))))

    assert "decision 1, the one before, is not there" == found[0].error
    assert {True} == {each.same for each in found[1:]}


def test_what_differs_is_told_with_the_rule_and_where() -> None:
    """A decision that was recorded with another command."""
    recording = a_recording("stuck-drain")
    made = Chain(recording).made[2]
    raw = made.stored.data.replace(b'"stuck-drain-step-2"', b'"stuck-drain-step-9"', 1)
    other = altered(recording, made.stored.sequence, lambda stored: msgspec.structs.replace(stored, data=raw))

    with judge() as decide_again:
        judged = decide_again(Chain(other), effects=True)

    assert judged.wrong
    assert [
        f"  version 3 at sequence {made.stored.sequence}",
        "    - create_execution stuck-drain-step-9  [commanded]",
        "    + create_execution stuck-drain-step-2  [commanded]",
    ] == told(judged)[1:]
    assert f"1 runs, {judged.same + 1} decisions by this version: {judged.same} as they were, 1 otherwise" == summary(
        [judged], None
    )
