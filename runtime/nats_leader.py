"""What the leader of a stream says of it: a message by its place, and where the stream ends.

Must never be taken for what is stored by whoever acts on it: a server whose disk fails shows more (`nats_ends`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from runtime.continuity import Seen
from runtime.errors import NotFoundError, UnavailableError
from runtime.nats_stored import from_api

if TYPE_CHECKING:
    from runtime.nats_connection import Connection
    from runtime.ports import Stored


class _State(msgspec.Struct):
    messages: int = 0
    first_seq: int = 0
    last_seq: int = 0


class _Config(msgspec.Struct):
    num_replicas: int = 1
    allow_direct: bool = False


class _Cluster(msgspec.Struct):
    leader: str = ""


class StreamInfo(msgspec.Struct):
    """The answer of STREAM.INFO, as far as it is used."""

    created: str
    state: _State
    config: _Config
    cluster: _Cluster | None = None
    """Without it the server is alone, and leads."""
    ts: str = ""
    """What time it is on the server (RFC 3339)."""

    @property
    def seen(self) -> Seen:
        """What it says of what is in the stream."""
        return Seen(
            created=self.created,
            first=self.state.first_seq,
            last=self.state.last_seq,
            messages=self.state.messages,
            copies=self.config.num_replicas,
        )


_INFOS: Final = msgspec.json.Decoder(StreamInfo)


async def message_of(connection: Connection, stream: str, wanted: dict[str, str | int]) -> Stored | None:
    """Return the message at `seq`, the next after it of `next_by_subj`, or the newest of `last_by_subj`; None: none.

    Raises what `Connection.api` raises.
    """
    try:
        return from_api(stream, await connection.api(f"STREAM.MSG.GET.{stream}", wanted))
    except NotFoundError:
        return None


async def info_of(connection: Connection, stream: str) -> StreamInfo:
    """Return what the leader says of a stream.

    Raises what `Connection.api` raises, and UnavailableError while the stream has no leader: then any server that keeps
    a copy answers, also one whose copy is behind.
    """
    info = _INFOS.decode(await connection.api(f"STREAM.INFO.{stream}"))
    if info.cluster is not None and not info.cluster.leader:
        raise UnavailableError(
            f"stream {stream} has no leader: most of the servers that keep it do not hear each other"
        )
    return info


async def end_of(connection: Connection, stream: str) -> int:
    """Return the last sequence of a stream; 0 when it does not exist. Raises what `info_of` raises."""
    try:
        return (await info_of(connection, stream)).state.last_seq
    except NotFoundError:
        return 0
