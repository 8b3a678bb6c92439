"""Plays a stretch of the log into another NATS: subjects, ids and headers as they were, and when it was as attributes.

Must never write to the server that it reads from. Times of the copies are those of the copying; when the original was
stored stands in `ce-replayedtime` (ms since 1970), where it was in `ce-replayedsequence`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final

import msgspec

from kubernaut.cli.connection import NoClusterError, quiet_logger
from kubernaut.cli.events import CONNECT_SECONDS, log_at
from kubernaut.cli.times import clock_time
from kubernaut.replay.from_log import sequence_at
from kubernaut.replay.recording import RecordingError
from runtime.errors import KubernautError
from runtime.health import Dependency
from runtime.nats_address import shown
from runtime.nats_connection import Connection
from runtime.ports import Log, Stored
from runtime.subject_match import covers
from schemas.cloudevents import Event, MalformedError, from_message
from schemas.nats_users import READER
from schemas.subjects import LOG

EVERY: Final = 1000
"""Messages after which it is told how far it is."""


class Played(msgspec.Struct, kw_only=True):
    """What was done."""

    target: str
    first: int = 0
    last: int = 0
    """Sequences of the first and the last message that was read, in the log that was read."""
    played: int = 0
    already: int = 0
    """Were there before, by their ids."""
    skipped: int = 0
    """Are no events of ours, or not among the subjects that were asked for."""
    shift: int | None = None
    """How much higher sequences are in the target; None when it is not the same for all."""
    kinds: Counter[str] = msgspec.field(default_factory=Counter)

    def told(self) -> list[str]:
        """Return what to say of it."""
        if not self.played + self.already:
            return ["nothing was played: no message of the log is in that stretch"]
        what = f"played {self.played} messages, sequences {self.first} to {self.last}, into {self.target}"
        lines = [f"{what}; {self.already} were there already, {self.skipped} were left out"]
        lines += [f"  {count:>8}  {kind}" for kind, count in sorted(self.kinds.items())]
        if self.shift is None:
            lines.append("sequences are others there: what looks a message up by its sequence does not find it")
        elif self.shift:
            lines.append(
                f"sequences are {self.shift:+} there: what looks a message up by its sequence does not find it"
            )
        else:
            lines.append("sequences are the same there")
        return lines


class _StreamInfo(msgspec.Struct):
    created: str = ""


_INFOS: Final = msgspec.json.Decoder(_StreamInfo)


async def play_into(
    source_url: str,
    target_url: str,
    *,
    start: tuple[int, int] = (1, 0),
    end: tuple[int, int] = (0, 0),
    pace: float = 0.0,
    only: Sequence[str] = (),
    tell: Callable[[str], object] = lambda _: None,
) -> Played:
    """Play the messages from `start` to `end`, each a sequence and a time in ms of which one is 0, `end` included.

    `pace`: how many times as fast as they came, 0 for at once. `only`: filters of subjects; none for all. Raises
    RecordingError when source and target are one server, NoClusterError when one is not there, and what a log raises.
    """
    if await _identity(source_url) == await _identity(target_url):
        raise RecordingError(f"{shown(target_url)} is the server that the log is read from; nothing was played")
    async with log_at(source_url) as source, log_at(target_url) as target:
        first = start[0] if not start[1] else await sequence_at(source, start[1])
        newest = await source.last(LOG.name, ">")
        last = newest.sequence if newest is not None else 0
        if end[1]:
            last = min(last, await sequence_at(source, end[1] + 1) - 1)
        elif end[0]:
            last = min(last, end[0])
        return await play(source, target, first, last, pace=pace, only=only, tell=tell, name=shown(target_url))


async def play(
    source: Log,
    target: Log,
    first: int,
    last: int,
    *,
    pace: float = 0.0,
    only: Sequence[str] = (),
    tell: Callable[[str], object] = lambda _: None,
    name: str = "the target",
) -> Played:
    """Play the messages with sequences from `first` to `last` from one log into another. Raises what the logs raise."""
    done = Played(target=name)
    shifts: set[int] = set()
    before = 0
    async with aclosing(source.scan(LOG.name, ">", start=max(first, 1))) as messages:
        async for stored in messages:
            if stored.sequence > last:
                break
            done.first, done.last = done.first or stored.sequence, stored.sequence
            event = copy_of(stored) if not only or any(covers(each, stored.subject) for each in only) else None
            if event is None:
                done.skipped += 1
                continue
            if pace and before:
                await asyncio.sleep(max(stored.time_ms - before, 0) / 1000 / pace)
            before = stored.time_ms
            published = await target.publish(event)
            done.already += published.duplicate
            done.played += not published.duplicate
            done.kinds[event.type] += 1
            shifts.add(published.sequence - stored.sequence)
            if (done.played + done.already) % EVERY == 0:
                tell(f"at sequence {stored.sequence}, {clock_time(stored.time_ms)}: {done.played} messages played")
    done.shift = next(iter(shifts)) if len(shifts) == 1 else None
    return done


def copy_of(stored: Stored) -> Event | None:
    """Return a message as the event to publish, with when and where it was; None for what is no event of ours."""
    try:
        event = from_message(stored.subject, dict(stored.headers), stored.data)
    except MalformedError:
        return None
    known = {"replayedtime": str(stored.time_ms), "replayedsequence": str(stored.sequence)}
    return msgspec.structs.replace(event, extensions=known | event.extensions)


async def _identity(url: str) -> str:
    """Return what no two logs have in common: when the stream was made, to the nanosecond. Raises NoClusterError."""
    async with _connected(url) as connection:
        try:
            return _INFOS.decode(await connection.api(f"STREAM.INFO.{LOG.name}")).created
        except KubernautError as error:
            raise NoClusterError(f"no event log at {shown(url)}: {error}; run python -m kubernaut.install") from error


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    health = Dependency("nats")
    connection = Connection(url, READER, health, quiet_logger())
    keeping = asyncio.create_task(connection.keep())
    try:
        try:
            await asyncio.wait_for(connection.wait(), CONNECT_SECONDS)
        except TimeoutError:
            raise NoClusterError(f"no event log at {shown(url)}: {health.detail}") from None
        yield connection
    finally:
        await connection.close()
        keeping.cancel()
