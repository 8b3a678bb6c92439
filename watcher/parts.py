"""The parts that work on one view, made in `__main__` and shared by its loops. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import structlog

    from runtime.ports import Cluster, Log
    from watcher.floor import Floor
    from watcher.known import Known
    from watcher.publish import Publisher
    from watcher.story import Story
    from watcher.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is watched, the two sides, what is known, and who publishes and tells."""

    view: View
    cluster: Cluster
    log: Log
    known: Known
    floor: Floor
    publisher: Publisher
    story: Story
    say: structlog.typing.FilteringBoundLogger
    """The service's logger."""
