"""What the services count of themselves, held against the facts: never more than there are, and all in a calm run.

A process that is killed, or that never gets its answer, may take what it has not counted with it; nothing else may.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import auditor.metrics
import executor_bridge.metrics
import scheduler.metrics
import watcher.metrics
from runtime.subject_match import covers
from schemas import subjects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.world import World

COUNTERS: Final[dict[str, Any]] = {
    "changes": watcher.metrics.PUBLISHED,
    "decisions": scheduler.metrics.DECISIONS,
    "decisions of the queue": scheduler.metrics.QUEUE_DECISIONS,
    "runs begun": scheduler.metrics.RUNS_STARTED,
    "runs ended": scheduler.metrics.RUNS,
    "wake-ups of the sweep": scheduler.metrics.SWEPT,
    "checks": executor_bridge.metrics.CHECKS,
    "refusals": executor_bridge.metrics.REFUSALS,
    "rows": auditor.metrics.ROWS,
}
_WORKFLOW: Final = re.compile(r"w\d+")
"""Who a request of a person is about; `watcher-1` is a process, and may die between a publish and its count."""
CALM: Final = frozenset(
    {"cut_watch", "lag_watch", "compact", "skip_versions", "sick", "skew", "repeat_watch", "shuffle"}
)
"""Kinds of faults by which no process dies, and no answer gets lost or late."""


class Counters:
    """The registry outlives a run: what counts is by how much it rose."""

    def __init__(self) -> None:
        self._before = _now()

    def wrong(self, world: World) -> Iterator[str]:
        """Say what was counted more often than it happened; in a calm run also what less often."""
        calm = all(fault.kind in CALM or _WORKFLOW.fullmatch(fault.who) for fault in world.scenario.faults)
        facts, counted = _facts(world), _now()
        for name, before in self._before.items():
            rose = round(counted[name] - before)
            if rose > facts[name] or (calm and rose < facts[name]):
                yield f"P22: the services count {rose} {name}, and there are {facts[name]}"


def _now() -> dict[str, float]:
    """Return the sum over the labels of each."""
    return {
        name: sum(sample.value for metric in counter.collect() for sample in metric.samples if _counts(sample.name))
        for name, counter in COUNTERS.items()
    }


def _counts(sample: str) -> bool:
    return sample.endswith("_total")


def _facts(world: World) -> Counter[str]:
    """Count what the log and the database hold."""
    facts = Counter(dict.fromkeys(COUNTERS, 0))
    for message in world.broker.stored(subjects.LOG.name):
        facts[_kind(message.subject, message.headers.get("ce-id", ""))] += 1
    runs = world.oracle.runs.values()
    facts["runs begun"] = sum(run.last is not None for run in runs)
    facts["runs ended"] = sum(run.ended for run in runs)
    facts["wake-ups of the sweep"] = world.oracle.swept
    facts["rows"] = len(world.database.messages)
    return facts


def _kind(subject: str, identity: str) -> str:
    if subject == subjects.decision(subjects.QUEUE):
        return "decisions of the queue"
    if covers("kubernaut.decision.*", subject):
        return "decisions"
    if covers("kubernaut.change.>", subject):
        return "changes"
    return {"checked": "checks", "refused": "refusals"}.get(identity.rpartition("/")[2], "")
