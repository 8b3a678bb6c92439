"""The installer vouches for the streams that it makes: services act only on a stream that somebody has vouched for.

Must never vouch for a stream in the place of one that was lost: `kubernaut recover` does, when a person says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from runtime import continuity
from runtime.continuity import GUARDED, Record
from runtime.errors import NotFoundError, RefusedError
from runtime.nats_continuity import remember
from runtime.nats_leader import info_of, message_of
from schemas.subjects import STORAGE_STREAM

if TYPE_CHECKING:
    from runtime.nats_connection import Connection

HELP: Final = "Making it anew would start runs without their memory: see docs/recovery.md, and run kubernaut recover"


async def record_of(connection: Connection, stream: str) -> Record | None:
    """Read what is remembered of a stream; None when nothing is."""
    return (await note_of(connection, stream))[0]


async def note_of(connection: Connection, stream: str) -> tuple[Record | None, int]:
    """Read what is remembered of a stream, and at which sequence that was noted; None and 0 when nothing is."""
    stored = await message_of(connection, STORAGE_STREAM.name, {"last_by_subj": continuity.key(stream)})
    if stored is None:
        return None, 0
    return msgspec.json.decode(stored.data, type=Record), stored.sequence


async def refuse_if_lost(connection: Connection, stream: str, audited: int = 0) -> None:
    """Raise RefusedError when a stream that is not there was there before.

    `audited`: highest sequence of it that the audit holds.
    """
    record = await record_of(connection, stream)
    last = max(audited, record.last if record is not None else 0)
    if last and not await _is_there(connection, stream):
        raise RefusedError(f"stream {stream} is gone; it had messages up to {last}. {HELP}", reason="lost")


async def _is_there(connection: Connection, stream: str) -> bool:
    try:
        await connection.api(f"STREAM.INFO.{stream}")
    except NotFoundError:
        return False
    return True


async def vouch(connection: Connection) -> None:
    """Vouch for each stream that nobody has vouched for yet, or that never had a message.

    Raises RefusedError for one that is not the same as before.
    """
    for stream in GUARDED:
        seen = (await info_of(connection, stream.name)).seen
        record = await record_of(connection, stream.name)
        if record is None or not record.last:
            accepted = record.accepted if record is not None else 0
            new = Record(created=seen.created, last=seen.last, missing=seen.missing, accepted=accepted)
            await remember(connection, stream.name, new)
        elif record.created != seen.created:
            raise RefusedError(
                f"stream {stream.name} was made anew by somebody at {seen.created}. {HELP}", reason="lost"
            )
