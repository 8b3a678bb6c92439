from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.apply import apply
from auditor.ports import Written
from tests.auditor.accounts import FakeAudit
from tests.auditor.builders import TIME_MS, a_status_change, entries, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.ports import Stored
    from tests.auditor.accounts import Audit, Connection, RealAudit

deliveries = st.lists(
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 3)), min_size=1, max_size=12), min_size=1, max_size=6
)
"""Batches of (number of the event, which publication of it)."""


def publication(event: int, copy: int) -> Stored:
    """Return copy 1, 2 or 3 of an event; the copies are at different places of the log."""
    return stored(a_status_change(event), event * 10 + copy, TIME_MS + event)


@settings(deadline=None)
@given(deliveries)
async def test_any_deliveries_account_for_each_message_once(batches: list[list[tuple[int, int]]]) -> None:
    """Whatever is delivered in whatever order and how often: one row a message of the log, one message row an id."""
    await _check(FakeAudit(), batches)


@pytest.mark.real
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries)
async def test_any_deliveries_account_for_each_message_once_in_postgresql(
    real_audit: RealAudit, database: Connection, batches: list[list[tuple[int, int]]]
) -> None:
    """The same holds in PostgreSQL."""
    await database.execute("TRUNCATE audit_identity, audit_message, audit_repeat, audit_quarantine")

    await _check(real_audit, batches)


async def _check(audit: Audit, batches: Sequence[Sequence[tuple[int, int]]]) -> None:
    store, written = audit.store(), Written()

    for batch in batches:
        written += await apply(store, entries(*(publication(event, copy) for event, copy in batch)))

    delivered = {pair for batch in batches for pair in batch}
    events = {event for event, _ in delivered}
    accounted = await audit.accounted()
    assert sorted(event * 10 + copy for event, copy in delivered) == [sequence for sequence, _ in accounted]
    assert Written(messages=len(events), repeats=len(delivered) - len(events)) == written
    assert sorted(events) == sorted(sequence // 10 for sequence, kept_in in accounted if kept_in == "message")
