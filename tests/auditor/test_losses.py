"""What the log lost before the audit had it: a finding, until somebody has accepted it; then his name stands there."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest

from auditor.archive import Kept
from auditor.checking import Checking, Finding, Findings
from auditor.records import ABSENT, event_key, fields_of
from auditor.rows import read
from runtime.ports import Stored
from schemas.messages import TYPE_OF, LossAccepted, encode

ACCEPTED = LossAccepted(by="alice@desk", reason="stream KUBERNAUT was made anew", lost_after=2, lost_before=10)
IN_2026 = 1_780_000_000_000


def a_row(sequence: int, body: LossAccepted | None = None) -> Kept:
    """A row of the audit; with a body it says that a loss was accepted."""
    headers = {"ce-specversion": "1.0", "ce-id": f"m/{sequence}", "ce-source": "/test", "ce-type": "io.example.told.v1"}
    if body is not None:
        headers["ce-type"] = TYPE_OF[LossAccepted]
    data = b"{}" if body is None else encode(body)
    stored = Stored(
        stream="KUBERNAUT", sequence=sequence, time_ms=IN_2026, subject="kubernaut.test", headers=headers, data=data
    )
    row = read(stored)
    assert hashlib.sha256(data).digest() == row.sha256
    return Kept(kept_in="message", event_key=event_key(f"m/{sequence}"), fields=fields_of(row), raw=data)


def found(*rows: Kept, lost: range, last: int) -> tuple[list[Finding], list[str]]:
    """What a pass over these rows finds when the log is known to have lost some sequences."""
    findings = Findings()
    checking = Checking(1, lambda sequence: ABSENT if sequence in lost else None, findings, "what was sealed")
    for row in rows:
        checking.take(row)
    checking.end(last)
    notes = findings.settle()
    assert findings.count == len(findings.first)
    return findings.first, notes


def test_a_loss_that_nobody_accepted_is_one_finding() -> None:
    """However many messages there were."""
    findings, notes = found(a_row(1), a_row(2), a_row(10), lost=range(3, 10), last=10)

    assert ([Finding(3, "the log lost messages 3 to 9 before the audit had it")], []) == (findings, notes)


def test_a_loss_that_somebody_accepted_is_told_with_his_name_and_the_day() -> None:
    """It stands behind what was lost."""
    findings, notes = found(a_row(1), a_row(2), a_row(10, ACCEPTED), lost=range(3, 10), last=10)

    expected = (
        "the log lost messages 3 to 9: stream KUBERNAUT was made anew; alice@desk accepted that on 2026-05-28 20:26 UTC"
    )
    assert ([], [expected]) == (findings, notes)


@pytest.mark.parametrize(
    "accepted",
    [
        pytest.param(msgspec.structs.replace(ACCEPTED, lost_after=3), id="more is lost before it"),
        pytest.param(msgspec.structs.replace(ACCEPTED, lost_before=9), id="more is lost behind it"),
    ],
)
def test_more_than_was_accepted_is_a_finding(accepted: LossAccepted) -> None:
    """Nobody gets a hole of his own waved through with another's."""
    findings, notes = found(a_row(1), a_row(2), a_row(10, accepted), lost=range(3, 10), last=10)

    assert ([3], []) == ([each.sequence for each in findings], notes)


def test_a_row_that_is_missing_is_not_what_was_accepted() -> None:
    """The log had the message, and the audit is to have it."""
    findings, notes = found(a_row(1), a_row(10, ACCEPTED), lost=range(3, 10), last=10)

    assert [Finding(2, "its row is missing")] == findings
    assert 1 == len(notes)


def test_an_acceptance_that_says_nothing_is_a_finding() -> None:
    """A message of that type with another body."""
    odd = json.dumps({"by": "mallory"}).encode()
    row = a_row(4, ACCEPTED)
    fields = row.fields | {"sha256": hashlib.sha256(odd).hexdigest()}

    findings, _ = found(
        a_row(1), a_row(2), a_row(3), msgspec.structs.replace(row, raw=odd, fields=fields), lost=range(0), last=4
    )

    assert [Finding(4, "it does not say which loss was accepted")] == findings


def test_many_single_losses_are_counted_without_remembering_each() -> None:
    """Every second message is gone, a few thousand times."""
    findings = Findings()
    for sequence in range(1, 5000, 2):
        findings.lose(sequence)

    assert ([], 2500) == (findings.settle(), findings.count)
