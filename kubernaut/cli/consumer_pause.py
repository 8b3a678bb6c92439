"""Pauses the executor bridge's durable consumer by JetStream's own means, and reads whether it is paused.

The server then hands out nothing new, to no replica, for as long as it says, through restarts of everybody. Must never
touch anything else of the consumer: what waits in it stays where it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import msgspec

from kubernaut.cli.connection import NoClusterError, quiet_logger
from kubernaut.cli.freeze_lines import Frozen
from kubernaut.cli.times import milliseconds
from runtime.errors import KubernautError
from runtime.health import Dependency
from runtime.nats_connection import Connection
from schemas.nats_users import READER
from schemas.subjects import BRIDGE, Consumer

CONNECT_SECONDS: Final = 8.0
FOREVER: Final = "2200-01-01T00:00:00Z"
"""Until somebody thaws it. The server keeps the rest of a pause in nanoseconds, which end after 292 years."""
_BY: Final = "kubernaut.io/frozen-by"
_REASON: Final = "kubernaut.io/frozen-because"
_SINCE: Final = "kubernaut.io/frozen-since"
_NOTES: Final = (_BY, _REASON, _SINCE)
"""Where the consumer's metadata, which means nothing to the server, says who froze it, why and when."""


class Api(Protocol):
    """JetStream's API."""

    async def api(self, subject: str, body: Any = None, *, seconds: float = 5.0) -> bytes:
        """Call it and return the answer's JSON."""
        ...


@asynccontextmanager
async def jetstream_at(url: str, *, user: str = READER, seconds: float | None = None) -> AsyncIterator[Connection]:
    """Connect to NATS. Raises NoClusterError when it is not there within `seconds` (8 by default)."""
    health = Dependency("nats")
    connection = Connection(url, user, health, quiet_logger())
    keeping = asyncio.create_task(connection.keep())
    try:
        try:
            await asyncio.wait_for(connection.wait(), seconds or CONNECT_SECONDS)
        except TimeoutError:
            raise NoClusterError(f"NATS does not answer: {health.detail}") from None
        yield connection
    finally:
        await connection.close()
        await keeping


async def look(api: Api, consumer: Consumer = BRIDGE) -> Frozen:
    """Read how the consumer is. Raises NotFoundError when it is not installed, or UnavailableError."""
    info = await _info(api, consumer)
    config = info["config"]
    notes = config.get("metadata") or {}
    paused = bool(info.get("paused"))
    until = str(config.get("pause_until", ""))
    return Frozen(
        paused=paused,
        until=milliseconds(until) if paused and until != FOREVER else 0,
        waiting=info.get("num_pending", 0),
        in_hand=info.get("num_ack_pending", 0),
        by=notes.get(_BY, "") if paused else "",
        reason=notes.get(_REASON, "") if paused else "",
        since=milliseconds(notes.get(_SINCE)) if paused else 0,
    )


async def pause(
    api: Api, consumer: Consumer = BRIDGE, *, seconds: float | None, by: str, reason: str
) -> tuple[Frozen, str]:
    """Pause it for `seconds`, None until it is resumed; return how it is and why no note was left, if it was not.

    The pause comes first and does not depend on the note. Raises NotFoundError or UnavailableError.
    """
    now = _time((await _info(api, consumer))["ts"])
    until = FOREVER if seconds is None else _text(now + timedelta(seconds=seconds))
    await api.api(f"CONSUMER.PAUSE.{consumer.stream}.{consumer.name}", {"pause_until": until})
    notes = {_BY: by, _REASON: reason, _SINCE: _text(now)}
    trouble = await _note(api, consumer, {name: text for name, text in notes.items() if text})
    return await look(api, consumer), trouble


async def resume(api: Api, consumer: Consumer = BRIDGE) -> Frozen:
    """Let it go on. Raises NotFoundError or UnavailableError."""
    await api.api(f"CONSUMER.PAUSE.{consumer.stream}.{consumer.name}", {})
    await _note(api, consumer, {})
    return await look(api, consumer)


async def _info(api: Api, consumer: Consumer) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(await api.api(f"CONSUMER.INFO.{consumer.stream}.{consumer.name}"))
    return found


async def _note(api: Api, consumer: Consumer, notes: dict[str, str]) -> str:
    """Replace what the metadata says of a freeze; return why that failed.

    The server keeps the pause through a change of the configuration (measured on 2.15). It needs a right that pausing
    does not need, so that a failure must not undo or hide the pause.
    """
    try:
        config = (await _info(api, consumer))["config"]
        before = config.get("metadata") or {}
        metadata = {name: text for name, text in before.items() if name not in _NOTES} | notes
        if metadata != before:
            subject = f"CONSUMER.CREATE.{consumer.stream}.{consumer.name}"
            changed = config | {"metadata": metadata}
            await api.api(subject, {"stream_name": consumer.stream, "config": changed, "action": "update"})
    except KubernautError as error:
        return str(error)
    return ""


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(milliseconds(text) / 1000, UTC)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
