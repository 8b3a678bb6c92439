"""The endless loop that tells what was learned from finished steps.

Stands beside the auditing and must never be in its way: it has a connection and a task of its own, and whatever goes
wrong in it is told and tried again later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from auditor import metrics
from auditor.learning import MOST_STEPS, event, is_news, learned
from runtime.backoff import Backoff
from schemas import subjects
from schemas.actions import ACTIONS

if TYPE_CHECKING:
    import structlog

    from auditor.ports import Experience
    from runtime.ports import Log


class Learner:
    """Looks at the finished steps when there are new ones, and publishes what they show when that has changed."""

    def __init__(
        self,
        log: Log,
        experience: Experience,
        *,
        reported: asyncio.Event,
        interval: float,
        logger: structlog.typing.FilteringBoundLogger,
        backoff: Backoff | None = None,
    ) -> None:
        """`reported`: set whenever this process stored a report. `interval`: least seconds between two looks."""
        self._log = log
        self._experience = experience
        self._reported = reported
        self._interval = interval
        self._logger = logger
        self._backoff = Backoff(first=1.0, most=max(interval, 1.0)) if backoff is None else backoff

    async def learn_loop(self) -> None:
        """Learn for ever, at once for the first time: the process before may have been killed before it looked.

        With several auditors each looks after what it stored itself; who stored last sees what all of them stored.
        """
        self._reported.set()
        while True:
            await self._reported.wait()
            self._reported.clear()
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - not even a defect of ours here may end the auditing
                self._reported.set()
                metrics.LEARN_FAILURES.inc()
                wait = self._backoff.next()
                self._logger.warning("learning_waits", error=f"{type(error).__name__}: {error}", seconds=round(wait, 1))
            else:
                self._backoff.reset()
                wait = self._interval
            await asyncio.sleep(wait)

    async def look(self) -> None:
        """Publish what the finished steps show, if it is news. Raises the errors of the log and of the store."""
        made = learned(await self._experience.facts(sorted(ACTIONS), MOST_STEPS))
        known = await self._log.last(subjects.LEARNED_STREAM.name, subjects.LEARNED)
        if not is_news(made, known.data if known else None):
            return
        # Expecting what was read: somebody who read the database later may have published meanwhile.
        await self._log.publish(event(made), expect=known.sequence if known else 0)
        metrics.LEARNED.inc()
        self._logger.info("learned", actions=len(made.actions), until=made.until)
