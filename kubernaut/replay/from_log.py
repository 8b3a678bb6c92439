"""Reads a recorded run from the log: its own messages, and those of others that its decisions were made of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Final

import msgspec

from kubernaut.replay.recording import DECISION, Recording, RecordingError
from runtime.ports import Log, Stored
from schemas import subjects
from schemas.fields import ObjectMeta
from schemas.messages import TYPE_OF, Cause, TimerDue

QUEUE_LOOKS: Final = 2000
"""Decisions of the queue that are looked through behind the run's last message for the one that frees its place."""
_TIMER: Final = TYPE_OF[TimerDue]


class _Causes(msgspec.Struct, frozen=True):
    causes: tuple[Cause, ...] = ()


class _QueueMoves(msgspec.Struct, frozen=True):
    causes: tuple[Cause, ...] = ()
    admitted: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class _Object(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()


class _Changed(msgspec.Struct, frozen=True):
    object: _Object = _Object()


_CAUSES: Final = msgspec.json.Decoder(_Causes)
_MOVES: Final = msgspec.json.Decoder(_QueueMoves)
_CHANGES: Final = msgspec.json.Decoder(_Changed)


def own_subjects(uid: str) -> tuple[str, ...]:
    """Return the filters over everything on the log that is about one run."""
    return (
        subjects.workflow_change("*", uid),
        subjects.status_change("*", uid),
        subjects.execution_change("*", uid, "*"),
        subjects.decision(uid),
        subjects.outcome(uid),
        f"{subjects.SIGNALS.removesuffix('>')}{uid}.>",
        subjects.divergence(uid),
    )


async def record(log: Log, uid: str) -> Recording:
    """Read everything about a run. Raises RecordingError when nothing was decided about it, and what the log raises."""
    found: dict[int, Stored] = {}
    for subject in own_subjects(uid):
        async for stored in _all(log, subjects.LOG.name, subject):
            found[stored.sequence] = stored
    decisions = [found[sequence] for sequence in sorted(found) if found[sequence].subject == subjects.decision(uid)]
    if not decisions:
        raise RecordingError(f"the log holds no decision about run {uid}")
    missing = await _add_causes(log, found, decisions)
    async for stored in _queue_moves(log, uid, decisions[0].sequence, max(found)):
        found[stored.sequence] = stored
    notes = [f"{len(missing)} messages that decisions were made of are past retention"] if missing else []
    first = min(found)
    if not _begins_with_change(found[first]):
        notes.append(f"the log does not go back to the beginning of the run: its first message is {first}")
    return Recording(
        uid=uid,
        messages=tuple(found[sequence] for sequence in sorted(found)),
        timers=tuple([s async for s in _all(log, subjects.TIMER_STREAM.name, f"kubernaut.timer.due.{uid}.*")]),
        events=tuple([s async for s in _all(log, subjects.EVENT_STREAM.name, subjects.events_of("*", uid))]),
        notes=tuple(notes),
    )


def foreign_causes(decisions: Iterable[Stored]) -> list[Cause]:
    """Return what decisions were made of, but wake-ups (another stream has them); passes over what is no decision."""
    causes: list[Cause] = []
    for stored in decisions:
        try:
            causes += _CAUSES.decode(stored.data).causes
        except msgspec.MsgspecError:
            continue
    return [cause for cause in causes if cause.type != _TIMER]


async def _add_causes(log: Log, found: dict[int, Stored], decisions: list[Stored]) -> list[Cause]:
    """Read what decisions were made of and what is not there yet; return what the log does not hold any more."""
    missing = []
    for cause in foreign_causes(decisions):
        if cause.sequence in found:
            continue
        stored = await log.get(subjects.LOG.name, cause.sequence)
        if stored is None:
            missing.append(cause)
        else:
            found[stored.sequence] = stored
    return missing


async def _queue_moves(log: Log, uid: str, start: int, last: int) -> AsyncIterator[Stored]:
    """Yield the decisions of the queue by which the run got its place, and by which it gave it back."""
    looked = 0
    async with aclosing(
        log.scan(subjects.LOG.name, subjects.decision(subjects.QUEUE), start=max(start - 1000, 1))
    ) as decisions:
        async for stored in decisions:
            looked += stored.sequence > last
            try:
                moves = _MOVES.decode(stored.data)
            except msgspec.MsgspecError:
                continue
            if uid in moves.admitted or uid in moves.left or any(uid in cause.id for cause in moves.causes):
                yield stored
            if uid in moves.left or looked > QUEUE_LOOKS:
                return


async def _all(log: Log, stream: str, subject: str) -> AsyncIterator[Stored]:
    async with aclosing(log.scan(stream, subject)) as messages:
        async for stored in messages:
            yield stored


def _begins_with_change(stored: Stored) -> bool:
    return stored.subject.startswith("kubernaut.change.")


async def every_run(log: Log) -> list[str]:
    """Return the uids of all runs that the log holds a decision about, in the order of their last ones."""
    found = []
    async with aclosing(log.scan(subjects.LOG.name, subjects.DECISIONS, last_per_subject=True)) as decisions:
        async for stored in decisions:
            uid = stored.subject.rsplit(".", 1)[1]
            if uid != subjects.QUEUE and stored.headers.get("ce-type") == DECISION:
                found.append(uid)
    return found


async def uid_of(log: Log, name: str, namespace: str | None) -> str:
    """Return the uid of the newest run with a name, in any namespace where none is named. Raises RecordingError."""
    newest: dict[str, str] = {}
    subject = subjects.workflow_change(namespace or "*", "*")
    async with aclosing(log.scan(subjects.LOG.name, subject, last_per_subject=True)) as changes:
        async for stored in changes:
            try:
                metadata = _CHANGES.decode(stored.data).object.metadata
            except msgspec.MsgspecError:
                continue
            if metadata.name == name:
                where, uid = stored.subject.split(".")[3:5]
                newest[where] = uid
    if not newest:
        where = f" in namespace {namespace}" if namespace else ""
        raise RecordingError(f"the log knows no workflow {name}{where}")
    if len(newest) > 1:
        raise RecordingError(f"{name} is in several namespaces ({', '.join(sorted(newest))}); name one with -n")
    return next(iter(newest.values()))


async def sequence_at(log: Log, moment: int) -> int:
    """Return the sequence of the first message stored at `moment` (ms since 1970) or later; past the end if none is."""
    last = await log.last(subjects.LOG.name, ">")
    low, high = 1, (last.sequence if last else 0) + 1
    while low < high:
        middle = (low + high) // 2
        stored = await log.get(subjects.LOG.name, middle)
        if stored is None or stored.time_ms < moment:
            low = middle + 1
        else:
            high = middle
    return low
