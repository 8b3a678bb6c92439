"""The log and the audit as each other's witnesses: each must still hold what the other has taken from it.

Must never go on when one of the two contradicts the other: a batch that is written then would hide what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditor import metrics
from auditor.newest import RowsGoneError
from runtime.continuity import AuditGap
from schemas.subjects import AUDITOR, LOG

if TYPE_CHECKING:
    from auditor.ports import AuditStore
    from runtime.nats_continuity import Continuity
    from runtime.ports import Log

_SOURCE: Final = "the audit"


class Memory:
    """Compares the two, at the start and again and again."""

    def __init__(self, log: Log, continuity: Continuity) -> None:
        """`continuity`: tells all services what was found."""
        self._log = log
        self._continuity = continuity
        self._started = False

    async def compare(self, store: AuditStore) -> None:
        """Return when neither lacks what the other holds. Raises UnavailableError that says which one does."""
        if not self._started:
            store.least = max(store.least, await self._acknowledged(), self._continuity.gap.expected)
            self._started = True
        try:
            newest = await store.newest_message()
        except RowsGoneError as error:
            await self.gone(error)
            raise
        metrics.ROWS_GONE.set(0)
        await self._continuity.tell_gap(AuditGap())
        if newest.sequence:
            await self._continuity.remind(newest.sequence, newest.event_id, _SOURCE)

    async def gone(self, error: RowsGoneError) -> None:
        """Tell all services that rows are gone, so that none takes a run for audited."""
        metrics.ROWS_GONE.set(error.expected - error.held)
        await self._continuity.tell_gap(AuditGap(held=error.held, expected=error.expected))

    async def _acknowledged(self) -> int:
        """What was acknowledged was committed. What the log does not hold any more cannot be asked for again."""
        done = await self._log.acknowledged(AUDITOR)
        return done if done and await self._log.get(LOG.name, done) is not None else 0
