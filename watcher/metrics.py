"""What the watcher counts. Labels are resources and closed sets of words, never objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Gauge

from runtime.metrics import REGISTRY

ACTIVE: Final = Gauge(
    "workflowexecution_active_total",
    "Runs that have not ended, of all that this watcher sees: the same in every replica, so take the largest",
    registry=REGISTRY,
)
SEEN: Final = Counter(
    "kubernaut_watch_events_total", "Events that a watch has told", ["resource", "type"], registry=REGISTRY
)
PUBLISHED: Final = Counter(
    "kubernaut_watch_changes_published_total",
    "Changes put on the log: whole, status or tombstone",
    ["resource", "what"],
    registry=REGISTRY,
)
OLD_NEWS: Final = Counter(
    "kubernaut_watch_old_news_total",
    "Versions that the log had already, or newer ones: repeats, other watchers, an API server that went back",
    ["resource"],
    registry=REGISTRY,
)
RESTARTS: Final = Counter(
    "kubernaut_watch_restarts_total", "Watches that ended, by reason", ["resource", "reason"], registry=REGISTRY
)
GAPS: Final = Counter(
    "kubernaut_watch_gaps_total",
    "Times that the view was blind and a list had to close the gap",
    ["resource"],
    registry=REGISTRY,
)
MISSED: Final = Counter(
    "kubernaut_watch_missed_total",
    "Changes that no watch has told and the resync found; anything above 0 is a fault of the API server's cache",
    ["resource"],
    registry=REGISTRY,
)
STALE: Final = Counter(
    "kubernaut_watch_stale_total",
    "Checks that found a watch behind what is stored, or the API server unable to say how far that is",
    ["resource"],
    registry=REGISTRY,
)
UNREADABLE: Final = Counter(
    "kubernaut_watch_unreadable_total", "Objects without a uid or version, left out", ["resource"], registry=REGISTRY
)
OVERSIZED: Final = Counter(
    "kubernaut_watch_oversized_total",
    "Changes too large for the log, told with their metadata only",
    ["resource"],
    registry=REGISTRY,
)
PENDING: Final = Gauge(
    "kubernaut_watch_pending_changes",
    "Changes that were seen and are not on the log yet",
    ["resource"],
    registry=REGISTRY,
)

_ACTIVE_OF: Final[dict[str, Callable[[], int]]] = {}
ACTIVE.set_function(lambda: float(sum(count() for count in _ACTIVE_OF.values())))


def count_active(view: str, count: Callable[[], int]) -> None:
    """Have the runs of a view counted from now on; `count` is asked whenever somebody reads the metrics."""
    _ACTIVE_OF[view] = count
