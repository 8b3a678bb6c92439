"""What any AuditStore does; each test runs on the fake and on a real PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from auditor.learning import ActionFacts
from auditor.ports import BadDataError, Entry, Written
from auditor.reports import Definition, StepDefinition, finished, report
from auditor.rows import read
from tests.auditor.builders import (
    TIME_MS,
    UID,
    a_decision,
    a_finished_state,
    a_run,
    a_status_change,
    a_step,
    a_workflow_change,
    entries,
    poison,
    stored,
)

if TYPE_CHECKING:
    from schemas.run_state import StepState
    from tests.auditor.accounts import Audit

DEFINED = Definition("memory-leak", "3", (StepDefinition(1, "scale up", "scale_deployment"),))


def a_report(version: int, defined: Definition, *, gone: bool = False) -> Entry:
    """Return the entry of a decision that ends a run."""
    row = read(stored(a_decision(version, state=a_finished_state(gone=gone)), sequence=version))
    decision = finished(row)
    assert decision is not None
    return Entry(row, report(decision, version, defined))


async def test_messages_are_stored_once(audit: Audit) -> None:
    """A message that is delivered again leaves no second trace, in the same process or in another."""
    batch = entries(stored(a_workflow_change(), 1), stored(a_status_change(2), 2), poison(b"\xff", 3))

    written = [await audit.store().write(batch), await audit.store().write(batch)]

    assert [Written(messages=3), Written()] == written
    assert [(1, "message"), (2, "message"), (3, "message")] == await audit.accounted()


async def test_an_id_that_is_twice_in_the_log_becomes_a_repeat(audit: Audit) -> None:
    """Every sequence of the log is accounted for, also where an event id is there again."""
    store, event = audit.store(), a_status_change(2)

    written = [
        await store.write(entries(stored(event, 4))),
        await store.write(entries(stored(event, 9), stored(a_status_change(3), 10))),
        await store.write(entries(stored(event, 9))),
    ]

    assert [Written(messages=1), Written(messages=1, repeats=1), Written()] == written
    assert [(4, "message"), (9, "repeat"), (10, "message")] == await audit.accounted()


async def test_of_two_messages_with_one_id_in_a_batch_the_first_of_the_log_is_the_message(audit: Audit) -> None:
    """Whatever the order in the batch, the lower sequence is the message and the higher the repeat."""
    event = a_status_change(2)

    written = await audit.store().write(entries(stored(event, 9), stored(event, 4)))

    assert Written(messages=1, repeats=1) == written
    assert [(4, "message"), (9, "repeat")] == await audit.accounted()


async def test_a_refused_row_keeps_its_batch_from_being_stored(audit: Audit) -> None:
    """A batch is stored whole or not at all; the store can be used after a refusal."""
    store = audit.store()
    bad = Entry(msgspec.structs.replace(read(poison(b"{", 2)), is_json=True))

    with pytest.raises(BadDataError):
        await store.write([*entries(stored(a_status_change(1), 1)), bad])

    assert [] == await audit.accounted()
    assert Written(messages=1) == await store.write([Entry(bad.row.without_body())])


async def test_a_quarantined_message_is_kept_once_and_stays_there(audit: Audit) -> None:
    """A message in quarantine is accounted for there and nowhere else, however often it is delivered."""
    store, entry = audit.store(), entries(stored(a_status_change(2), 5))[0]

    written = [
        await store.quarantine(entry.row, "refused"),
        await store.quarantine(entry.row, "refused"),
        await store.write([entry]),
    ]

    assert [Written(quarantined=1), Written(), Written()] == written
    assert [(5, "quarantine")] == await audit.accounted()


async def test_what_is_stored_already_is_not_quarantined(audit: Audit) -> None:
    """A message that was stored by somebody else meanwhile stays where it is."""
    store, entry = audit.store(), entries(stored(a_status_change(2), 5))[0]
    await store.write([entry])

    written = await store.quarantine(entry.row, "refused")

    assert Written() == written
    assert [(5, "message")] == await audit.accounted()


async def test_a_repeat_can_be_quarantined_too(audit: Audit) -> None:
    """The second message with an id is accounted for in the quarantine, and only there."""
    store, event = audit.store(), a_status_change(2)
    first, second = entries(stored(event, 5), stored(event, 6))
    await store.write([first])

    written = [await store.quarantine(second.row, "refused"), await store.write([second])]

    assert [Written(quarantined=1), Written()] == written
    assert [(5, "message"), (6, "quarantine")] == await audit.accounted()


async def test_a_finished_workflow_has_one_row_and_one_for_each_step(audit: Audit) -> None:
    """The report is written together with its message."""
    await audit.store().write([a_report(4, DEFINED)])

    assert [(UID, 4, "memory-leak", "completed")] == await audit.runs()
    assert [(UID, 1, "scale_deployment", "completed"), (UID, 2, None, "failed")] == await audit.steps()


@pytest.mark.parametrize("order", [(4, 6), (6, 4), (4, 6, 4)], ids=str)
async def test_the_latest_decision_decides_whatever_the_order(audit: Audit, order: tuple[int, ...]) -> None:
    """A report of an earlier decision never replaces that of a later one."""
    store = audit.store()

    for version in order:
        await store.write([a_report(version, DEFINED)])

    assert [(UID, 6, "memory-leak", "completed")] == await audit.runs()


async def test_a_later_decision_without_the_definition_keeps_the_names(audit: Audit) -> None:
    """A deletion told after the definition has left the log does not wipe what was known."""
    store = audit.store()

    await store.write([a_report(4, DEFINED)])
    await store.write([a_report(5, Definition(), gone=True)])

    assert [(UID, 5, "memory-leak", "completed")] == await audit.runs()
    assert [(UID, 1, "scale_deployment", "completed"), (UID, 2, None, "failed")] == await audit.steps()


async def test_two_reports_of_one_workflow_fit_in_one_batch(audit: Audit) -> None:
    """The end of a run and its deletion may be in the same batch."""
    written = await audit.store().write([a_report(4, DEFINED), a_report(5, DEFINED)])

    assert Written(messages=2) == written
    assert [(UID, 5, "memory-leak", "completed")] == await audit.runs()


async def test_a_run_that_was_refused_in_planning_has_a_row_and_no_steps(audit: Audit) -> None:
    """It ended before it had any; a batch with nothing but such runs is stored like any other."""
    row = read(stored(a_decision(1, state=a_finished_state(phase="failed", steps=())), sequence=1))
    decision = finished(row)
    assert decision is not None

    written = await audit.store().write([Entry(row, report(decision, 1, DEFINED))])

    assert Written(messages=1) == written
    assert [(1, "message")] == await audit.accounted()


async def test_a_store_can_be_tended_at_any_time(audit: Audit) -> None:
    """Tending twice is as good as once, before and after the first write."""
    store = audit.store()

    await store.tend()
    await store.write(entries(stored(a_status_change(2))))
    await store.tend()

    assert [(1, "message")] == await audit.accounted()


async def test_a_run_that_ended_again_after_its_rollback_is_reported_as_it_ended_last(audit: Audit) -> None:
    """A failed run that is rolled back on demand fails a second time: the newest end wins, whatever the order."""
    store = audit.store()
    first = a_run(UID, a_step(1), a_step(2, phase="failed"), version=4)
    again = a_run(UID, a_step(1, phase="rolled_back"), a_step(2, phase="failed"), version=9)

    await store.write([again])
    await store.write([first])

    assert [(UID, 9, "a-run", "completed")] == await audit.runs()
    assert [(UID, 1, "restart_pod", "rolled_back"), (UID, 2, "restart_pod", "failed")] == await audit.steps()


async def test_finished_steps_show_how_an_action_does(audit: Audit) -> None:
    """Executions, retries included, those that succeeded, the median and the 95th percentile of their times."""
    store = audit.store()
    quick = [a_step(number, number / 10) for number in range(1, 20)]
    await store.write([a_run("a", *quick, a_step(20, 60.0, "failed", attempts=3))])

    facts = await store.facts(["restart_pod"], 500)

    expected = ActionFacts(
        action="restart_pod", executions=22, succeeded=19, p50_ms=1000, p95_ms=1900, newest_ms=TIME_MS
    )
    assert [expected] == facts


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        pytest.param(a_step(phase="completed"), (1, 1), id="a completed step"),
        pytest.param(a_step(phase="failed"), (1, 0), id="a failed one, timed out and deleted ones included"),
        pytest.param(a_step(phase="rolled_back"), (1, 1), id="one that had succeeded before it was undone"),
        pytest.param(a_step(phase="skipped"), None, id="a skipped one does not count"),
        pytest.param(a_step(phase="cancelled"), None, id="a cancelled one does not count"),
        pytest.param(a_step(0, 0.0, "failed"), None, id="one that never started does not count"),
    ],
)
async def test_which_steps_count(audit: Audit, step: StepState, expected: tuple[int, int] | None) -> None:
    """Only what was carried out to its end says something about the action."""
    store = audit.store()
    await store.write([a_run("a", step)])

    facts = await store.facts(["restart_pod"], 500)

    assert ([expected] if expected else []) == [(one.executions, one.succeeded) for one in facts]


async def test_only_the_newest_steps_of_each_action_are_looked_at(audit: Audit) -> None:
    """What was long ago is forgotten; each action has its own newest ones."""
    store = audit.store()
    old = [a_step(number, 100.0, "failed", at=TIME_MS) for number in range(1, 6)]
    new = [a_step(number, 2.0, at=TIME_MS + number) for number in range(1, 4)]
    await store.write(
        [a_run("old", *old), a_run("new", *new), a_run("other", a_step(at=TIME_MS - 1), action="drain_node")]
    )

    facts = await store.facts(["drain_node", "restart_pod", "expand_pvc"], 3)

    assert [("drain_node", 1, 1, 1000), ("restart_pod", 3, 3, 2000)] == [
        (one.action, one.executions, one.succeeded, one.p95_ms) for one in facts
    ]


async def test_steps_that_ended_at_one_moment_are_looked_at_in_one_order(audit: Audit) -> None:
    """Two auditors that see the same rows learn the same."""
    store = audit.store()
    runs = [a_run(uid, a_step(1, seconds)) for uid, seconds in (("c", 3.0), ("a", 1.0), ("b", 2.0))]
    for run in runs:
        await store.write([run])

    (facts,) = await store.facts(["restart_pod"], 2)

    assert (2, 1000, 2000) == (facts.executions, facts.p50_ms, facts.p95_ms)
