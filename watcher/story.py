"""The watcher's own story on the log: from which version it watches, when it was blind, what a list brought.

All times in it are the broker's. A `gap` is told when it is noticed, before the list that closes it; `relisted`, told
after that list, holds both ends: from the last message that proves that the view was whole, to the `gap` message. The
list is newer than that, so from then on the log tells the truth again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.backoff import Backoff
from runtime.errors import ConflictError, KubernautError, UnavailableError
from schemas.cloudevents import Event
from schemas.messages import TYPE_OF, encode
from schemas.names import digest
from schemas.subjects import LOG, watch_story
from watcher.changes import SOURCE, claim
from watcher.pace import LOG_MOST

if TYPE_CHECKING:
    import structlog

    from runtime.ports import Log
    from schemas.messages import WatchTold
    from watcher.view import View


class Story:
    """Tells what one view sees."""

    def __init__(self, log: Log, view: View, teller: str, say: structlog.typing.FilteringBoundLogger) -> None:
        """`teller`: names this process, so that two watchers never tell under one id."""
        self._log = log
        self._view = view
        self._teller = teller
        self._say = say

    async def tell(self, told: WatchTold, *, floor: int) -> int:
        """Put it on the log, however long that takes; return its sequence."""
        backoff = Backoff(most=LOG_MOST)
        while True:
            try:
                return await self._tell(told, floor)
            except ConflictError:
                pass
            except KubernautError as error:
                self._say.warning("story_delayed", what=told.what, reason=str(error))
            await asyncio.sleep(backoff.next())

    async def mention(self, told: WatchTold, *, floor: int) -> int:
        """Put it on the log if that can be done at once; return its sequence, 0 when it could not."""
        try:
            return await self._tell(told, floor)
        except KubernautError as error:
            self._say.warning("story_left_out", what=told.what, reason=str(error))
            return 0

    async def time_of(self, sequence: int) -> int:
        """Return the broker's time of a message in ms; 0 when it is not there any more or cannot be read now."""
        try:
            stored = await self._log.get(LOG.name, sequence) if sequence else None
        except UnavailableError:
            return 0
        return stored.time_ms if stored else 0

    async def _tell(self, told: WatchTold, floor: int) -> int:
        subject = watch_story(self._view.plural)
        last = await self._log.last(LOG.name, subject)
        after = last.sequence if last else 0
        # One more chapter after the last: the id is new with each, and a repeat of the same publish has the same.
        own = digest("story", self._teller, self._view.scope, self._view.shard, told.what, characters=12)
        event = Event(
            subject=subject,
            id=f"{self._view.plural}/story/{after}/{own}",
            type=TYPE_OF[type(told)],
            source=SOURCE,
            data=encode(told),
            extensions=claim(self._view, floor),
        )
        return (await self._log.publish(event, expect=after)).sequence
