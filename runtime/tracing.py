"""Sends spans to an OpenTelemetry collector, by OTLP/HTTP as JSON. Imported only where an endpoint is set.

Must never keep work waiting, nor fail it: spans that cannot be sent are dropped and counted, and `kubernaut trace`
makes the same ones of the log at any time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec
from prometheus_client import Counter

from runtime import metrics
from runtime.otlp import body_of
from runtime.spans import Span
from runtime.spans_made import of_command, of_message, of_row
from schemas.cloudevents import MalformedError, from_message

if TYPE_CHECKING:
    import structlog

    from runtime.ports import Delivery, Log, Published, Stored
    from schemas.cloudevents import Event
    from schemas.messages import Decision
    from schemas.subjects import Consumer

BATCH: Final = 512
WAITING: Final = 20_000
"""Spans that wait to be sent; more are dropped, the oldest first."""
PAUSE_SECONDS: Final = 1.0
"""Longest wait until a batch is sent."""
SEND_SECONDS: Final = 5.0
TRIES: Final = 3
PATH: Final = "/v1/traces"

SPANS: Final = Counter(
    "kubernaut_spans_total",
    "Spans by what became of them: sent, or dropped because the collector does not take them",
    ["result"],
    registry=metrics.REGISTRY,
)


class Tracer:
    """The spans of one process."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], logger: structlog.typing.FilteringBoundLogger
    ) -> None:
        """`endpoint`: base address of the collector, such as http://collector:4318; `headers` may hold its login."""
        self._url = endpoint.rstrip("/") + PATH
        self._headers = {**headers, "content-type": "application/json"}
        self._logger = logger
        self._waiting: deque[Span] = deque()
        self._some = asyncio.Event()
        self._complained = False

    def message(self, event: Event, began: int) -> None:
        """A message was published, `began` (ns since 1970) until now."""
        self._take(lambda ended: of_message(event, began, ended))

    def command(self, decision: Decision, index: int, decision_id: str, began: int) -> None:
        """A command was carried out."""
        self._take(lambda ended: (of_command(decision, index, decision_id, began, ended),))

    def row(self, stored: Stored, began: int) -> None:
        """A message was stored in the audit."""
        self._take(lambda ended: _row(stored, began, ended))

    def _take(self, make: Callable[[int], Iterable[Span]]) -> None:
        try:
            spans = tuple(make(time.time_ns()))
        except Exception as error:  # noqa: BLE001 - what was done is done: no message must make its trace fail it
            SPANS.labels("dropped").inc()
            self._logger.warning("span_not_made", error=f"{type(error).__name__}: {error}")
            return
        for span in spans:
            self._add(span)

    def _add(self, span: Span) -> None:
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
            SPANS.labels("dropped").inc()
        self._waiting.append(span)
        self._some.set()

    async def run(self) -> None:
        """Send for ever."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SEND_SECONDS)) as session:
            while True:
                await self._some.wait()
                if len(self._waiting) < BATCH:
                    await asyncio.sleep(PAUSE_SECONDS)
                await self._send(session)

    async def close(self) -> None:
        """Send what is left, once."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SEND_SECONDS)) as session:
            while self._waiting:
                await self._send(session, tries=1)

    async def _send(self, session: aiohttp.ClientSession, *, tries: int = TRIES) -> None:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not self._waiting:
            self._some.clear()
        trouble = ""
        for attempt in range(tries):
            if attempt:
                await asyncio.sleep(PAUSE_SECONDS * attempt)
            try:
                data = msgspec.json.encode(body_of(batch))
                async with session.post(self._url, data=data, headers=self._headers) as answer:
                    if answer.ok:
                        self._told(len(batch))
                        return
                    trouble = f"HTTP {answer.status}"
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                trouble = str(error) or type(error).__name__
        SPANS.labels("dropped").inc(len(batch))
        if not self._complained:  # once, until it goes again: a collector that is away is no news every second
            self._complained = True
            self._logger.warning("spans_dropped", spans=len(batch), error=trouble)

    def _told(self, count: int) -> None:
        SPANS.labels("sent").inc(count)
        self._complained = False


def _row(stored: Stored, began: int, ended: int) -> tuple[Span, ...]:
    try:
        span = of_row(from_message(stored.subject, stored.headers, stored.data), began, ended)
    except MalformedError:
        return ()
    return () if span is None else (span,)


class TracedLog:
    """A `Log` whose publishes are spans."""

    def __init__(self, log: Log, tracer: Tracer) -> None:
        """Everything is asked of `log`."""
        self._log = log
        self._tracer = tracer

    async def publish(self, event: Event, *, expect: int | None = None, expect_filter: str | None = None) -> Published:
        """See `Log.publish`. What was there already is told again: who stored it may have died before it told."""
        began = time.time_ns()
        published = await self._log.publish(event, expect=expect, expect_filter=expect_filter)
        self._tracer.message(event, began)
        return published

    async def schedule(self, event: Event, *, at_ms: int, target: str) -> None:
        """See `Log.schedule`."""
        await self._log.schedule(event, at_ms=at_ms, target=target)

    async def now(self) -> int:
        """See `Log.now`."""
        return await self._log.now()

    async def last(self, stream: str, subject: str) -> Stored | None:
        """See `Log.last`."""
        return await self._log.last(stream, subject)

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """See `Log.get`."""
        return await self._log.get(stream, sequence)

    def scan(
        self,
        stream: str,
        subject: str,
        *,
        last_per_subject: bool = False,
        start: int = 1,
        headers_only: bool = False,
    ) -> AsyncGenerator[Stored, None]:
        """See `Log.scan`."""
        return self._log.scan(
            stream, subject, last_per_subject=last_per_subject, start=start, headers_only=headers_only
        )

    async def acknowledged(self, consumer: Consumer) -> int:
        """See `Log.acknowledged`."""
        return await self._log.acknowledged(consumer)

    def consume(self, consumer: Consumer, *, in_hand: int) -> AsyncGenerator[Delivery, None]:
        """See `Log.consume`."""
        return self._log.consume(consumer, in_hand=in_hand)
