"""An API server that knows tokens and who may read the metrics, as far as the metrics port sees of one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from runtime.metrics_guard import Guard
from tests.fakes.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.ports import Object, Resource

AUDIENCE = "kubernaut-metrics"


class FakeReviewer:
    """Whoever is in `tokens` is known by that name; whoever is in `readers` may read."""

    def __init__(self) -> None:
        self.tokens = {"good": "prometheus", "other": "somebody"}
        self.audiences = [AUDIENCE]
        """For whom all tokens are meant."""
        self.readers = {"prometheus"}
        self.fault: Exception | None = None
        """What every question ends with."""
        self.no_way: Exception | None = None
        """What connecting ends with."""
        self.connected = 0
        self.closed = False
        self.asked: list[str] = []
        """Of each question its resource."""
        self.answers = asyncio.Event()
        """Until it is set, nothing is answered."""
        self.answers.set()

    async def connect(self) -> FakeReviewer:
        """As the guard connects."""
        if self.no_way is not None:
            raise self.no_way
        self.connected += 1
        return self

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """Answer as the API server does: the question again, with a status."""
        assert namespace == ""
        self.asked.append(resource.plural)
        await self.answers.wait()
        if self.fault is not None:
            raise self.fault
        spec = body["spec"]
        if resource.plural == "subjectaccessreviews":
            assert {"path": "/metrics", "verb": "get"} == spec["nonResourceAttributes"]
            return body | {"status": {"allowed": spec["user"] in self.readers}}
        both = [each for each in spec["audiences"] if each in self.audiences]
        if not both or spec["token"] not in self.tokens:
            return body | {"status": {"user": {}, "error": "invalid bearer token"}}
        user = {"username": self.tokens[spec["token"]], "uid": "1", "groups": ["system:authenticated"]}
        return body | {"status": {"authenticated": True, "user": user, "audiences": both}}

    async def close(self) -> None:
        """As the guard closes."""
        self.closed = True


class Door:
    """A guard before a fake API server, with its clock and the lines that it logs."""

    def __init__(self, seconds: float) -> None:
        self.api = FakeReviewer()
        self.clock = ManualClock()
        lines = structlog.testing.LogCapture()
        self.lines = lines.entries
        self.log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[lines])
        self.guard = Guard(AUDIENCE, self.api.connect, self.log, clock=self.clock.now, seconds=seconds)

    async def knock(self, token: str) -> int:
        """Return the status that whoever has that token is told."""
        return (await self.guard.judge(f"Bearer {token}")).value.value


@asynccontextmanager
async def a_door(*, seconds: float = 60.0) -> AsyncIterator[Door]:
    """Give one; `seconds`: how long a review may take."""
    door = Door(seconds)
    yield door
    await door.guard.close()
