"""What shows that a stream lost something: by what is remembered of it, and by the audit. Reads only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from kubernaut.install_vouch import note_of
from runtime import continuity
from runtime.continuity import GUARDED, STANDS_SECONDS, Doubts, Halt, Record, Seen, Witness
from runtime.errors import NotFoundError
from runtime.nats_leader import info_of, message_of
from schemas.cloudevents import attribute
from schemas.subjects import LOG, STORAGE_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditor.newest import Newest
    from runtime.nats_connection import Connection

_AGAIN_SECONDS: Final = 1.0


class Losses(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at one moment."""

    reasons: dict[str, str]
    """By stream. Empty when nothing was lost."""
    highest: int
    """Highest sequence that the log is known to have had."""
    noted: int
    """Sequence of the note of what is remembered of the log, read before the log itself; 0 without one."""


async def losses(connection: Connection, audited: Newest) -> Losses:
    """Return what shows now that a stream lost something.

    Raises UnavailableError or RefusedError when NATS cannot be asked.
    """
    lost, highest, noted = {}, 0, 0
    for stream in GUARDED:
        record, at = await note_of(connection, stream.name)
        seen = await seen_of(connection, stream.name)
        witness = Witness(sequence=audited.sequence, id=audited.event_id, source="the audit")
        had = max(record.last if record else 0, audited.sequence if stream is LOG else 0)
        if seen is None:
            reason = f"stream {stream.name} is not there; it had messages up to {had}"
        elif record is None:
            reason = f"nobody has vouched for stream {stream.name}"
        else:
            reason = continuity.loss(stream.name, seen, record) or await _halted(connection, stream.name, record)
        if not reason and stream is LOG and seen is not None and audited.sequence:
            reason = continuity.contradiction(
                stream.name, seen, witness, await _id_at(connection, seen, audited.sequence)
            )
        if reason:
            lost[stream.name] = reason
        if stream is LOG:
            noted, highest = at, max(had, seen.last if seen is not None else 0)
    return Losses(reasons=lost, highest=highest, noted=noted)


async def sure_losses(connection: Connection, audited: Newest, tell: Callable[[str], None]) -> Losses:
    """Return the same once each of them is sure, as it is for the services (`Doubts`); `tell` is told of the wait.

    Raises what `losses` raises.
    """
    doubts, told = Doubts(), False
    while True:
        found = await losses(connection, audited)
        copies = {stream: await _copies(connection, stream) for stream in found.reasons}
        now = asyncio.get_running_loop().time()
        sure = [doubts.saw_loss(stream, count, now) for stream, count in copies.items()]
        if all(sure):
            return found
        if not told:
            told = True
            for reason in found.reasons.values():
                tell(f"{reason}: looking for {STANDS_SECONDS:g} s, for who answered may be one that does not lead it")
        await asyncio.sleep(_AGAIN_SECONDS)


async def _copies(connection: Connection, stream: str) -> int:
    """How many servers keep a stream; of one that is not there, how many keep what is remembered of it."""
    found = await seen_of(connection, stream) or await seen_of(connection, STORAGE_STREAM.name)
    return 1 if found is None else found.copies


async def seen_of(connection: Connection, stream: str) -> Seen | None:
    """Return what the leader says of a stream; None when it is not there. Raises what `info_of` raises."""
    try:
        return (await info_of(connection, stream)).seen
    except NotFoundError:
        return None


async def _halted(connection: Connection, stream: str, record: Record) -> str:
    """Return why the services have stopped, where only one of them could see it."""
    stored = await message_of(connection, STORAGE_STREAM.name, {"last_by_subj": continuity.key(continuity.HALT)})
    if stored is None:
        return ""
    halt = msgspec.json.decode(stored.data, type=Halt)
    return halt.reason if halt.stream == stream and halt.accepted == record.accepted else ""


async def _id_at(connection: Connection, seen: Seen, sequence: int) -> str | None:
    if not seen.first <= sequence <= seen.last:
        return None
    message = await message_of(connection, LOG.name, {"seq": sequence})
    return None if message is None else attribute(message.headers, "ce-id")
