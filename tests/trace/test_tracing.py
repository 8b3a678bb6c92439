"""Sending spans: in batches, without ever being in the way; and not at all unless it is asked for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from kubernaut.cli.connection import quiet_logger
from runtime import tracing
from runtime.errors import ConflictError
from runtime.spans import span_of, trace_of
from runtime.tracing import SPANS, TracedLog, Tracer
from schemas.cloudevents import Event, traceparent
from schemas.messages import TYPE_OF, StatusChanged, encode
from tests.eventually import eventually
from tests.fakes.log import FakeLog
from tests.trace.receiver import Collector, a_collector

UID = "5f8f8a52-0000-4000-8000-000000000001"


def an_event(identity: str = "one") -> Event:
    """A message of a run."""
    return Event(
        subject=f"kubernaut.change.status.shop.{UID}",
        id=identity,
        type=TYPE_OF[StatusChanged],
        source="/kubernaut/watcher",
        data=encode(StatusChanged(resource_version="5", phase="executing", sequence=2)),
        traceparent=traceparent(UID, identity),
    )


@asynccontextmanager
async def a_tracer(url: str) -> AsyncIterator[Tracer]:
    """A tracer that sends."""
    tracer = Tracer(url, {"authorization": "Bearer x"}, quiet_logger())
    sending = asyncio.create_task(tracer.run())
    try:
        yield tracer
    finally:
        sending.cancel()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """A collector."""
    async with a_collector() as found:
        yield found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for before a batch is sent."""
    monkeypatch.setattr(tracing, "PAUSE_SECONDS", 0.01)


def count(result: str) -> float:
    """Spans by what became of them."""
    return float(SPANS.labels(result)._value.get())  # noqa: SLF001 - the library has no other way to read it


async def test_what_is_published_is_sent(collector: Collector) -> None:
    """With its login, under the ids of its own trace context; a repeat is told again, one that was refused is not."""
    async with a_tracer(collector.url) as tracer:
        log = TracedLog(FakeLog(), tracer)
        await log.publish(an_event())
        await log.publish(an_event())
        with pytest.raises(ConflictError):
            await log.publish(an_event("two"), expect=9)
        await eventually(lambda: bool(collector.spans))

    assert {span_of("one")} == collector.spans.keys()
    (span,) = collector.spans.values()
    assert (trace_of(UID), "kubernaut-watcher", "status seen") == (span["traceId"], span["service"], span["name"])
    assert "Bearer x" == collector.headers[0]["authorization"]


async def test_a_collector_that_does_not_take_them_costs_spans_and_nothing_else(collector: Collector) -> None:
    """They are dropped and counted; the next ones are sent when it takes them again."""
    dropped = count("dropped")
    async with a_tracer(collector.url) as tracer:
        collector.refuse = True
        tracer.message(an_event("lost"), 1)
        await eventually(lambda: count("dropped") == dropped + 1)
        collector.refuse = False
        tracer.message(an_event("kept"), 1)
        await eventually(lambda: bool(collector.spans))

    assert {span_of("kept")} == collector.spans.keys()


async def test_a_span_that_cannot_be_made_fails_nothing(collector: Collector) -> None:
    """What came from outside may be no text at all; who published or stored it goes on."""
    async with a_tracer(collector.url) as tracer:
        dropped = count("dropped")
        tracer.message(msgspec.structs.replace(an_event(), id="\udcff"), 1)
        assert dropped + 1 == count("dropped")
        tracer.message(an_event("kept"), 1)
        await eventually(lambda: bool(collector.spans))

    assert {span_of("kept")} == collector.spans.keys()


async def test_without_any_collector_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first."""
    monkeypatch.setattr(tracing, "WAITING", 3)
    dropped = count("dropped")
    tracer = Tracer("http://127.0.0.1:9", {}, quiet_logger())

    for number in range(5):
        tracer.message(an_event(str(number)), 1)
    at_first = count("dropped") - dropped
    await tracer.close()

    assert (2, 5) == (at_first, count("dropped") - dropped)


async def test_at_the_end_what_is_left_is_sent(collector: Collector) -> None:
    """A process that stops tells what it did last."""
    tracer = Tracer(collector.url, {}, quiet_logger())
    tracer.message(an_event(), 1)

    await tracer.close()

    assert {span_of("one")} == collector.spans.keys()


def test_nothing_of_it_is_imported_where_it_is_not_asked_for() -> None:
    """All four services, whole."""
    program = (
        "import sys, watcher.__main__, scheduler.__main__, executor_bridge.__main__, auditor.__main__;"
        "print([name for name in sys.modules if name.startswith(('runtime.tracing', 'runtime.spans', 'runtime.otlp'))])"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == found.stdout.strip()
