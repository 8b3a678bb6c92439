from __future__ import annotations

from pathlib import Path

import pytest

from kubernaut.cli.events import log_at
from kubernaut.replay.into import copy_of, play, play_into
from kubernaut.replay.recording import RecordingError
from runtime.ports import Stored
from schemas.cloudevents import from_message
from schemas.subjects import DECISIONS, LOG
from tests.fakes.log import FakeLog
from tests.nats_server import NatsServer, running_nats
from tests.replay.builders import a_recording

RECORDING = a_recording("storm-payments-down")


def dense() -> FakeLog:
    """A log with the messages of a run and nothing else, from sequence 1 on."""
    log = FakeLog()
    log.broker.streams[LOG.name] = [
        Stored(
            stream=LOG.name,
            sequence=place,
            time_ms=each.time_ms,
            subject=each.subject,
            headers=each.headers,
            data=each.data,
        )
        for place, each in enumerate(RECORDING.messages, 1)
    ]
    return log


async def test_a_stretch_is_played_as_it_was() -> None:
    """Subjects, ids, payloads and attributes are kept; when and where it was is added."""
    source, target = dense(), FakeLog()
    count = len(RECORDING.messages)

    done = await play(source, target, 1, count)

    played = target.stored()
    assert [(each.subject, each.data, each.headers["ce-id"]) for each in RECORDING.messages] == [
        (each.subject, each.data, each.headers["ce-id"]) for each in played
    ]
    assert [str(each.time_ms) for each in RECORDING.messages] == [each.headers["ce-replayedtime"] for each in played]
    assert ["1"] == [played[0].headers["ce-replayedsequence"]]
    assert (count, 0, 0, 0) == (done.played, done.already, done.skipped, done.shift)
    assert "sequences are the same there" == done.told()[-1]


async def test_playing_it_twice_adds_nothing() -> None:
    """Ids are kept, so the server knows them again."""
    source, target = dense(), FakeLog()
    await play(source, target, 1, 100)

    done = await play(source, target, 1, 100)

    assert (0, len(RECORDING.messages)) == (done.played, done.already)
    assert len(RECORDING.messages) == len(target.stored())


async def test_only_what_was_asked_for_is_played_and_the_rest_is_told() -> None:
    """By subject and by sequence."""
    source, target = dense(), FakeLog()

    done = await play(source, target, 2, 100, only=[DECISIONS])

    assert {True} == {each.subject.startswith("kubernaut.decision.") for each in target.stored()}
    assert done.skipped == len(RECORDING.messages) - 1 - done.played
    assert any("sequences are" in line and "does not find it" in line for line in done.told())


async def test_an_empty_stretch_says_so() -> None:
    """Nothing is invented."""
    done = await play(dense(), FakeLog(), 1000, 2000)

    assert ["nothing was played: no message of the log is in that stretch"] == done.told()


def test_a_message_that_is_no_event_is_left_out() -> None:
    """Whoever wrote it."""
    odd = Stored(stream=LOG.name, sequence=1, time_ms=1, subject="kubernaut.signal.x", headers={}, data=b"hello")

    assert copy_of(odd) is None


def test_a_copy_of_a_copy_keeps_the_first_time() -> None:
    """Where it was in the beginning."""
    first = copy_of(RECORDING.messages[0])
    assert first is not None
    extensions = first.extensions | {"replayedtime": "1"}
    again = from_message(first.subject, RECORDING.messages[0].headers, first.data)

    assert first.extensions["replayedtime"] == str(RECORDING.messages[0].time_ms)
    assert again.extensions | extensions == extensions


@pytest.mark.real
async def test_on_real_servers_it_is_played_into_another_and_never_into_its_own(
    fresh_nats: NatsServer, tmp_path: Path
) -> None:
    """The same server under another address is known again."""
    other_address = fresh_nats.url.replace("127.0.0.1", "localhost")
    fake = dense()
    async with running_nats(tmp_path) as target:
        await target.install()
        async with log_at(fresh_nats.url) as source:
            for stored in fake.stored():
                await source.publish(from_message(stored.subject, stored.headers, stored.data))

        done = await play_into(fresh_nats.url, target.url, end=(len(RECORDING.messages) - 1, 0))

        assert (len(RECORDING.messages) - 1, 0) == (done.played, done.shift)
    with pytest.raises(RecordingError, match="is the server that the log is read from"):
        await play_into(fresh_nats.url, other_address)
