"""Gives back the places of runs that have ended although nobody gave them back: the second net under the queue.

The first is the scheduler, which gives a place back before it acknowledges what ended the run. Must never take a run
for ended by itself: the desk reads its last decision.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from runtime.errors import KubernautError
from scheduler.queue_desk import Desk

EVERY_SECONDS: Final = 30.0


async def free_places(desk: Desk, finished: set[str], logger: structlog.typing.FilteringBoundLogger) -> None:
    """Look for ever at the runs that others note in `finished`, and take out those that were looked at."""
    while True:
        looked_at = frozenset(finished)
        try:
            await desk.free_finished(looked_at)
            finished.difference_update(looked_at)
        except KubernautError as error:
            logger.warning("places_not_looked_at", error=str(error))
        await asyncio.sleep(EVERY_SECONDS)
