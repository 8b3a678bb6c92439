"""The sweep: every 30 s, wakes the runs whose earliest timer is past and whose wake-up did nothing.

So a wake-up that was lost, with its stream, by a purge, by whatever, costs half a minute and not for ever. Must never
tell the time by its own clock, nor decide that a timer is over: it sends the message that the timer would have sent.
Any number may sweep at once; what one has sent is a duplicate when another sends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import msgspec
import structlog

from runtime import chain
from runtime.errors import KubernautError
from runtime.ports import Log, Stored
from scheduler import metrics
from scheduler.timer_index import Overdue, TimerIndex
from scheduler.wake import timer_event
from schemas import subjects

EVERY_SECONDS: Final = 30.0
_AT_A_TIME: Final = 100
"""Decisions that are read before others have a turn."""


class Sweeper:
    """Knows the earliest timer of every run from the decisions in the log."""

    def __init__(
        self,
        log: Log,
        logger: structlog.typing.FilteringBoundLogger,
        *,
        on_finished: Callable[[str], None] | None = None,
    ) -> None:
        """`on_finished`: gets the uid with each decision seen of a run that is over or gone; repeats are usual."""
        self._log = log
        self._logger = logger
        self._on_finished = on_finished
        self._index = TimerIndex()
        self._seen = 0

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self.sweep()
            except KubernautError as error:
                self._logger.warning("sweep_delayed", error=str(error))
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self) -> None:
        """Read what was decided since the last time, then wake whoever is overdue. Raises what the log raises."""
        now = await self._log.now()
        if self._index.incomplete(now):
            self._index, self._seen = TimerIndex(), 0
        await self._catch_up()
        for overdue in self._index.begin_round(now):
            await self._wake(overdue)

    async def _catch_up(self) -> None:
        scan = self._log.scan(
            subjects.LOG.name, subjects.DECISIONS, last_per_subject=self._seen == 0, start=self._seen + 1
        )
        async with aclosing(scan) as decisions:
            read = 0
            async for stored in decisions:
                link = stored if chain.version(stored) else (await chain.head(self._log, stored.subject)).link
                if link is not None:
                    self._take(link)
                self._seen = stored.sequence
                read += 1
                if read % _AT_A_TIME == 0:
                    await asyncio.sleep(0)

    def _take(self, stored: Stored) -> None:
        uid = stored.subject.rsplit(".", 1)[1]
        if uid == subjects.QUEUE:
            return
        try:
            over = self._index.take(uid, stored.data)
        except msgspec.MsgspecError as error:
            self._logger.warning("decision_unreadable", workflow=uid, sequence=stored.sequence, error=str(error))
            return
        if over and self._on_finished is not None:
            self._on_finished(uid)

    async def _wake(self, overdue: Overdue) -> None:
        uid, due_at = overdue.workflow_uid, overdue.due_at
        if overdue.tries and not await self._is_still_due(uid, due_at):
            return
        # The number of the try is in the id, so that the server does not take the second one for a repeat of the first.
        identity = f"{uid}/sweep/{due_at}/{overdue.tries}"
        published = await self._log.publish(timer_event(subjects.timer_due(uid, due_at), uid, due_at, identity))
        self._index.tried(uid)
        if not published.duplicate:
            metrics.SWEPT.inc()
            self._logger.warning("wake_up_sent_by_the_sweep", workflow=uid, due_at=due_at, tries=overdue.tries)

    async def _is_still_due(self, uid: str, due_at: int) -> bool:
        """Look at the run itself before a second try: its decisions may be past retention, or the log lost some."""
        newest = (await chain.head(self._log, subjects.decision(uid))).link
        if newest is None:
            self._index.forget(uid)
        else:
            self._take(newest)
        return self._index.due_at(uid) == due_at
