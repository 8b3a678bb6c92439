"""The endless loop that seals what the audit holds whole, tells the log of it, and says when something is missing.

Stands beside the auditing and must never be in its way: it has a connection and a task of its own, and whatever goes
wrong in it is told and tried again later. It never mends anything: what is missing or contradicts itself is for a
person to see, who has `kubernaut audit verify` and `kubernaut audit rebuild`.

The log comes first. It takes one checkpoint after the other on one subject, each expecting the one before, so that of
many auditors one is first and the chain cannot fork; the database follows the log, also after a kill in between.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec

from auditor import chain, metrics, sealing
from auditor.sealing import MOST_SEQUENCES
from runtime.backoff import Backoff
from runtime.errors import ConflictError, KubernautError
from schemas.subjects import AUDITOR, CHECKPOINTS, LOG

if TYPE_CHECKING:
    import structlog

    from auditor.chain import Seal
    from auditor.seal_store import Seals
    from runtime.health import Dependency
    from runtime.ports import Log, Stored

ENOUGH: Final = 1000
"""Messages that are sealed before their time."""
LOOK_SECONDS: Final = 5.0
CHECK_SECONDS: Final = 30.0
"""How long rows that disappear before they are sealed, or a database that is an older copy, go unsaid at most."""
_ALL: Final = ">"
_NAMED: Final = 5


class ContradictionError(KubernautError):
    """The log and the database do not tell the same; nothing is sealed until somebody has looked."""


class Sealer:
    """Seals ranges of one stream."""

    def __init__(
        self,
        log: Log,
        seals: Seals,
        *,
        interval: float,
        health: Dependency,
        logger: structlog.typing.FilteringBoundLogger,
        look: float = LOOK_SECONDS,
        backoff: Backoff | None = None,
    ) -> None:
        """`interval`: most seconds that a message waits to be sealed. `look`: seconds between two looks."""
        self._log = log
        self._seals = seals
        self._interval = interval
        self.health = health
        self._logger = logger
        self._look = min(look, interval)
        self._backoff = Backoff(first=1.0, most=CHECK_SECONDS) if backoff is None else backoff
        self._said = ""

    async def seal_loop(self) -> None:
        """Look for ever: whether something is missing, at once for the first time, and whether there is enough."""
        clock = asyncio.get_running_loop().time
        sealed_at, checked_at = clock(), float("-inf")
        while True:
            wait = self._look
            try:
                if clock() - checked_at >= CHECK_SECONDS:
                    await self.check()
                    checked_at = clock()
                due = clock() - sealed_at >= self._interval
                while await self.turn(least=1 if due else ENOUGH):
                    sealed_at = clock()
                if due:
                    sealed_at = clock()
                self._backoff.reset()
                self._say("")
            except ContradictionError as error:
                checked_at = float("-inf")
                self._say(str(error))
            except Exception as error:  # noqa: BLE001 - not even a defect of ours here may end the auditing
                checked_at, wait = float("-inf"), self._backoff.next()
                metrics.SEAL_FAILURES.inc()
                self._logger.warning("sealing_waits", error=f"{type(error).__name__}: {error}", seconds=round(wait, 1))
            await asyncio.sleep(wait)

    async def check(self) -> None:
        """Say what of that which this service has acknowledged the database does not hold. Mends nothing.

        Raises ContradictionError, or UnavailableError. What is sealed is not looked at again; `audit verify` does that.
        """
        # First what was acknowledged, because rows are committed before that.
        until = await self._log.acknowledged(AUDITOR)
        head = await self._seals.head(LOG.name)
        first = head.to_sequence + 1 if head else await self._first()
        until = max(until, await self._told_until())
        last = min(until, first + 2 * MOST_SEQUENCES - 1)
        gone: list[int] = []
        if 0 < first <= last and (await self._seals.extent(LOG.name, first, last)).held < last - first + 1:
            missing = await self._seals.missing(LOG.name, first, last)
            gone = [each for each in missing if await self._log.get(LOG.name, each) is not None]
        metrics.MISSING.set(len(gone))
        if gone:
            raise ContradictionError(_missing(gone, until))

    async def turn(self, *, least: int) -> bool:
        """Seal the next range when it has so many messages; tell whether there may be more to seal.

        Raises ContradictionError, or UnavailableError.
        """
        head = await self._seals.head(LOG.name)
        told = await self._log.last(LOG.name, CHECKPOINTS)
        newest = chain.read(told.data) if told else None
        end = await self._log.last(LOG.name, _ALL)
        if told is not None and newest is None:
            raise ContradictionError(
                f"message {told.sequence} of the log is no checkpoint, although its subject says so"
            )
        if trouble := sealing.trouble(head, newest, end.sequence if end else 0):
            raise ContradictionError(trouble)
        if newest is not None and newest.number > (head.number if head else 0):
            return await self._take_over(head)
        made = await self._next(head, least)
        if made is None:
            return False
        try:
            published = await self._log.publish(chain.event(made), expect=told.sequence if told else 0)
        except ConflictError:
            return True  # another auditor was first; its range is taken over at the next turn
        return await self._add(msgspec.structs.replace(made, told_at=published.sequence))

    async def _take_over(self, head: Seal | None) -> bool:
        """Seal as the log was told: by a faster auditor, before a kill, or after this copy of the database."""
        start = head.told_at + 1 if head else 1
        async with aclosing(self._log.scan(LOG.name, CHECKPOINTS, start=start)) as messages:
            async for message in messages:
                head = await self._follow(head, message)
        return True

    async def _follow(self, head: Seal | None, message: Stored) -> Seal:
        told, number = chain.read(message.data), head.number if head else 0
        if told is None or told.number != number + 1:
            raise ContradictionError(
                f"message {message.sequence} of the log is not the checkpoint after number {number}; "
                "the database is too old a copy to be made whole from the log alone: `kubernaut audit rebuild --file`"
            )
        rows = await self._seals.leaves(LOG.name, told.from_sequence, told.to_sequence)
        there = {row.sequence for row in rows}
        lost = {each for each in range(told.from_sequence, told.to_sequence + 1) if each not in there}
        if len(lost) > told.to_sequence - told.from_sequence + 1 - told.messages:
            raise ContradictionError(_missing(sorted(lost), told.to_sequence))
        # One range, exactly: what lies behind it is not part of it.
        made = chain.seal(LOG.name, head, told.from_sequence, sealing.laid_out(told, rows))
        if not sealing.same(made, told):
            raise ContradictionError(
                f"the messages {told.from_sequence} to {told.to_sequence} in the database are not those of checkpoint "
                f"{told.number} in the log; `kubernaut audit verify` names the first that differs"
            )
        await self._add(msgspec.structs.replace(made, told_at=message.sequence))
        return msgspec.structs.replace(made, told_at=message.sequence)

    async def _next(self, head: Seal | None, least: int) -> Seal | None:
        first = head.to_sequence + 1 if head else await self._first()
        if not first or (await self._seals.extent(LOG.name, first, first)).highest - first + 1 < least:
            return None
        rows = await self._seals.leaves(LOG.name, first, first + MOST_SEQUENCES - 1)
        holes = sealing.holes(first, rows)
        lost = {each for each in holes if await self._log.get(LOG.name, each) is None}
        if holes or not rows or rows[-1].sequence < first + MOST_SEQUENCES - 1:
            # A log that was made anew begins far behind: what lies before it is not to be had any more.
            there = {row.sequence for row in rows}
            lost |= set(range(first, min(first + MOST_SEQUENCES, await self._oldest()))) - there
        return sealing.next_range(LOG.name, head, first, rows, lost)

    async def _first(self) -> int:
        """Return where the first range begins: with the oldest message of the log, or the oldest row before it."""
        lowest, oldest = (await self._seals.extent(LOG.name, 0, 0)).lowest, await self._oldest()
        return min(oldest, lowest or oldest) or lowest

    async def _oldest(self) -> int:
        """Return the oldest sequence that the log holds; 0 when it holds nothing."""
        async with aclosing(self._log.scan(LOG.name, _ALL)) as messages:
            async for message in messages:
                return message.sequence
        return 0

    async def _told_until(self) -> int:
        told = await self._log.last(LOG.name, CHECKPOINTS)
        newest = chain.read(told.data) if told else None
        return newest.to_sequence if newest else 0

    async def _add(self, made: Seal) -> bool:
        if await self._seals.add(made):
            metrics.SEALED.set(made.to_sequence)
            # The third place, for whoever keeps logs elsewhere.
            self._logger.info(
                "audit_sealed",
                number=made.number,
                from_sequence=made.from_sequence,
                to_sequence=made.to_sequence,
                messages=made.messages,
                digest=made.digest,
            )
        return made.to_sequence - made.from_sequence + 1 >= MOST_SEQUENCES

    def _say(self, trouble: str) -> None:
        metrics.UNSOUND.set(1 if trouble else 0)
        if trouble:
            self.health.failed(trouble)
            if trouble != self._said:
                self._logger.error("audit_unsound", error=trouble)
        else:
            self.health.ok()
        self._said = trouble


def _missing(gone: list[int], until: int) -> str:
    named = ", ".join(str(each) for each in gone[:_NAMED])
    more = " and more" if len(gone) > _NAMED else ""
    return (
        f"the database does not hold the messages {named}{more} of the log, and was told to keep everything up to "
        f"{until}: is it an older copy? `kubernaut audit rebuild` makes it whole from the log"
    )
