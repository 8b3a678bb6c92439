"""Makes the streams and durable consumers of `schemas.subjects` on a NATS server, or brings them up to date.

By JetStream's JSON API and not by a library's dataclasses, which drop the fields that they do not know: what is there
is read, only what differs is changed, and the rest is written back as it was. Must never do what loses messages: such
a difference is refused by name, for a person to decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from kubernaut.install_passed_over import filters_of, passed_over
from kubernaut.install_vouch import HELP, refuse_if_lost, vouch
from runtime.continuity import GUARDED
from runtime.errors import NotFoundError, RefusedError, UnavailableError
from schemas.subjects import CONSUMERS, LOG, STORAGE_STREAM, STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.nats_connection import Connection
    from schemas.subjects import Consumer, Stream

_SECOND: Final = 1_000_000_000
_DAY: Final = 24 * 3600 * _SECOND
_FIXED_OF_STREAM: Final = ("storage", "retention", "max_msgs_per_subject")
_FIXED_OF_CONSUMER: Final = ("ack_policy", "deliver_policy")
Config = dict[str, Any]


def stream_config(stream: Stream) -> Config:
    """Return what the server must hold of a stream; what is not named here is the operator's.

    `discard: new`, so that a limit that an operator sets refuses new messages, which their writers then keep and try
    again, where `old` would drop history in silence. Age drops the oldest under both.
    """
    config: Config = {
        "name": stream.name,
        "subjects": list(stream.subjects),
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_age": stream.max_age_days * _DAY,
        "duplicate_window": stream.duplicate_window_seconds * _SECOND,
        "deny_delete": stream.deny_delete,
        "deny_purge": stream.deny_purge,
        "allow_direct": True,
    }
    if stream.schedules:
        # Schedules remove themselves by time to live and replace one another by rollup; the server (2.15, error 10052)
        # takes no `discard: new` beside them. Timers are derived from the log, so none is lost for good.
        config |= {"allow_msg_schedules": True, "allow_msg_ttl": True, "allow_rollup_hdrs": True, "discard": "old"}
    if stream.latest_only:
        # What a client's key-value bucket of one version is (ADR-8), so that `nats kv` and all clients can read it.
        config |= {"max_msgs_per_subject": 1, "allow_rollup_hdrs": True}
    return config


def consumer_config(consumer: Consumer) -> Config:
    """Return what the server must hold of a durable pull consumer."""
    return {
        "name": consumer.name,
        "durable_name": consumer.name,
        "filter_subjects": list(consumer.filters),
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_wait": consumer.ack_wait_seconds * _SECOND,
        "max_ack_pending": consumer.max_ack_pending,
        "max_deliver": consumer.max_deliver,
    }


def stream_changes(found: Config, wanted: Config) -> Config:
    """Return what of `wanted` differs. Raises RefusedError that names every difference that would lose messages."""
    changes = {key: value for key, value in wanted.items() if found.get(key, False) != value}
    changes.pop("name", None)
    found_subjects, subjects = set(found.get("subjects", ())), set(wanted["subjects"])
    if found_subjects == subjects:
        changes.pop("subjects", None)
    losses = [f"{key} is {found.get(key)!r} and not {wanted[key]!r}" for key in _FIXED_OF_STREAM if key in changes]
    if found_subjects - subjects:
        losses.append(f"it also takes {', '.join(sorted(found_subjects - subjects))}")
    kept, keep = found.get("max_age", 0), wanted["max_age"]
    if keep and not 0 < kept <= keep:
        kept //= _DAY
        losses.append(f"it keeps messages {f'{kept} days' if kept else 'for ever'} and not {keep // _DAY}")
    losses += [
        f"{key} is on, and a server does not take that back"
        for key in ("deny_delete", "deny_purge")
        if found.get(key) and not wanted[key]
    ]
    _refuse(f"stream {wanted['name']}", losses)
    return changes


def consumer_changes(found: Config, wanted: Config) -> Config:
    """Return what of `wanted` differs. Raises RefusedError that names every difference that would lose messages."""
    filters = filters_of(found)
    changes = {key: value for key, value in wanted.items() if key != "filter_subjects" and found.get(key) != value}
    losses = [f"{key} is {found.get(key)!r} and not {wanted[key]!r}" for key in _FIXED_OF_CONSUMER if key in changes]
    wanted_filters = set(wanted["filter_subjects"])
    if filters != wanted_filters:
        changes["filter_subjects"] = wanted["filter_subjects"]
        # No filter at all means every subject.
        dropped = filters - wanted_filters if wanted_filters else set()
        if dropped or (not filters and wanted_filters):
            losses.append(f"it also reads {', '.join(sorted(dropped)) or 'everything'}")
    _refuse(f"consumer {wanted['name']}", losses)
    return changes


def _refuse(what: str, losses: list[str]) -> None:
    if losses:
        raise RefusedError(
            f"{what} is not as it must be, and changing it could lose messages: {'; '.join(losses)}. Look at it with"
            " `nats stream info` or `nats consumer info`; change or remove it by hand if nothing in it is needed",
            reason="destructive",
        )


async def install_streams(
    connection: Connection,
    *,
    replicas: int | None = None,
    streams: Iterable[Stream] = STREAMS,
    consumers: Iterable[Consumer] = CONSUMERS,
    audited: int = 0,
    vouching: bool = True,
) -> list[str]:
    """Make or update them all and return a line for each that was not as it is now.

    `replicas`: copies of each stream; None leaves what is there, and makes one. `audited`: highest sequence of the log
    that the audit holds, 0 where it is not known. `vouching` False: somebody else answers for what was lost. Raises
    RefusedError, also in the place of a stream that was lost, and UnavailableError when the server does not answer.
    """
    done = []
    chosen = tuple(streams)
    for stream in chosen:
        wanted = stream_config(stream) | ({"num_replicas": replicas} if replicas else {})
        if vouching and stream in GUARDED:
            await refuse_if_lost(connection, stream.name, audited if stream is LOG else 0)
        done += await _install_stream(connection, wanted)
    if vouching and STORAGE_STREAM in chosen:
        await vouch(connection)
    for consumer in consumers:
        done += await _install_consumer(connection, consumer.stream, consumer_config(consumer))
    return done


async def vouch_once_made(connection: Connection, *, audited: int = 0) -> list[str]:
    """Vouch for streams that others make, once they and the consumers are there. Makes and changes nothing else.

    `audited`: as above. Raises UnavailableError while one is missing, and RefusedError for one that is not as it must
    be, or that stands in the place of one that was lost.
    """
    for stream in STREAMS:
        info = await _made(connection, f"STREAM.INFO.{stream.name}")
        _refuse_drift(f"stream {stream.name}", stream_changes(info["config"], stream_config(stream)))
        if stream is LOG and audited > info["state"]["last_seq"]:
            message = f"stream {LOG.name} ends at {info['state']['last_seq']}, and the audit holds {audited}. {HELP}"
            raise RefusedError(message, reason="lost")
    for consumer in CONSUMERS:
        info = await _made(connection, f"CONSUMER.INFO.{consumer.stream}.{consumer.name}")
        _refuse_drift(f"consumer {consumer.name}", consumer_changes(info["config"], consumer_config(consumer)))
    await vouch(connection)
    return [f"vouched for stream {stream.name}" for stream in GUARDED]


async def _made(connection: Connection, subject: str) -> Config:
    try:
        found: Config = msgspec.json.decode(await connection.api(subject))
    except NotFoundError:
        name = subject.rpartition(".")[2]
        raise UnavailableError(f"{name} is not there yet; whoever makes it has not done so") from None
    return found


def _refuse_drift(what: str, changes: Config) -> None:
    if changes:
        message = f"{what} is not as it must be in {', '.join(sorted(changes))}; whoever makes it must change that"
        raise RefusedError(message, reason="drift")


async def _install_stream(connection: Connection, wanted: Config) -> list[str]:
    name = wanted["name"]
    try:
        info = msgspec.json.decode(await connection.api(f"STREAM.INFO.{name}"))
    except NotFoundError:
        await connection.api(f"STREAM.CREATE.{name}", wanted)
        return [f"made stream {name}"]
    changes = stream_changes(info["config"], wanted)
    if not changes:
        return []
    await connection.api(f"STREAM.UPDATE.{name}", info["config"] | changes)
    return [f"changed {', '.join(sorted(changes))} of stream {name}"]


async def _install_consumer(connection: Connection, stream: str, wanted: Config) -> list[str]:
    name = wanted["name"]
    subject = f"CONSUMER.CREATE.{stream}.{name}"
    try:
        info = msgspec.json.decode(await connection.api(f"CONSUMER.INFO.{stream}.{name}"))
    except NotFoundError:
        await connection.api(subject, {"stream_name": stream, "config": wanted, "action": "create"})
        return [f"made consumer {name} of {stream}"]
    changes = consumer_changes(info["config"], wanted)
    if not changes:
        return []
    _refuse(f"consumer {name}", await passed_over(connection, stream, info, wanted))
    config = info["config"] | changes
    if "filter_subjects" in changes:
        config.pop("filter_subject", None)
    await connection.api(subject, {"stream_name": stream, "config": config, "action": "update"})
    return [f"changed {', '.join(sorted(changes))} of consumer {name} of {stream}"]
