"""What must hold of the log, the public events and the database once everything is at rest, held against the objects.

Read at the end, with a plain connection each; keeps what is wrong as sentences.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from runtime.nats_scan import scan
from schemas import subjects
from schemas.messages import TYPE_OF, Decision, decode
from schemas.workflow_status import TERMINAL_PHASES
from tests.nats_server import administrator
from tests.public_events import public_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.nats_connection import Connection
    from runtime.ports import Stored
    from tests.chaos.truth import Truth

_FEW: Final = 3
_LATE_SECONDS: Final = 60.0
"""In which what is on its way when all is at rest has come: a last version to the log, a last message to the audit."""
_POLL_SECONDS: Final = 0.2


class Words:
    """The whole log, read in order."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self.problems: list[str] = []
        self.messages = 0
        self.decisions = 0
        self.dead_letters = 0
        self.events = 0
        self._last = {subjects.LOG.name: 0, subjects.EVENT_STREAM.name: 0}
        """Sequence that was read last, by stream."""
        self.ended: set[str] = set()
        """Uids of runs whose last decision is an end."""
        self._ids: set[str] = set()
        self._versions: dict[str, int] = {}
        self._gone: set[str] = set()
        self._chains: dict[str, int] = defaultdict(int)
        self._public: dict[str, list[str]] = defaultdict(list)
        self._told: dict[str, list[str]] = defaultdict(list)

    async def read(self, nats_url: str) -> None:
        """Read the log and the public events, until they say what must be so or it is late for that."""
        end = time.monotonic() + _LATE_SECONDS
        async with administrator(nats_url) as connection:
            await self._read_on(connection)
            while (missing := [*self._at_rest()]) and time.monotonic() < end:
                await asyncio.sleep(_POLL_SECONDS)
                await self._read_on(connection)
        self.problems += missing

    async def _read_on(self, connection: Connection) -> None:
        for stream, filter_, take in (
            (subjects.LOG.name, "kubernaut.>", self.take),
            (subjects.EVENT_STREAM.name, subjects.EVENTS, self.take_event),
        ):
            reading = scan(connection, stream, filter_, last_per_subject=False, start=self._last[stream] + 1)
            async with aclosing(reading) as messages:
                async for message in messages:
                    self._last[stream] = message.sequence
                    take(message)

    def take(self, message: Stored) -> None:
        """Look at a message of the log."""
        self.messages += 1
        if message.sequence != self.messages:
            self.problems.append(f"the log: message {self.messages} has sequence {message.sequence}")
        identity = message.headers.get("ce-id", "")
        if identity in self._ids:
            self.problems.append(f"G2: {identity} is in the log twice")
        self._ids.add(identity)
        kind = message.subject.split(".")[1]
        if kind == "change":
            self._changed(message)
        elif kind == "decision":
            self._decided(message)
        elif kind == "deadletter":
            self.dead_letters += 1
            self.problems.append(f"G11: a message was buried: {message.data[:500]!r}")

    def take_event(self, message: Stored) -> None:
        """Look at a public event."""
        self.events += 1
        uid = message.subject.split(".")[3]
        ordinal = int(message.headers["ce-ordinal"])
        if ordinal != len(self._told[uid]):
            name = self._truth.name(uid)
            self.problems.append(f"G4: event {len(self._told[uid])} of {name} has ordinal {ordinal}")
        self._told[uid].append(message.headers["ce-id"])
        wrong = public_problems(message.subject, message.headers, message.data)
        self.problems += [f"event {message.headers['ce-id']}: {each}" for each in wrong]

    def _changed(self, message: Stored) -> None:
        uid, version = message.headers["ce-uid"], int(message.headers["ce-version"])
        if version <= self._versions.get(uid, 0):
            self.problems.append(f"G2: {message.subject} goes from {self._versions[uid]} to {version}")
        if uid in self._gone:
            self.problems.append(f"G2: {message.subject} follows its own tombstone")
        self._versions[uid] = version
        if "ce-deleted" in message.headers:
            self._gone.add(uid)

    def _decided(self, message: Stored) -> None:
        self.decisions += 1
        uid = message.subject.split(".")[2]
        body = decode(message.headers["ce-type"], message.data)
        self._chains[uid] += 1
        version = body.version  # type: ignore[union-attr] # both kinds of decisions have one
        if version != self._chains[uid]:
            self.problems.append(f"G3: decision {self._chains[uid]} of {self._truth.name(uid)} has version {version}")
        if message.headers["ce-type"] != TYPE_OF[Decision]:
            return
        assert isinstance(body, Decision)
        self._public[uid] += [f"{uid}/{body.version}/{n}" for n, each in enumerate(body.transitions) if each.what]
        (self.ended.add if body.state.phase in TERMINAL_PHASES else self.ended.discard)(uid)

    def _at_rest(self) -> Iterator[str]:
        for uid, run in self._truth.runs.items():
            if run.exists and uid not in self._chains:
                yield f"G8: {run.name} was never decided on"
            if uid in self._chains and uid not in self.ended and run.exists:
                yield f"G8: the last decision of {run.name} is no end"
            if self._told[uid] != self._public[uid]:
                yield f"G4: of {run.name} {len(self._told[uid])} events are told, decided are {len(self._public[uid])}"
        for uid, version in self._truth.versions.items():
            if self._versions.get(uid) != version:
                yield f"G1: {uid} is at version {version}, the log has {self._versions.get(uid)}"
        for uid in self._truth.gone & self._versions.keys() - self._gone:
            yield f"G1: {uid} is gone, and the log has no tombstone"

    async def audited(self, database_url: str) -> int:
        """Hold the audit against what was read of the log: everything, each once (G9). Return how many rows it has.

        The last messages may be on their way to it: the services speak when nobody asks, too.
        """
        end = time.monotonic() + _LATE_SECONDS
        connection = await asyncpg.connect(database_url, timeout=30)
        try:
            query = "SELECT stream_sequence, kept_in FROM audit_accounted WHERE stream_sequence <= $1"
            rows = await connection.fetch(query, self.messages)
            while len(rows) < self.messages and time.monotonic() < end:
                await asyncio.sleep(_POLL_SECONDS)
                rows = await connection.fetch(query, self.messages)
        finally:
            await connection.close()
        found = sorted(row["stream_sequence"] for row in rows)
        if odd := [row["stream_sequence"] for row in rows if row["kept_in"] != "message"]:
            self.problems.append(f"G9: {len(odd)} messages are repeats or quarantined, first {odd[:_FEW]}")
        if found != list(range(1, self.messages + 1)):
            lost = sorted(set(range(1, self.messages + 1)) - set(found))
            self.problems.append(f"G9: {self.messages} messages, {len(found)} rows; missing {lost[:_FEW]}")
        return len(found)


async def lag(nats_url: str) -> dict[str, int]:
    """Return how many messages each durable consumer has not acknowledged."""
    found = {}
    async with administrator(nats_url) as connection:
        for consumer in subjects.CONSUMERS:
            told = msgspec.json.decode(await connection.api(f"CONSUMER.INFO.{consumer.stream}.{consumer.name}"))
            found[consumer.name] = told["num_pending"] + told["num_ack_pending"]
    return found
