"""Looks after each connection, and every few seconds, whether the broker still has what it had; says who may act.

What is remembered stands in a bucket of its own on the server, so that a process that starts anew knows it too, and in
this process. Must never open again by itself what showed a loss: `kubernaut recover` does, by a new record.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import msgspec

from runtime import continuity, metrics
from runtime.continuity import AuditGap, Doubts, Halt, Record, Seen, Witness
from runtime.errors import ConflictError, KubernautError, NotFoundError, RefusedError, UnavailableError
from runtime.nats_api import raise_for_error
from runtime.nats_headers import to_block
from runtime.nats_leader import info_of, message_of
from schemas.cloudevents import attribute
from schemas.subjects import LOG, STORAGE_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import structlog

    from runtime.nats_connection import Connection

_NOT_LOOKED: Final = "what the broker holds was not looked at yet"
_WAIT_SECONDS: Final = 3.0
_NONE: Final = Record(created="")
_WRONG_LAST: Final = {"10071", "10164"}
"""How JetStream says that somebody has written since."""
T = TypeVar("T")


class StorageRegressedError(KubernautError):
    """The broker lost messages that were acknowledged; nobody may act on what is left."""


class LogRenewedError(RuntimeError):
    """A person has accepted a loss: this process knows the log before it, so it must end and start anew."""


class Recollection(msgspec.Struct, frozen=True, kw_only=True):
    """What was remembered at one moment."""

    records: dict[str, tuple[Record | None, int]]
    """By stream, and where each is in the bucket; None for a stream that nobody has vouched for."""
    halt: Halt | None
    remembered: dict[str, Record]
    """What this process itself has seen."""

    @property
    def halted(self) -> Halt | None:
        """The mark that stops everybody; None when there is none, or the loss that it tells of was accepted since."""
        if self.halt is None:
            return None
        record, _ = self.records.get(self.halt.stream, (None, 0))
        return self.halt if record is not None and record.accepted == self.halt.accepted else None


class Continuity:
    """Of one connection: `closed` says why nothing may be read, written or fetched, and is empty when all is well."""

    def __init__(
        self,
        connection: Connection,
        name: str,
        log: structlog.typing.FilteringBoundLogger,
        changed: Callable[[], None],
        *,
        remembers: bool = True,
    ) -> None:
        """`name`: of this service; `changed` is called whenever `closed` has changed.

        `remembers`: whether it writes down for others what it saw; who only reads has no right to, and does not.
        """
        self._connection = connection
        self._remembers = remembers
        self._name = name
        self._log = log
        self._changed = changed
        self._remembered: dict[str, Record] = {}
        self._witness: Witness | None = None
        self._opened = asyncio.Event()
        self._gap = AuditGap()
        self._doubts = Doubts()
        self._told = ""
        self.closed = _NOT_LOOKED

    @property
    def gap(self) -> AuditGap:
        """What the audit lost, as it was last told."""
        return self._gap

    def unsure(self) -> None:
        """Take in that the connection is new: the server may have been another meanwhile."""
        self._close(self._told or _NOT_LOOKED)

    def saw(self, stream: str, sequence: int) -> None:
        """Remember that a message with this sequence was in the stream."""
        before = self._remembered.get(stream)
        if before is not None and before.last < sequence:
            self._remembered[stream] = msgspec.structs.replace(before, last=sequence)

    async def opened(self) -> None:
        """Return at once while all is well, else wait a moment for that. Raises UnavailableError."""
        if not self.closed:
            return
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._opened.wait()
        except TimeoutError:
            raise UnavailableError(self.closed or _NOT_LOOKED) from None

    async def remind(self, sequence: int, event_id: str, source: str) -> None:
        """Hold the log against a message that somebody else read from it before. Raises UnavailableError."""
        self._witness = Witness(sequence=sequence, id=event_id, source=source)
        try:
            await self._check_witness()
        except StorageRegressedError as error:
            raise UnavailableError(str(error)) from error

    async def tell_gap(self, gap: AuditGap) -> None:
        """Tell all services that rows of the audit are gone, or, without `expected`, that none is."""
        if gap != self._gap:
            await self._write(continuity.AUDIT, gap, None)
            self._gap = gap

    async def recollect(self) -> Recollection:
        """Read what is remembered, to be held against what the server says after it: `judge`.

        Raises UnavailableError.
        """
        records = {stream.name: await self._read(stream.name, Record) for stream in continuity.GUARDED}
        halt, _ = await self._read(continuity.HALT, Halt)
        gap, _ = await self._read(continuity.AUDIT, AuditGap)
        self._gap = gap or AuditGap()
        return Recollection(records=records, halt=halt, remembered=dict(self._remembered))

    async def judge(self, before: Recollection, infos: Mapping[str, Seen]) -> None:
        """Hold what the server says of each stream against what was remembered before; open or close.

        Raises LogRenewedError, StorageRegressedError, NotFoundError for a stream that nobody has vouched for, or
        UnavailableError.
        """
        for stream, (record, sequence) in before.records.items():
            if record is None:
                raise NotFoundError(f"nobody has vouched for stream {stream}; run python -m kubernaut.install")
            known = before.remembered.get(stream)
            if known is not None and known.accepted != record.accepted:
                raise LogRenewedError(f"the loss of stream {stream} was accepted; starting anew on what is there now")
            seen = infos[stream]
            if reason := continuity.loss(stream, seen, record, before.remembered.get(stream)):
                await self._lost(stream, reason, seen, record)
            self._note(stream, record, seen)
            if seen.last > record.last:
                newer = msgspec.structs.replace(record, last=seen.last, created=seen.created)
                await self._write(stream, newer, sequence)
        await self._check_witness()
        if before.halted:
            self._regressed(before.halted.stream, before.halted.reason)
        self._open()

    def _note(self, stream: str, record: Record, seen: Seen) -> None:
        known, last = self._remembered.get(stream), seen.last
        if known is not None and (known.created, known.accepted) == (seen.created, record.accepted):
            last = max(last, known.last)  # more may have been stored since it was asked
        self._remembered[stream] = msgspec.structs.replace(record, last=last, created=seen.created)

    async def _check_witness(self) -> None:
        witness = self._witness
        if witness is None:
            return
        seen = (await info_of(self._connection, LOG.name)).seen
        found = None
        if seen.first <= witness.sequence <= seen.last:
            message = await message_of(self._connection, LOG.name, {"seq": witness.sequence})
            found = None if message is None else attribute(message.headers, "ce-id")
        if reason := continuity.contradiction(LOG.name, seen, witness, found):
            record, _ = await self._read(LOG.name, Record)
            await self._lost(LOG.name, reason, seen, record or _NONE)

    async def _lost(self, stream: str, reason: str, seen: Seen, record: Record) -> NoReturn:
        """Act on nothing more; stop once it is sure. Raises StorageRegressedError, before that UnavailableError."""
        if self._doubts.saw_loss(stream, seen.copies, asyncio.get_running_loop().time()):
            await self._halt(stream, reason, record)
        doubt = f"{reason}, if who answered leads it: it has {seen.copies} copies; nobody acts on it until that is sure"
        if doubt != self.closed:
            self._log.warning("storage_in_doubt", stream=stream, reason=reason)
        self._close(doubt)
        raise UnavailableError(doubt)

    async def _halt(self, stream: str, reason: str, record: Record) -> NoReturn:
        """Stop this process and, by a mark on the server, the others. Raises StorageRegressedError."""
        try:
            halt = Halt(stream=stream, reason=reason, by=self._name, accepted=record.accepted)
            await self._write(continuity.HALT, halt, None)
        except KubernautError as error:
            self._log.warning("halt_not_told", error=str(error))
        self._regressed(stream, reason)

    def _regressed(self, stream: str, reason: str) -> NoReturn:
        if reason != self._told:
            metrics.STORAGE_REGRESSED.labels(stream).inc()
            self._log.error("storage_regressed", stream=stream, reason=reason)
        self._told = reason
        message = f"{reason}; {continuity.HELP}"
        self._close(message)
        raise StorageRegressedError(message)

    def _open(self) -> None:
        self._told = ""
        self._doubts.saw_all()
        if self.closed:
            self.closed = ""
            self._opened.set()
            self._changed()

    def _close(self, reason: str) -> None:
        before, self.closed = self.closed, reason
        self._opened.clear()
        if not before:
            self._changed()

    async def _read(self, name: str, kind: type[T]) -> tuple[T | None, int]:
        """Return what is remembered under a name and where it is."""
        stored = await message_of(self._connection, STORAGE_STREAM.name, {"last_by_subj": continuity.key(name)})
        if stored is None:
            return None, 0
        try:
            return msgspec.json.decode(stored.data, type=kind), stored.sequence
        except msgspec.MsgspecError as error:
            raise UnavailableError(f"what is remembered under {name} cannot be read: {error}") from error

    async def _write(self, name: str, value: Any, sequence: int | None) -> None:
        if self._remembers:
            await remember(self._connection, name, value, sequence)


async def remember(connection: Connection, name: str, value: Any, sequence: int | None = None) -> None:
    """Remember a Record, Halt or AuditGap; with `sequence`, only if nobody has written since that one.

    Somebody else's newer one stays. Raises UnavailableError, without a `sequence` also for what was not stored.
    """
    answer = await _send(connection, name, value, sequence)
    if sequence is None:
        try:
            raise_for_error(answer, f"a note of {name}")
        except RefusedError as error:
            raise UnavailableError(str(error)) from error


async def remember_after(connection: Connection, name: str, value: Any, sequence: int) -> int:
    """Remember one as `remember` does with a `sequence`, and return its own.

    Raises ConflictError when somebody has written since, and UnavailableError.
    """
    answer = await _send(connection, name, value, sequence)
    try:
        raise_for_error(answer, f"a note of {name}")
    except RefusedError as error:
        if error.reason in _WRONG_LAST:
            raise ConflictError(str(error)) from error
        raise UnavailableError(str(error)) from error
    return msgspec.json.decode(answer, type=_Taken).seq


async def _send(connection: Connection, name: str, value: Any, sequence: int | None) -> bytes:
    expected = {} if sequence is None else {"Nats-Expected-Last-Subject-Sequence": str(sequence)}
    headers = to_block(expected) if expected else b""
    reply = await connection.request(continuity.key(name), msgspec.json.encode(value), headers=headers)
    return reply.data


class _Taken(msgspec.Struct, frozen=True):
    """What JetStream answers to a message that it stored."""

    seq: int
