"""Tells a repeat and a gap by the ordinals of each workflow's events. Pure; its memory is bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal

REMEMBERED: Final = 10_000
"""Workflows whose last ordinal is kept; of the one that was quiet the longest, the next event is taken as it comes."""

Found = tuple[int, int] | Literal["new", "repeated"]


class Ordinals:
    """The last ordinal of each workflow."""

    def __init__(self, *, whole: bool, from_first: bool, limit: int = REMEMBERED) -> None:
        """`whole`: every event of a workflow is read; `from_first`: from its first on."""
        self._whole = whole
        self._from_first = from_first and whole
        self._limit = limit
        self._last: OrderedDict[str, int] = OrderedDict()

    def take(self, workflow: str, ordinal: int) -> Found:
        """Take in an event: it is new, or was taken before, or the first and last ordinal before it are missing."""
        last = self._last.get(workflow)
        if last is not None and ordinal <= last:
            return "repeated"
        if last is None and self._from_first:
            last = -1
        self._last[workflow] = ordinal
        self._last.move_to_end(workflow)
        if len(self._last) > self._limit:
            self._last.popitem(last=False)
            self._from_first = False  # a workflow that is not remembered may be an old one
        if last is None or not self._whole or ordinal == last + 1:
            return "new"
        return last + 1, ordinal - 1
