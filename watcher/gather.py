"""What a view starts from, read from the log alone: what is known of each object, and where to go on watching."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.subjects import LOG, watch_story
from watcher.known import Known, floor_of

if TYPE_CHECKING:
    from runtime.ports import Log, Stored
    from watcher.publish import Correlations
    from watcher.view import View


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """What the log says about a view."""

    known: Known
    floor: int = 0
    """Largest version up to which a message of the same view says that everything is in the log; 0: none says so."""
    proof: int = 0
    """Sequence of the message that says so, else of the newest change; 0 for an empty log."""


async def recall(log: Log, view: View, correlations: Correlations) -> Recalled:
    """Read back the last message of every object of a view, and the view's own story.

    Takes the correlations of workflows into `correlations`. Raises UnavailableError.
    """
    known = Known(view)
    floor = proof = newest = 0
    # What is known of an object stands in the headers; the bodies are the objects, of up to 1.5 MB each.
    async for stored in log.scan(LOG.name, view.changes, last_per_subject=True, headers_only=True):
        if not known.take(stored):
            await _look_behind(log, stored, known)
        newest = stored.sequence
        claimed = floor_of(view, stored)
        if claimed > floor:
            floor, proof = claimed, stored.sequence
    async for stored in log.scan(LOG.name, watch_story(view.plural), last_per_subject=True):
        claimed = floor_of(view, stored)
        if claimed > floor:
            floor, proof = claimed, stored.sequence
    if view.of_workflows:
        for uid, entry in known.entries.items():
            if entry.correlation not in {"", uid}:
                correlations[uid] = entry.correlation
    return Recalled(known=known, floor=floor, proof=proof or newest)


async def learn(log: Log, view: View, known: Known) -> None:
    """Take in what other watchers have put on the log, before anything is said of what is gone.

    What only they have told stands in no memory here: a list that has not got it would bury nothing, and the floor of
    that list would promise that nothing is missing. Raises UnavailableError.
    """
    async for stored in log.scan(LOG.name, view.changes, last_per_subject=True, headers_only=True):
        if not known.take(stored):
            await _look_behind(log, stored, known)


async def _look_behind(log: Log, stray: Stored, known: Known) -> None:
    """Take in what somebody else's message hides by being the last on its subject."""
    async for stored in log.scan(LOG.name, stray.subject, headers_only=True):
        known.take(stored)
