"""The parts that work on one view, made in `__main__` and shared by its loops. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import structlog

    from runtime.ports import Log
    from watcher.api import Api
    from watcher.floor import Floor
    from watcher.known import Known
    from watcher.publish import Publisher
    from watcher.story import Story
    from watcher.view import View


class Intervals(msgspec.Struct, frozen=True, kw_only=True):
    """How often the two checks look, in seconds."""

    resync: float = 600.0
    freshness: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is watched, the two sides, what is known, and who publishes and tells."""

    view: View
    cluster: Api
    log: Log
    known: Known
    floor: Floor
    publisher: Publisher
    story: Story
    say: structlog.typing.FilteringBoundLogger
    """The service's logger."""
