"""The Python client on a real nats-server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import nats
import pytest
import pytest_asyncio

import kubernaut
from kubernaut import Event, Gap, UnknownEvent, UnreadableEvent, subscribe
from kubernaut.conformance.story import a_run, a_uid, interleaved
from runtime.errors import UnavailableError
from schemas.cloudevents import Event as CloudEvent
from schemas.cloudevents import to_headers
from schemas.subjects import EVENT_STREAM
from tests.eventually import eventually
from tests.nats_server import NatsServer, administrator

pytestmark = pytest.mark.real
SECONDS = 60.0


class Publisher:
    """Whoever fills the stream."""

    def __init__(self, server: NatsServer, client: Any) -> None:
        self.server = server
        self.client = client

    @property
    def url(self) -> str:
        """Where it is."""
        return self.server.url

    async def tell(self, *events: CloudEvent) -> None:
        """Publish events as they are."""
        for event in events:
            await self.put(event.subject, event.data, to_headers(event))

    async def put(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        """Publish anything."""
        await self.client.jetstream().publish(subject, data, headers=headers)


@pytest_asyncio.fixture
async def stream(fresh_nats: NatsServer) -> AsyncIterator[Publisher]:
    """A server with the product's streams."""
    client = await nats.connect(fresh_nats.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    yield Publisher(fresh_nats, client)
    await client.close()


async def take(items: AsyncGenerator[Any, None], count: int) -> list[Any]:
    """The next so many items, all of them acknowledged but the last."""
    async with asyncio.timeout(SECONDS):
        return [await anext(items) for _ in range(count)]


async def all_of(stream: Publisher, count: int, **arguments: Any) -> list[Any]:
    """So many items of a subscription that ends after them, with everything acknowledged."""
    async with contextlib.aclosing(subscribe(stream.url, **{"durable": "team"} | arguments)) as items:
        found = await take(items, count)
        if not isinstance(found[-1], Gap):
            await found[-1].ack()
        return found


def ids(items: list[Any]) -> list[str]:
    """What was given, in order."""
    return [item.id for item in items]


async def test_every_event_comes_in_order_and_typed(stream: Publisher) -> None:
    """Two runs at once; what the stream holds is what is given."""
    told = interleaved(a_run(1), a_run(2))
    await stream.tell(*told)

    found = await all_of(stream, len(told))

    assert [event.id for event in told] == ids(found)
    assert list(range(1, len(told) + 1)) == [event.sequence for event in found]
    assert all(isinstance(event, Event) for event in found)


async def test_after_a_restart_it_goes_on_where_it_stopped(stream: Publisher) -> None:
    """What was acknowledged does not come again; what was in hand when the program ended does."""
    told = a_run()
    await stream.tell(*told)

    async with contextlib.aclosing(subscribe(stream.url, durable="team")) as items:
        before = await take(items, 3)
    after = await all_of(stream, len(told) - 2)

    assert [event.id for event in told[:3]] == ids(before)
    assert [event.id for event in told[2:]] == ids(after)


async def test_an_event_that_was_acknowledged_by_hand_does_not_come_again(stream: Publisher) -> None:
    """Before the next one is asked for."""
    told = a_run()
    await stream.tell(*told)

    first = await all_of(stream, 1)
    second = await all_of(stream, 1)

    assert [told[0].id, told[1].id] == ids(first + second)


async def test_only_what_was_asked_for_comes(stream: Publisher) -> None:
    """By kind, by namespace and by workflow, uid or name; the first of another kind would be seen first."""
    await stream.tell(*interleaved(a_run(1), a_run(2)))

    of_kind = await all_of(stream, 2, subjects=["workflow.completed"], namespace="shop", durable="kind")
    by_uid = await all_of(stream, 10, workflow=a_uid(2), durable="uid")
    by_name = await all_of(stream, 10, workflow="leak-2", durable="name")

    assert [("completed", "leak-1"), ("completed", "leak-2")] == [(one.what, one.workflow) for one in of_kind]
    assert [event.id for event in a_run(2)] == ids(by_uid) == ids(by_name)


async def test_a_new_durable_begins_where_it_is_told_to(stream: Publisher) -> None:
    """At a place in the stream, at a moment, or with what comes next."""
    first, second = a_run(1), a_run(2)
    await stream.tell(*first)
    moment = datetime.fromtimestamp(time.time(), UTC)
    await eventually(lambda: datetime.now(UTC) > moment)
    await stream.tell(*second)

    by_sequence = await all_of(stream, 2, start=9, durable="sequence")
    by_time = await all_of(stream, 1, start=moment, durable="time")
    async with contextlib.aclosing(subscribe(stream.url, durable="new", start="new")) as items:
        coming = asyncio.create_task(take(items, 1))
        await until_made(stream, "new")
        await stream.tell(*a_run(3))
        newest = await coming

    assert ([first[8].id, first[9].id], [second[0].id], [a_run(3)[0].id]) == (
        ids(by_sequence),
        ids(by_time),
        ids(newest),
    )


async def durables(stream: Publisher) -> set[str]:
    """Names of the durables that the server has."""
    return {one.name for one in await stream.client.jetstream().consumers_info(EVENT_STREAM.name)}


async def until_made(stream: Publisher, durable: str) -> None:
    """Wait until the server has a durable."""
    async with asyncio.timeout(SECONDS):
        while durable not in await durables(stream):  # noqa: ASYNC110 - the server is asked
            await asyncio.sleep(0.05)


async def test_a_subscription_may_ask_for_more_later(stream: Publisher) -> None:
    """The durable is brought up to the new filter and stays where it stands."""
    told = a_run()
    await stream.tell(*told)

    first = await all_of(stream, 1, subjects=["workflow.planned"])
    more = await all_of(stream, 1, subjects=["workflow.planned", "workflow.started"])

    assert [told[0].id, told[2].id] == ids(first + more)


async def test_what_is_in_the_stream_twice_is_given_once(stream: Publisher) -> None:
    """As after the deduplication window; with `repeats` it is shown and marked."""
    told = a_run()
    again = msgspec.structs.replace(told[1])
    await stream.tell(*told[:3])
    await stream.put(again.subject, again.data, to_headers(again) | {"Nats-Msg-Id": "another"})
    await stream.tell(*told[3:])

    once = await all_of(stream, len(told))
    shown = await all_of(stream, len(told) + 1, durable="shown", repeats=True)

    assert [event.id for event in told] == ids(once)
    assert [(told[1].id, True)] == [(one.id, one.repeated) for one in shown if one.repeated]


async def test_other_messages_are_told_and_stop_nobody(stream: Publisher) -> None:
    """A poison message and an event of a newer version, which has its place among the ordinals."""
    told = a_run()
    newer = msgspec.structs.replace(told[1], id="newer", type="io.kubernaut.workflow.escalated.v1")
    await stream.tell(told[0])
    await stream.put(told[0].subject, b"\xff poison")
    await stream.tell(newer, told[2])

    found = await all_of(stream, 4)

    assert [Event, UnreadableEvent, UnknownEvent, Event] == [type(item) for item in found]
    assert "no header ce-id" in found[1].error


async def test_what_is_gone_from_the_stream_is_a_gap(stream: Publisher) -> None:
    """In the middle for somebody who reads on, at the beginning for a late joiner."""
    told = a_run(steps=1)
    await stream.tell(*told[2:4], *told[6:])

    found = await all_of(stream, 5)

    assert [
        Gap(workflow_uid=a_uid(1), ordinals=(0, 1)),
        told[2].id,
        told[3].id,
        Gap(workflow_uid=a_uid(1), ordinals=(4, 5)),
        told[6].id,
    ] == [item if isinstance(item, Gap) else item.id for item in found]


async def test_history_that_went_while_the_program_was_away_is_a_gap(fresh_nats: NatsServer) -> None:
    """On a stream that keeps ten messages: the places between the last acknowledged one and the first that is left."""
    async with administrator(fresh_nats.url) as connection:
        info = msgspec.json.decode(await connection.api(f"STREAM.INFO.{EVENT_STREAM.name}"))
        few = info["config"] | {"max_msgs": 10, "discard": "old"}
        await connection.api(f"STREAM.UPDATE.{EVENT_STREAM.name}", few)
    client = await nats.connect(fresh_nats.url)
    stream = Publisher(fresh_nats, client)
    await stream.tell(*a_run(1))
    await all_of(stream, 5)
    await stream.tell(*a_run(2))

    found = await all_of(stream, 2)
    await client.close()

    assert [Gap(sequences=(6, 10)), a_run(2)[0].id] == [found[0], found[1].id]


async def test_it_survives_that_the_server_is_killed(stream: Publisher) -> None:
    """Every event comes, each once, over two kills; nothing is done by the program."""
    told = [event for run in range(1, 4) for event in a_run(run)]
    found: list[str] = []

    async def read() -> None:
        async for event in subscribe(stream.url, durable="team"):
            found.append(event.id)  # noqa: PERF401 - it never ends

    reading = asyncio.create_task(read())
    for start in (0, 10, 20):
        await stream.tell(*told[start : start + 10])
        await eventually(lambda: len(found) >= start + 10, seconds=SECONDS)  # noqa: B023 - called in this turn
        if start < 20:
            await stream.server.kill()
            await stream.server.start()
            await eventually(lambda: stream.client.is_connected, seconds=SECONDS)
    reading.cancel()
    await asyncio.wait({reading})

    assert [event.id for event in told] == found


async def test_a_durable_that_somebody_deleted_is_made_anew(stream: Publisher) -> None:
    """It begins where this program is; nothing is lost or repeated."""
    told = a_run()
    await stream.tell(*told[:4])
    async with contextlib.aclosing(subscribe(stream.url, durable="team")) as items:
        found = await take(items, 4)
        await found[-1].ack()
        await stream.client.jetstream().delete_consumer(EVENT_STREAM.name, "team")
        await stream.tell(*told[4:])
        found += await take(items, 6)

    assert [event.id for event in told] == ids(found)


async def test_what_makes_no_sense_is_refused_at_once(stream: Publisher) -> None:
    """Before anything is connected."""
    with pytest.raises(ValueError, match=r"workflow\.failed"):
        await anext(subscribe(stream.url, durable="team", subjects=["failed"]))
    with pytest.raises(ValueError, match="no beginning"):
        await anext(subscribe(stream.url, durable="team", start=0))


async def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its reason, and not waited for without end at the start."""
    monkeypatch.setattr("kubernaut.subscriber.subscribing.CONNECT_SECONDS", 1.0)

    with pytest.raises(UnavailableError, match=r"no connection to NATS in 1 s: cannot connect"):
        await anext(subscribe("nats://127.0.0.1:1", durable="team"))


def test_the_package_offers_the_client_and_no_other_name() -> None:
    """`from kubernaut import subscribe` is all that people type."""
    assert all(callable(getattr(kubernaut, name)) for name in kubernaut.__all__)
    with pytest.raises(AttributeError, match="no attribute 'publish'"):
        kubernaut.publish  # noqa: B018 - asking is what is tried
