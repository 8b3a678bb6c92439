"""Makes the log anew behind everything that was ever in it, with what may go on, and vouches for it.

Services wait meanwhile: they open only a stream that the record names, and that is written last. May be run again after
it broke off; of two at once, one goes on. Must never give out a sequence that was used, nor start a run of which
anything shows that it had begun.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from kubernaut.again import until_able
from kubernaut.install_streams import install_streams, stream_config
from kubernaut.install_vouch import note_of, record_of
from kubernaut.operation_facts import event as fact
from kubernaut.operation_facts import me
from runtime.continuity import GUARDED, Record
from runtime.errors import ConflictError, NotFoundError
from runtime.kinds import WORKFLOWS
from runtime.nats_continuity import remember, remember_after
from runtime.nats_ends import Ends
from runtime.nats_leader import end_of, info_of, message_of
from runtime.nats_publish import Publisher
from schemas.messages import LossAccepted
from schemas.subjects import CONSUMERS, LOG, RECOVERIES, STORAGE_STREAM, STREAMS

if TYPE_CHECKING:
    from kubernaut.recovery.survey import Found
    from kubernaut.recovery.verdicts import Verdict
    from runtime.nats_connection import Connection
    from runtime.ports import Cluster, Stored
    from schemas.cloudevents import Event

GAP: Final = 1000
"""Sequences that are left out: more than were lost that nobody knows of."""
_CLAIMS: Final = ("floor", "shard", "scope")
"""What a watcher says of everything else in the log; it is not so any more."""
RECOVERED: Final = "recovered"


async def renew(connection: Connection, cluster: Cluster, found: Found) -> list[str]:
    """Carry it out and return a line for each thing that was done. Raises what the two raise; then run it again.

    Raises ConflictError when somebody else recovers it at the same time; what they make stays.
    """
    done = [await _mark(cluster, each) for each in found.verdicts if each.fate == "ends" and _needs_mark(each)]
    if STORAGE_STREAM.name not in await _names(connection):
        await install_streams(connection, streams=(STORAGE_STREAM,), consumers=(), vouching=False)
    claim: int | None = None
    if LOG.name in found.losses:
        first = found.highest + 1 + GAP
        claim = await _claim(connection, found)
        done.append(await _new_log(connection, first, claim))
        publisher = _publisher(connection)
        await publisher.publish(_accepted(found, first), None, None)
        done += await _import(publisher, found)
    done += await install_streams(connection, streams=STREAMS, consumers=CONSUMERS, vouching=False)
    for stream in GUARDED:
        seen = (await info_of(connection, stream.name)).seen
        now = time.time_ns() // 1_000_000
        record = Record(created=seen.created, last=seen.last, missing=seen.missing, accepted=now)
        if stream is LOG and claim is not None:
            await _note(connection, record, claim)
        else:
            await remember(connection, stream.name, record)
    return done


def _needs_mark(verdict: Verdict) -> bool:
    return verdict.shown < max(verdict.known, 1)


async def _mark(cluster: Cluster, verdict: Verdict) -> str:
    """Show on an object that decisions of it were made: what shows one is never started (decision record 0004)."""
    found = await cluster.get(WORKFLOWS, verdict.namespace, verdict.name)
    body = found | {"status": (found.get("status") or {}) | {"sequence": max(verdict.known, 1)}}
    await cluster.replace_status(WORKFLOWS, verdict.namespace, verdict.name, body)
    return f"marked {verdict.namespace}/{verdict.name}: decision {max(verdict.known, 1)} of it was made"


async def _names(connection: Connection) -> set[str]:
    found = set()
    for stream in STREAMS:
        try:
            await connection.api(f"STREAM.INFO.{stream.name}")
        except NotFoundError:
            continue
        found.add(stream.name)
    return found


async def _claim(connection: Connection, found: Found) -> int:
    """Note how far the log went, before what is left of it goes, which alone may show that, and this ends half-way.

    By the same record neither a service nor the installer takes a new log for the one that it tells of; and whoever has
    looked before it was written makes no log after it, and vouches for none.
    """
    record = await record_of(connection, LOG.name) or Record(created="")
    record = msgspec.structs.replace(record, last=max(record.last, found.highest))
    return await _note(connection, record, found.noted)


async def _note(connection: Connection, record: Record, after: int) -> int:
    """Remember a record of the log if the newest is still the one at sequence `after`; return its own sequence."""
    try:
        return await remember_after(connection, LOG.name, record, after)
    except ConflictError as error:
        raise _other() from error


def _other() -> ConflictError:
    return ConflictError(f"somebody else recovers {LOG.name} at the same time; look again: kubernaut recover")


async def _new_log(connection: Connection, first: int, claim: int) -> str:
    """Remove what is left and make it anew, unless somebody else is at work on it by now."""
    config = stream_config(LOG)
    try:
        info = msgspec.json.decode(await connection.api(f"STREAM.INFO.{LOG.name}"))
    except NotFoundError:
        pass
    else:
        config["num_replicas"] = info["config"].get("num_replicas", 1)
        if (await note_of(connection, LOG.name))[1] != claim:
            raise _other()
        await connection.api(f"STREAM.DELETE.{LOG.name}")
    create = partial(connection.api, f"STREAM.CREATE.{LOG.name}", config | {"first_seq": first})
    await until_able(create)
    return f"made stream {LOG.name} anew; it begins at sequence {first}"


def _publisher(connection: Connection) -> Publisher:
    ends = Ends(partial(end_of, connection))

    async def newest(stream: str, subject: str) -> Stored | None:
        found = await message_of(connection, stream, {"last_by_subj": subject})
        return None if found is None else await ends.stored(stream, found)

    return Publisher(connection, newest)


def _accepted(found: Found, first: int) -> Event:
    """Return the message by which the audit knows what is missing for good, and who accepted that."""
    body = LossAccepted(by=me(), reason=found.losses[LOG.name], lost_after=found.audited, lost_before=first)
    return fact(RECOVERIES, body, f"recover/{time.time_ns()}")


async def _import(publisher: Publisher, found: Found) -> list[str]:
    """Publish the newest that is known of each run that goes on: its object first, as it was in the log."""
    for kept in found.kept.values():
        for event in (kept.definition, kept.event):
            if event is not None:
                await publisher.publish(_as_recovered(event), None, None)
    return [f"brought back the last decision of {len(found.kept)} runs"] if found.kept else []


def _as_recovered(event: Event) -> Event:
    kept = {name: value for name, value in event.extensions.items() if name not in _CLAIMS}
    return msgspec.structs.replace(event, extensions=kept | {RECOVERED: "true"})
