"""What the leader of a stream says of it: a message by its place, and where the stream ends.

Must never be taken for what is stored by whoever acts on it: a server whose disk fails shows more (`nats_ends`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from runtime.errors import NotFoundError, UnavailableError
from runtime.nats_stored import from_api

if TYPE_CHECKING:
    from runtime.nats_connection import Connection
    from runtime.ports import Stored


class _State(msgspec.Struct):
    last_seq: int = 0


class _Cluster(msgspec.Struct):
    leader: str = ""


class _StreamInfo(msgspec.Struct):
    state: _State
    cluster: _Cluster | None = None
    """Without it the server is alone, and leads."""


_INFOS: Final = msgspec.json.Decoder(_StreamInfo)


async def message_of(connection: Connection, stream: str, wanted: dict[str, str | int]) -> Stored | None:
    """Return the message at `seq`, the next after it of `next_by_subj`, or the newest of `last_by_subj`; None: none.

    Raises what `Connection.api` raises.
    """
    try:
        return from_api(stream, await connection.api(f"STREAM.MSG.GET.{stream}", wanted))
    except NotFoundError:
        return None


async def info_of(connection: Connection, stream: str) -> bytes:
    """Return what the leader says of a stream (the answer of STREAM.INFO).

    Raises what `Connection.api` raises, and UnavailableError while the stream has no leader: then any server that keeps
    a copy answers, also one whose copy is behind.
    """
    answer = await connection.api(f"STREAM.INFO.{stream}")
    cluster = _INFOS.decode(answer).cluster
    if cluster is not None and not cluster.leader:
        raise UnavailableError(
            f"stream {stream} has no leader: most of the servers that keep it do not hear each other"
        )
    return answer


async def end_of(connection: Connection, stream: str) -> int:
    """Return the last sequence of a stream; 0 when it does not exist. Raises what `info_of` raises."""
    try:
        return _INFOS.decode(await info_of(connection, stream)).state.last_seq
    except NotFoundError:
        return 0
