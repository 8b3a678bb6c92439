"""What is wrong with NATS itself and with its streams. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kubernaut.doctor.checks import INSTALL_STREAMS
from kubernaut.doctor.facts import Memory, Monitor, NatsFacts, StreamFacts
from kubernaut.doctor.finding import Finding, Severity, Unlooked, finding
from kubernaut.install_streams import stream_changes, stream_config
from runtime.errors import RefusedError
from schemas.nats_roles import mirror_config
from schemas.subjects import STREAMS, Stream

OLDEST: Final = (2, 12)
PAYLOAD: Final = 8 * 1024 * 1024
LARGEST_OBJECT: Final = 1_572_864
"""What etcd takes (1.5 MiB): with less than this some workflows cannot be told at all."""
SKEW_SECONDS: Final = 5.0
NEARLY_FULL: Final = 0.8
FULL: Final = 0.95
COPIES: Final = 3
NATS: Final = "NATS"
NO_MONITOR: Final = "only the server's monitoring port tells it"


def judge_nats(facts: NatsFacts) -> Iterator[Finding]:
    """Return what there is to say of the server."""
    yield finding("nats.answers", "ok", NATS, f"{facts.address} answers")
    seen = "another machine, and not by TLS" if facts.in_plain else "this machine, or by TLS"
    yield finding("nats.tls", "warning" if facts.in_plain else "ok", NATS, seen)
    yield _version(facts.version)
    yield _payload(facts.max_payload)
    yield from _account(facts)
    yield from _monitored(facts)
    yield clock("nats.clock", NATS, facts.ahead_seconds)


def clock(check: str, about: str, ahead: float | Unlooked) -> Finding:
    """Return whether a clock agrees with this machine's. `ahead`: seconds."""
    if isinstance(ahead, Unlooked):
        return finding(check, "unknown", about, ahead.reason)
    if abs(ahead) <= SKEW_SECONDS:
        return finding(check, "ok", about, f"its clock is within {SKEW_SECONDS:g} s of this machine's")
    where = "ahead of" if ahead > 0 else "behind"
    return finding(check, "warning", about, f"its clock is {abs(ahead):.1f} s {where} this machine's")


def _version(text: str) -> Finding:
    numbers = tuple(int(part) for part in text.split("-", maxsplit=1)[0].split(".")[:2] if part.isdecimal())
    if not text:
        return finding("nats.version", "unknown", NATS, "the server does not tell its version")
    if numbers < OLDEST:
        return finding("nats.version", "error", NATS, f"nats-server {text}, and 2.12 is the oldest that works")
    return finding("nats.version", "ok", NATS, f"nats-server {text}")


def _payload(size: int) -> Finding:
    if size >= PAYLOAD:
        return finding("nats.payload", "ok", NATS, f"max_payload {size} bytes")
    severity: Severity = "warning" if size >= LARGEST_OBJECT else "error"
    return finding("nats.payload", severity, NATS, f"max_payload is {size} bytes, and should be {PAYLOAD}")


def _account(facts: NatsFacts) -> Iterator[Finding]:
    account = facts.account
    if isinstance(account, Unlooked):
        # Without JetStream nobody answers; without the right to ask no answer comes either, but streams may be seen.
        seen = any(not isinstance(each, Unlooked) for each in facts.streams.values())
        severity: Severity = "ok" if seen else "error"
        yield finding("nats.jetstream", severity, NATS, "a stream was seen" if seen else account.reason)
        yield finding("nats.room", "unknown", "account", account.reason)
        return
    yield finding("nats.jetstream", "ok", NATS, f"{account.get('streams', 0)} streams in the account")
    limits = account.get("limits") or {}
    yield _room("account", account.get("storage", 0), limits.get("max_storage", -1))


def _room(about: str, used: int, limit: int) -> Finding:
    if limit <= 0:
        return finding("nats.room", "ok", about, f"{used} bytes stored, no limit is set")
    share = used / limit
    seen = f"{used} of {limit} bytes stored ({share:.0%})"
    severity: Severity = "error" if share >= FULL else "warning" if share >= NEARLY_FULL else "ok"
    return finding("nats.room", severity, about, seen)


def _monitored(facts: NatsFacts) -> Iterator[Finding]:
    monitor = facts.monitor
    if monitor is None:
        yield from (finding(check, "skipped", NATS, NO_MONITOR) for check in ("nats.health", "nats.sync"))
        return
    if isinstance(monitor, Unlooked):
        yield finding("nats.health", "unknown", NATS, monitor.reason)
    else:
        yield finding("nats.health", "ok" if monitor.health == "ok" else "error", NATS, monitor.health)
        yield _room("server", monitor.storage, monitor.max_storage)
    yield _sync(monitor, clustered=_clustered(facts.streams))


def _clustered(streams: Mapping[str, StreamFacts | Unlooked | None]) -> bool:
    """Whether every stream that can be seen has three copies: then one loss of power loses nothing."""
    seen = [each for each in streams.values() if isinstance(each, StreamFacts)]
    return bool(seen) and all(each.config.get("num_replicas", 1) >= COPIES for each in seen)


def _sync(monitor: Monitor | Unlooked, *, clustered: bool) -> Finding:
    if isinstance(monitor, Unlooked):
        return finding("nats.sync", "unknown", NATS, monitor.reason)
    if monitor.sync_always:
        return finding("nats.sync", "ok", NATS, "sync_interval: always")
    seen = f"sync_interval is {monitor.sync_seconds:g} s"
    if clustered:
        return finding("nats.sync", "warning", NATS, f"{seen}: a loss of power of all servers at once loses messages")
    return finding("nats.sync", "error", NATS, f"{seen}, and the streams have fewer than {COPIES} copies")


def judge_streams(facts: NatsFacts) -> Iterator[Finding]:
    """Return what there is to say of each stream."""
    for stream in STREAMS:
        yield from _stream(stream, facts.streams[stream.name], facts.memory)
    yield from _memory(facts)
    yield from _mirror(facts)


def _stream(
    stream: Stream, found: StreamFacts | Unlooked | None, memory: Mapping[str, Memory] | Unlooked
) -> Iterator[Finding]:
    name = stream.name
    if isinstance(found, Unlooked):
        for check in ("stream.there", "stream.settings", "stream.copies", "stream.room"):
            yield finding(check, "unknown", name, found.reason)
        return
    if found is None:
        lost = not isinstance(memory, Unlooked) and name in memory and memory[name].had
        seen = f"it is not there, and had messages up to {lost}" if lost else "it is not there"
        yield finding("stream.there", "error", name, seen, command="kubernaut recover" if lost else None)
        return
    yield finding("stream.there", "ok", name, f"{found.messages} messages, {found.bytes} bytes")
    yield settings("stream.settings", name, lambda: stream_changes(found.config, stream_config(stream)))
    yield _copies(name, found)
    yield _stream_room(name, found)


def settings(check: str, about: str, differences: Any) -> Finding:
    """Return whether anything is not as the installer would have it; `differences` is its own function for that."""
    try:
        changes = differences()
    except RefusedError as error:
        return finding(
            check, "error", about, str(error), mend="change it by hand; the installer refuses to", command=""
        )
    if changes:
        seen = f"not as this version needs it: {', '.join(sorted(changes))}"
        return finding(check, "error", about, seen, command=INSTALL_STREAMS)
    return finding(check, "ok", about, "as this version needs it")


def _copies(name: str, found: StreamFacts) -> Finding:
    copies = found.config.get("num_replicas", 1)
    if not found.cluster.get("name"):
        return finding("stream.copies", "ok", name, "one server, one copy")
    others = found.cluster.get("replicas") or []
    away = [str(each.get("name")) for each in others if each.get("offline")]
    late = [str(each.get("name")) for each in others if not each.get("current") and not each.get("offline")]
    if not found.cluster.get("leader"):
        return finding("stream.copies", "error", name, "it has no leader: too many of its servers are away", command="")
    if away:
        seen = f"the copy on {', '.join(away)} is away"
        return finding("stream.copies", "error", name, seen, mend="start that server again", command="")
    if copies < COPIES:
        return finding("stream.copies", "warning", name, f"{copies} of {COPIES} copies, in a cluster of servers")
    if late:
        seen = f"the copy on {', '.join(late)} is behind"
        return finding("stream.copies", "warning", name, seen, mend="wait, then ask again", command="")
    return finding("stream.copies", "ok", name, f"{copies} copies, all current")


def _stream_room(name: str, found: StreamFacts) -> Finding:
    worst, seen = 0.0, "no limit is set"
    for used, limit, unit in (
        (found.bytes, found.config.get("max_bytes", -1), "bytes"),
        (found.messages, found.config.get("max_msgs", -1), "messages"),
    ):
        if limit > 0 and used / limit >= worst:
            worst, seen = used / limit, f"{used} of {limit} {unit} ({used / limit:.0%})"
    severity: Severity = "error" if worst >= FULL else "warning" if worst >= NEARLY_FULL else "ok"
    return finding("stream.room", severity, name, seen)


def _memory(facts: NatsFacts) -> Iterator[Finding]:
    memory = facts.memory
    if isinstance(memory, Unlooked):
        yield finding("stream.vouched", "unknown", "log", memory.reason)
        yield finding("stream.whole", "unknown", "log", memory.reason)
        return
    for name, known in memory.items():
        if facts.streams[name] is None and not known.had:
            continue  # that it is not there says all
        if not known.vouched:
            yield finding("stream.vouched", "error", name, "nobody has vouched for it")
            continue
        yield finding("stream.vouched", "ok", name, "the one that was made here")
        if known.loss:
            yield finding("stream.whole", "error", name, known.loss)
        else:
            yield finding("stream.whole", "ok", name, f"nothing is missing that is remembered, up to {known.had}")


def _mirror(facts: NatsFacts) -> Iterator[Finding]:
    found, about = facts.mirror, "mirror"
    if not facts.mirror_asked:
        yield finding("mirror.follows", "skipped", about, "only a user of the subscribers' account sees it")
    elif isinstance(found, Unlooked):
        yield finding("mirror.follows", "unknown", about, found.reason)
    elif found is None:
        yield finding("mirror.follows", "error", about, "it is not there")
    elif (found.config.get("mirror") or {}).get("name") != mirror_config()["name"]:
        seen = "the stream of that name is no mirror; is the user one of the services' account?"
        yield finding("mirror.follows", "error", about, seen, command="")
    elif facts.mirror_lag:
        yield finding("mirror.follows", "warning", about, f"{facts.mirror_lag} events behind")
    else:
        yield finding("mirror.follows", "ok", about, f"{found.messages} events")
