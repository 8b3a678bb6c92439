from __future__ import annotations

import asyncio
import json
from typing import Any

import click
import msgspec
import pytest

from kubernaut.cli.event_lines import belongs, for_people, for_programs
from kubernaut.cli.events import parse_start, subject_for
from kubernaut.cli.events_loop import first_since, read_events
from runtime.errors import UnavailableError
from runtime.ports import Stored
from schemas.cloudevents import Event, to_headers, traceparent
from schemas.messages import PublicEvent, StepRef, WorkflowRef, encode, public_type
from schemas.subjects import EVENT_STREAM, event
from tests.cli.builders import NOW, UID
from tests.eventually import eventually
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog

NAME = "kubernaut.event.shop.11111111-0000-4000-8000-000000000000.step.completed"
A_MINUTE = 60_000


def an_event(number: int = 1, *, name: str = "leak", step: bool = True, **fields: Any) -> Event:
    """Return a public event about step `number`, or about the workflow."""
    entity = "step" if step else "workflow"
    body = PublicEvent(
        workflow=WorkflowRef(namespace="shop", name=name, uid=UID),
        step=StepRef(number=number, attempt=1, action="restart_pod") if step else None,
        before="executing",
        after="completed",
        sequence=7,
        time=NOW,
    )
    return Event(
        subject=event("shop", UID, "step" if step else "workflow", "completed"),
        id=f"{UID}/7/{number}",
        type=public_type(entity, "completed"),
        source="/kubernaut/scheduler",
        data=encode(msgspec.structs.replace(body, **fields)),
        correlation_id="rr-1",
        causation_id=f"{UID}/7",
        traceparent=traceparent(UID, str(number)),
        extensions={"ordinal": str(number), "time": "2026-01-01T00:01:00.000+00:00", "subject": f"shop/{name}"},
    )


def stored(one: Event | None = None, **fields: Any) -> Stored:
    """Return an event as the stream holds it."""
    told = one or an_event()
    message = Stored(
        stream=EVENT_STREAM.name,
        sequence=12,
        time_ms=NOW,
        subject=told.subject,
        headers=to_headers(told),
        data=told.data,
    )
    return msgspec.structs.replace(message, **fields)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (an_event(3), "step.completed       shop/leak  step 3 restart_pod  executing > completed"),
        (an_event(3, before="", after="x"), "step.completed       shop/leak  step 3 restart_pod  - > x"),
        (
            an_event(step=False, reason="partial_success", message="one failed"),
            "workflow.completed   shop/leak  executing > completed  partial_success: one failed",
        ),
    ],
)
def test_an_event_is_one_line(one: Event, expected: str) -> None:
    """A person sees when, what, where, from which state to which, and why."""
    assert for_people(stored(one)) == f"    12  2026-01-01T00:01:00.000Z  {expected}"


@pytest.mark.parametrize("fields", [{"data": b"{"}, {"headers": {}}, {"data": b"[]"}])
def test_what_cannot_be_read_is_a_line_too(fields: dict[str, Any]) -> None:
    """A broken message does not end the list."""
    assert "not readable" in for_people(stored(**fields))
    assert json.loads(for_programs(stored(**fields)))["sequence"] == 12


def test_programs_get_a_structured_cloudevent() -> None:
    """One line of JSON with all attributes, the sequence for `--from`, and the data."""
    line = for_programs(stored())

    told = json.loads(line)
    assert "\n" not in line
    assert (told["specversion"], told["id"], told["type"]) == ("1.0", f"{UID}/7/1", "io.kubernaut.step.completed.v1")
    assert (told["correlationid"], told["time"], told["subject"]) == ("rr-1", "2026-01-01T00:01:00.000Z", NAME)
    assert told["data"]["workflow"]["name"] == "leak"


def test_events_of_a_name_are_told_from_others() -> None:
    """The name of a workflow is in the data only."""
    assert belongs(stored(), "leak")
    assert not belongs(stored(), "other")
    assert not belongs(stored(data=b"{"), "leak")
    assert not belongs(stored(data=b'{"workflow": 7}'), "leak")


@pytest.mark.parametrize(
    ("namespace", "workflow", "expected"),
    [
        (None, None, "kubernaut.event.*.*.*.*"),
        ("shop", None, "kubernaut.event.shop.*.*.*"),
        (None, UID, f"kubernaut.event.*.{UID}.*.*"),
        ("shop", "leak", "kubernaut.event.shop.*.*.*"),
    ],
)
def test_the_server_filters_what_a_subject_can_say(namespace: str | None, workflow: str | None, expected: str) -> None:
    """Namespace and uid are tokens of the subject."""
    assert expected == subject_for(namespace, workflow)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (1, 0)),
        ("0", (1, 0)),
        ("17", (17, 0)),
        ("2026-01-01T00:01:00Z", (1, NOW)),
        ("1m", (1, NOW - A_MINUTE)),
        ("1h30m", (1, NOW - 90 * A_MINUTE)),
    ],
)
def test_the_beginning_is_a_sequence_a_time_or_a_while_ago(text: str | None, expected: tuple[int, int]) -> None:
    """Each form of `--from`."""
    assert expected == parse_start(text, NOW)


@pytest.mark.parametrize("text", ["soon", "-3", "5x", ""])
def test_another_beginning_is_refused_with_examples(text: str) -> None:
    """What is none of them is told with one of each."""
    with pytest.raises(click.BadParameter, match="neither a sequence"):
        parse_start(text, NOW)


class ReallyAway(FakeLog):
    """A log that counts how often it was asked while it was away, and whose oldest messages retention took."""

    refused = 0
    oldest = 1

    async def last(self, stream: str, subject: str) -> Stored | None:
        """See `Log.last`."""
        self.refused += self.unavailable
        return await super().last(stream, subject)

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """See `Log.get`."""
        return await super().get(stream, sequence) if sequence >= self.oldest else None


async def sequences(log: FakeLog, *, start: int = 1) -> list[int]:
    """Return the sequences of all events from `start` on."""
    return [one.sequence async for one in read_events(log, "kubernaut.event.>", start=start, follow=False)]


async def test_all_events_are_read_in_order() -> None:
    """From the first, or from where it was asked for, to the end; past the end there is nothing."""
    log = FakeLog()
    for number in range(1, 6):
        await log.publish(an_event(number))

    assert await sequences(log) == [1, 2, 3, 4, 5]
    assert await sequences(log, start=4) == [4, 5]
    assert await sequences(log, start=9) == []


async def test_a_follower_gets_what_comes_later_and_survives_an_outage() -> None:
    """With `--follow` new events are shown as they come, each once, also after the log was away."""
    log, seen = ReallyAway(), []
    await log.publish(an_event(1))

    async def follow() -> None:
        async for one in read_events(log, "kubernaut.event.>", start=1, follow=True):
            seen.append(one.sequence)  # noqa: PERF401 - it never ends

    task = asyncio.create_task(follow())
    await eventually(lambda: seen == [1])
    log.unavailable = True
    await eventually(lambda: log.refused)
    log.unavailable = False
    await log.publish(an_event(2))
    await eventually(lambda: seen == [1, 2])
    task.cancel()


@pytest.mark.parametrize("oldest", [1, 3])
@pytest.mark.parametrize(
    ("after", "expected"), [(-60, None), (0, None), (9, 2), (10, 2), (11, 3), (40, 5), (41, 6), (9999, 6)]
)
async def test_a_time_is_found_in_the_log(after: int, expected: int | None, oldest: int) -> None:
    """The first event at a time or later; five events, ten seconds apart, the oldest of which may be gone."""
    clock = ManualClock(NOW / 1000)
    log = ReallyAway(clock=clock)
    log.oldest = oldest
    for number in range(1, 6):
        await log.publish(an_event(number))
        clock.advance(10)

    found = await first_since(log, NOW + after * 1000)

    assert found == max(expected or 1, oldest)


async def test_an_empty_log_has_no_first_event() -> None:
    """Everything that comes is later than any time."""
    assert await first_since(FakeLog(), NOW) == 1


async def test_without_following_an_outage_is_an_error() -> None:
    """A list that may not be whole must not look as if it were."""
    log = FakeLog()
    log.unavailable = True

    with pytest.raises(UnavailableError):
        await sequences(log)
