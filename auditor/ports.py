"""The port to where the audit is kept. The real store and the fake keep the same contract. Names no library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from auditor.learning import ActionFacts
from auditor.newest import Newest
from auditor.reports import Report
from auditor.rows import Row
from runtime.errors import KubernautError


class BadDataError(KubernautError):
    """Something in what was to be written can never be stored as it is; nothing of it was stored."""


class Entry(msgspec.Struct, frozen=True):
    """What is written because of one message."""

    row: Row
    report: Report | None = None


class Written(msgspec.Struct, frozen=True):
    """How many rows were added. What was there already counts nowhere."""

    messages: int = 0
    repeats: int = 0
    quarantined: int = 0

    def __add__(self, other: Written) -> Written:
        """Add up."""
        return Written(
            self.messages + other.messages, self.repeats + other.repeats, self.quarantined + other.quarantined
        )


class AuditStore(Protocol):
    """Where the audit is kept. Each call has a time limit of its own and is durable once it returns."""

    least: int
    """Highest sequence of the log that must be there, as far as is known; with less, nothing is written or read."""

    async def write(self, entries: Sequence[Entry]) -> Written:
        """Store the entries in one transaction: all of them or, when an error is raised, perhaps none.

        A message is known by its event id, stream and sequence; one that is stored already is left as it is. The same
        event id at another place of the log becomes a repeat. Raises BadDataError (nothing was stored; the same call
        will fail again) or UnavailableError (whether it was stored is unknown; try again).
        """
        ...

    async def quarantine(self, row: Row, reason: str) -> Written:
        """Store a message as bytes, with the reason, under the same rules. Raises UnavailableError."""
        ...

    async def newest_message(self) -> Newest:
        """Return the newest message of the log that is there. Raises RowsGoneError, or another UnavailableError."""
        ...

    async def tend(self) -> None:
        """Make sure that the store can be written to, and prepare it for the time to come. Raises UnavailableError."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class Experience(Protocol):
    """What the audit knows of finished steps."""

    async def facts(self, actions: Sequence[str], most: int) -> list[ActionFacts]:
        """Return what the newest `most` finished steps of each of these actions show; actions without any are left out.

        Skipped and cancelled steps do not count. Raises UnavailableError, or BadDataError when a row makes no sense.
        """
        ...
