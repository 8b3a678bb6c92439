"""What the leader of a stream says of it: a message by its place, and where the stream ends.

Must never be taken for what is stored by whoever acts on it: a server whose disk fails shows more (`nats_ends`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from runtime.errors import NotFoundError
from runtime.nats_stored import from_api

if TYPE_CHECKING:
    from runtime.nats_connection import Connection
    from runtime.ports import Stored


class _State(msgspec.Struct):
    last_seq: int = 0


class _StreamInfo(msgspec.Struct):
    state: _State


async def message_of(connection: Connection, stream: str, wanted: dict[str, str | int]) -> Stored | None:
    """Return the message at `seq`, the next after it of `next_by_subj`, or the newest of `last_by_subj`; None: none.

    Raises what `Connection.api` raises.
    """
    try:
        return from_api(stream, await connection.api(f"STREAM.MSG.GET.{stream}", wanted))
    except NotFoundError:
        return None


async def end_of(connection: Connection, stream: str) -> int:
    """Return the last sequence of a stream; 0 when it does not exist."""
    try:
        info = await connection.api(f"STREAM.INFO.{stream}")
    except NotFoundError:
        return 0
    return msgspec.json.decode(info, type=_StreamInfo).state.last_seq
