"""The ports `AuditStore` and `Experience` in memory. Several of them on one `Database` are several processes."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, TypeVar

import msgspec

from auditor.learning import ActionFacts
from auditor.newest import Newest, RowsGoneError
from auditor.ports import BadDataError, Entry, Written
from auditor.reports import Report, StepRun, WorkflowRun, latest
from runtime.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from auditor.rows import Row

T = TypeVar("T", bound=msgspec.Struct)
Place = tuple[str, str, int]


class Database:
    """What outlives the processes."""

    def __init__(self) -> None:
        self.identities: dict[str, tuple[str, int]] = {}
        self.messages: dict[Place, Row] = {}
        self.repeats: dict[Place, Row] = {}
        self.quarantined: dict[Place, str] = {}
        self.runs: dict[str, WorkflowRun] = {}
        self.steps: dict[tuple[str, int], StepRun] = {}


class FakeStore:
    """An `AuditStore` of one process. Faults are switched on by its attributes."""

    def __init__(self, database: Database | None = None) -> None:
        self.database = database or Database()
        self.least = 0
        self.down = False
        """Every call raises UnavailableError; nothing takes effect."""
        self.lose_answers = 0
        """The next so many writes take effect and raise UnavailableError."""
        self.refuses: Callable[[Row], bool] = lambda _row: False
        """Rows that a constraint of the table refuses, whatever is left out of them."""

    async def write(self, entries: Sequence[Entry]) -> Written:
        """See `AuditStore.write`."""
        self._reach()
        for entry in entries:
            if self._is_new(entry.row) and (self.refuses(entry.row) or not _fits_jsonb(entry.row)):
                raise BadDataError(f"message {entry.row.stream_sequence} is refused")
        messages = sum(self._store_message(entry.row) for entry in sorted(entries, key=lambda entry: entry.row.place))
        repeats = sum(self._store_repeat(entry.row) for entry in entries)
        for report in latest([entry.report for entry in entries if entry.report is not None]):
            self._store_report(report)
        if self.lose_answers > 0:
            self.lose_answers -= 1
            raise UnavailableError("no answer to the commit; whether it took place is unknown")
        return Written(messages=messages, repeats=repeats)

    async def quarantine(self, row: Row, reason: str) -> Written:
        """See `AuditStore.quarantine`."""
        self._reach()
        if not self._is_new(row):
            return Written()
        self.database.identities.setdefault(row.event_key, (row.stream, row.stream_sequence))
        self.database.quarantined[row.place] = reason
        return Written(quarantined=1)

    async def facts(self, actions: Sequence[str], most: int) -> list[ActionFacts]:
        """See `Experience.facts`."""
        self._reach()
        by_action = {action: [*filter(_counts, self._newest_first(action))][:most] for action in actions}
        return [_facts(action, steps) for action, steps in sorted(by_action.items()) if steps]

    async def newest_message(self) -> Newest:
        """See `AuditStore.newest_message`."""
        self._reach()
        held = [
            Newest(place[2], row.event_id) for place, row in {**self.database.messages, **self.database.repeats}.items()
        ]
        held += [Newest(place[2]) for place in self.database.quarantined]
        found = max(held, key=lambda each: each.sequence, default=Newest())
        if found.sequence < self.least:
            raise RowsGoneError(found.sequence, self.least)
        return found

    async def tend(self) -> None:
        """See `AuditStore.tend`."""
        self._reach()

    async def close(self) -> None:
        """See `AuditStore.close`."""

    def _newest_first(self, action: str) -> list[StepRun]:
        steps = [step for step in self.database.steps.values() if step.action == action]
        return sorted(steps, key=lambda step: (-(step.ended_ms or 0), step.workflow_uid, step.step_number))

    def _reach(self) -> None:
        if self.down:
            raise UnavailableError("the fake store is switched off")

    def _is_new(self, row: Row) -> bool:
        known = self.database
        first_here = known.identities.get(row.event_key) == (row.stream, row.stream_sequence)
        return not first_here and row.place not in known.repeats and row.place not in known.quarantined

    def _store_message(self, row: Row) -> bool:
        if row.event_key in self.database.identities:
            return False
        self.database.identities[row.event_key] = (row.stream, row.stream_sequence)
        self.database.messages[row.place] = row
        return True

    def _store_repeat(self, row: Row) -> bool:
        if not self._is_new(row):
            return False
        self.database.repeats[row.place] = row
        return True

    def _store_report(self, report: Report) -> None:
        known = self.database.runs.get(report.run.workflow_uid)
        if known is not None and known.decision_version >= report.run.decision_version:
            return
        self.database.runs[report.run.workflow_uid] = _keep_known(
            report.run, known, ("definition_name", "definition_version")
        )
        for step in report.steps:
            place = (step.workflow_uid, step.step_number)
            before = self.database.steps.get(place)
            self.database.steps[place] = _keep_known(step, before, ("name", "action", "critical"))


def _keep_known(new: T, old: T | None, fields: tuple[str, ...]) -> T:
    kept = {name: getattr(old, name) for name in fields if getattr(new, name) is None and old is not None}
    return msgspec.structs.replace(new, **kept)


def _counts(step: StepRun) -> bool:
    ended = step.started_ms is not None and step.ended_ms is not None
    return ended and step.status in {"completed", "failed", "rolled_back"}


def _facts(action: str, steps: Sequence[StepRun]) -> ActionFacts:
    times = sorted(max(0, (step.ended_ms or 0) - (step.started_ms or 0)) for step in steps)
    return ActionFacts(
        action=action,
        executions=sum(max(step.attempts, 1) for step in steps),
        succeeded=sum(step.status != "failed" for step in steps),
        p50_ms=times[math.ceil(len(times) * 0.5) - 1],
        p95_ms=times[math.ceil(len(times) * 0.95) - 1],
        newest_ms=max(step.ended_ms or 0 for step in steps),
    )


def _fits_jsonb(row: Row) -> bool:
    if not row.is_json:
        return True
    try:
        json.loads(row.raw)
    except ValueError:
        return False
    return b"\\u0000" not in row.raw
