"""Asks NATS: its limits, the streams and consumers, what is remembered of them. Must never change anything there."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from auditor.newest import Newest
from kubernaut.cli.consumer_pause import jetstream_at, look
from kubernaut.cli.dead_letters_desk import read
from kubernaut.cli.events import log_at
from kubernaut.cli.times import milliseconds
from kubernaut.doctor.facts import ConsumerFacts, Memory, Monitor, NatsFacts, StreamFacts
from kubernaut.doctor.finding import Unlooked
from kubernaut.doctor.looking import looked
from kubernaut.install_vouch import record_of
from kubernaut.recovery.losses import losses
from runtime.continuity import GUARDED
from runtime.errors import NotFoundError, UnavailableError
from runtime.nats_address import parse, shown
from runtime.nats_connection import Connection
from runtime.nats_leader import message_of
from schemas.subjects import CONSUMERS, EVENT_STREAM, LOG, STREAMS, Consumer

_LOCAL: Final = ("127.0.0.1", "::1", "localhost")
_LOOKS: Final = 4
_PAUSE_SECONDS: Final = 0.4
"""Between looks at a consumer for which nobody asks: a reader is away for a moment between two requests."""


Audited = Callable[[], Awaitable[Newest | Unlooked]]


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where NATS is."""

    url: str
    monitor: str = ""
    """Of the server's monitoring port; empty where it is not known."""
    subscribers: str = ""
    """Of NATS with a user of the subscribers' account; empty where none was given."""


async def gather_nats(where: Addresses, audited: Audited, *, seconds: float) -> NatsFacts | Unlooked:
    """Look at NATS. `audited`: the newest message of the audit, against which the log is held; `seconds`: a look."""

    async def connected() -> NatsFacts:
        async with jetstream_at(where.url, seconds=seconds) as api:
            return await _ask(api, where, audited, seconds)

    return await looked(connected(), 4 * seconds)


async def _ask(api: Connection, where: Addresses, audited: Audited, seconds: float) -> NatsFacts:
    names = [stream.name for stream in STREAMS]
    account, monitor, letters, mirror, clock, memory, *rest = await asyncio.gather(
        looked(_account(api), seconds),
        looked(_monitor(where.monitor, seconds), seconds) if where.monitor else _nothing(None),
        looked(_letters(where.url), seconds),
        looked(_mirror(where.subscribers, seconds), 2 * seconds) if where.subscribers else _nothing(None),
        looked(_clock(api), seconds),
        looked(_memory(api, audited), 2 * seconds),
        *(looked(_stream(api, name), seconds) for name in names),
        *(looked(_consumer(api, consumer), seconds) for consumer in CONSUMERS),
    )
    now_ms, ahead = (0, clock) if isinstance(clock, Unlooked) else clock
    lag, mirrored = (0, mirror) if mirror is None or isinstance(mirror, Unlooked) else mirror
    return NatsFacts(
        address=shown(where.url),
        in_plain=in_plain(where.url),
        version=api.server_version,
        max_payload=api.max_payload,
        account=account,
        now_ms=now_ms,
        ahead_seconds=ahead,
        monitor=monitor,
        streams=dict(zip(names, rest[: len(names)], strict=True)),
        consumers=dict(zip([each.name for each in CONSUMERS], rest[len(names) :], strict=True)),
        memory=memory,
        letters=letters,
        mirror=mirrored,
        mirror_asked=bool(where.subscribers),
        mirror_lag=lag,
    )


def in_plain(url: str) -> bool:
    """Whether somebody on the way to another machine could read what is sent. Pure."""
    return any(not each.startswith("tls://") and urlsplit(each).hostname not in _LOCAL for each in parse(url)[0])


async def _nothing(value: Any) -> Any:
    return value


async def _account(api: Connection) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(await api.api("INFO"))
    return found


async def _clock(api: Connection) -> tuple[int, float]:
    """Return the server's time and how far it is ahead, by the middle of the time that the question took."""
    for stream in STREAMS:
        before = time.time()
        try:
            info = msgspec.json.decode(await api.api(f"STREAM.INFO.{stream.name}"))
        except NotFoundError:
            continue
        now_ms = milliseconds(info.get("ts"))
        return now_ms, now_ms / 1000 - (before + time.time()) / 2
    raise UnavailableError("no stream is there, and only the answer about one tells the server's time")


async def _stream(api: Connection, name: str) -> StreamFacts | None:
    try:
        info = msgspec.json.decode(await api.api(f"STREAM.INFO.{name}"))
    except NotFoundError:
        return None
    return _facts(info)


def _facts(info: dict[str, Any]) -> StreamFacts:
    state = info.get("state") or {}
    return StreamFacts(
        config=info["config"],
        messages=state.get("messages", 0),
        bytes=state.get("bytes", 0),
        cluster=info.get("cluster") or {},
    )


async def _consumer(api: Connection, consumer: Consumer) -> ConsumerFacts | None:
    subject, readers = f"CONSUMER.INFO.{consumer.stream}.{consumer.name}", 0
    try:
        for number in range(_LOOKS):
            if number:
                await asyncio.sleep(_PAUSE_SECONDS)
            info = msgspec.json.decode(await api.api(subject))
            readers = max(readers, info.get("num_waiting", 0))
            if readers or info.get("paused"):
                break
    except NotFoundError:
        return None
    acknowledged = (info.get("ack_floor") or {}).get("stream_seq", 0)
    waiting, in_hand = info.get("num_pending", 0), info.get("num_ack_pending", 0)
    oldest = await _oldest(api, consumer, acknowledged) if waiting or in_hand else 0
    return ConsumerFacts(
        config=info["config"],
        waiting=waiting,
        in_hand=in_hand,
        acknowledged=acknowledged,
        readers=readers,
        oldest_ms=oldest,
        pause=await look(api, consumer) if info.get("paused") else None,
    )


async def _oldest(api: Connection, consumer: Consumer, acknowledged: int) -> int:
    """Return when the first message behind the acknowledged ones was stored, of those that the consumer reads."""
    found = []
    for subject in consumer.filters or (">",):
        stored = await message_of(api, consumer.stream, {"seq": acknowledged + 1, "next_by_subj": subject})
        if stored is not None:
            found.append(stored.time_ms)
    return min(found, default=0)


async def _memory(api: Connection, audited: Audited) -> dict[str, Memory]:
    found = await audited()
    newest = Newest() if isinstance(found, Unlooked) else found
    lost = (await losses(api, newest)).reasons
    memory = {}
    for stream in GUARDED:
        record = await record_of(api, stream.name)
        had = max(record.last if record else 0, newest.sequence if stream is LOG else 0)
        loss = lost.get(stream.name, "") if record else ""
        memory[stream.name] = Memory(vouched=record is not None, had=had, loss=loss)
    return memory


async def _letters(url: str) -> dict[str, int]:
    async with log_at(url) as log:
        return dict(Counter(each.letter.consumer for each in await read(log) if each.state == "waiting"))


async def _mirror(url: str, seconds: float) -> tuple[int, StreamFacts | None]:
    async with jetstream_at(url, seconds=seconds) as api:
        try:
            info = msgspec.json.decode(await api.api(f"STREAM.INFO.{EVENT_STREAM.name}"))
        except NotFoundError:
            return 0, None
    return (info.get("mirror") or {}).get("lag", 0), _facts(info)


async def _monitor(url: str, seconds: float) -> Monitor:
    limit = aiohttp.ClientTimeout(total=seconds)
    try:
        async with aiohttp.ClientSession(timeout=limit) as session:
            async with session.get(f"{url.rstrip('/')}/varz") as answer:
                told = msgspec.json.decode(await answer.read())
            async with session.get(f"{url.rstrip('/')}/healthz") as answer:
                health = msgspec.json.decode(await answer.read())
    except (aiohttp.ClientError, msgspec.DecodeError, OSError) as error:
        raise UnavailableError(f"the monitoring port {url}: {error!r}") from error
    jetstream = told.get("jetstream") or {}
    config, stats = jetstream.get("config") or {}, jetstream.get("stats") or {}
    well = health.get("status") == "ok"
    return Monitor(
        health="ok" if well else str(health.get("error") or health.get("status") or "not well"),
        sync_always=bool(config.get("sync_always")),
        sync_seconds=config.get("sync_interval", 0) / 1e9,
        max_storage=config.get("max_storage", 0),
        storage=stats.get("storage", 0),
    )
