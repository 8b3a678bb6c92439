from __future__ import annotations

import msgspec
import pytest

from kubernaut.replay.from_log import every_run, record, sequence_at, uid_of
from kubernaut.replay.recording import Chain, Recording, RecordingError
from kubernaut.replay.verdict import judge
from runtime.ports import Stored
from schemas.subjects import EVENT_STREAM, LOG
from tests.fakes.log import FakeLog
from tests.replay.builders import a_recording


def a_log(*recordings: Recording) -> FakeLog:
    """A log that holds these runs where they were, with nothing between them."""
    log = FakeLog()
    for stream in (LOG.name, EVENT_STREAM.name):
        there: dict[int, Stored] = {}
        for each in recordings:
            there |= {m.sequence: m for m in (*each.messages, *each.events) if m.stream == stream}
        log.broker.streams[stream] = [there.get(sequence) for sequence in range(1, max(there) + 1)]
    return log


async def test_a_run_is_read_with_all_that_its_decisions_were_made_of() -> None:
    """As it was recorded: its own messages, the queue's, and those of the run that it ran again."""
    recording = a_recording("failed-failover-again")
    log = a_log(recording, a_recording("failed-failover"))

    found = await record(log, recording.uid)

    assert recording.messages == found.messages
    assert recording.events == found.events
    with judge() as decide_again:
        assert not decide_again(Chain(found), effects=False).wrong


async def test_what_retention_took_is_noted() -> None:
    """And the rest is there."""
    recording = a_recording("stuck-drain")
    log = a_log(recording)
    first = recording.messages[0].sequence
    cause = Chain(recording).made[0].decision.causes[-1].sequence
    for sequence in (first, cause):
        log.broker.streams[LOG.name][sequence - 1] = None

    found = await record(log, recording.uid)

    assert len(recording.messages) - len({first, cause}) == len(found.messages)
    assert any("past retention" in note for note in found.notes)


async def test_a_run_is_found_by_its_name_and_the_newest_of_a_name_is_meant() -> None:
    """In any namespace where the name is in one only."""
    log = a_log(a_recording("stuck-drain"), a_recording("error-budget"))

    assert a_recording("error-budget").uid == await uid_of(log, "error-budget", None)
    with pytest.raises(RecordingError, match="no workflow error-budget in namespace shop"):
        await uid_of(log, "error-budget", "shop")
    with pytest.raises(RecordingError, match="holds no decision"):
        await record(log, "00000000-0000-4000-8000-000000000000")


async def test_a_name_that_is_in_two_namespaces_must_be_said_with_one() -> None:
    """Nobody guesses."""
    recording = a_recording("stuck-drain")
    log = a_log(recording)
    change = next(each for each in recording.messages if each.subject.startswith("kubernaut.change.workflow."))
    subject = change.subject.replace(".default.", ".shop.").replace(recording.uid, "another")
    log.broker.streams[LOG.name].append(msgspec.structs.replace(change, subject=subject, sequence=10_000))

    with pytest.raises(RecordingError, match=r"several namespaces \(default, shop\)"):
        await uid_of(log, "stuck-drain", None)


async def test_all_runs_are_found_without_the_queue() -> None:
    """In the order of their last decisions."""
    runs = [a_recording(name) for name in ("stuck-drain", "error-budget")]

    found = await every_run(a_log(*runs))

    assert sorted(each.uid for each in runs) == sorted(found)


async def test_a_time_leads_to_the_first_message_of_then() -> None:
    """By halving: sequences have no holes but at the beginning, where retention took the oldest."""
    messages = a_recording("stuck-drain").messages
    log = FakeLog()
    log.broker.streams[LOG.name] = [
        None if place < 3 else msgspec.structs.replace(each, sequence=place + 1) for place, each in enumerate(messages)
    ]

    assert 6 == await sequence_at(log, messages[5].time_ms)
    assert 4 == await sequence_at(log, messages[0].time_ms)
    assert len(messages) + 1 == await sequence_at(log, messages[-1].time_ms + 1)
