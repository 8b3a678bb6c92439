"""The auditor's loops on the log in memory; where the store matters, on the fake and on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from auditor import metrics
from schemas import subjects
from tests.auditor.builders import UID, a_decision, a_status_change, a_workflow_change
from tests.auditor.running import Halting, Running, count, until
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from tests.auditor.accounts import Audit, FakeAudit

ACK_WAIT = subjects.AUDITOR.ack_wait_seconds + 1.0


async def a_log(messages: int, clock: ManualClock | None = None) -> FakeLog:
    """Return a log that holds so many messages."""
    log = FakeLog(clock=clock or ManualClock())
    for number in range(1, messages + 1):
        await log.publish(a_status_change(number))
    return log


async def test_every_message_is_stored_and_then_acknowledged(audit: Audit) -> None:
    """What is in the log gets into the audit, each message once, and is acknowledged."""
    log = await a_log(1200)
    before = count(metrics.ROWS)

    async with Running(log, audit.store()) as auditor:
        await until(lambda: len(log.acked) == 1200)

        assert auditor.health.well
    assert [(number, "message") for number in range(1, 1201)] == await audit.accounted()
    assert 1200 == count(metrics.ROWS) - before


@pytest.mark.parametrize("where", ["before commit", "after commit, before ack"])
async def test_a_process_killed_around_the_commit_changes_nothing(audit: Audit, where: str) -> None:
    """Whatever was not acknowledged comes again to the next process, and is stored once all the same."""
    clock = ManualClock()
    log = await a_log(40, clock)
    halting = Halting(audit.store(), where)
    async with Running(log, halting) as first:
        await until(halting.reached.is_set)
        await first.kill()

    successor = FakeLog(log.broker)
    async with Running(successor, audit.store()):
        clock.advance(ACK_WAIT)
        await until(lambda: len(successor.acked) == 40)

    assert ([], 40) == (log.acked, len(set(successor.acked)))
    assert [(number, "message") for number in range(1, 41)] == await audit.accounted()


async def test_acknowledgements_that_get_lost_change_nothing(audit: Audit) -> None:
    """A message that comes again after its acknowledgement was lost is acknowledged again and stored once."""
    clock = ManualClock()
    log = await a_log(30, clock)
    log.lose_acks = 30

    async with Running(log, audit.store()):
        await until(lambda: log.lose_acks == 0)
        clock.advance(ACK_WAIT)
        await until(lambda: len(log.acked) == 30)

    assert [(number, "message") for number in range(1, 31)] == await audit.accounted()


async def test_two_auditors_share_the_work(audit: Audit) -> None:
    """Two processes on one log and one database store each message once."""
    log = await a_log(1200)
    other = FakeLog(log.broker)

    async with Running(log, audit.store()), Running(other, audit.store()):
        await until(lambda: len(log.acked) + len(other.acked) == 1200)

    assert [(number, "message") for number in range(1, 1201)] == await audit.accounted()


async def test_a_commit_without_an_answer_is_found_out(fake_audit: FakeAudit) -> None:
    """When the answer to a commit is lost the batch is tried again, and stored once."""
    log, store = await a_log(10), fake_audit.store()
    store.lose_answers = 2

    async with Running(log, store):
        await until(lambda: len(log.acked) == 10)

    assert [(number, "message") for number in range(1, 11)] == await fake_audit.accounted()


async def test_without_the_store_nothing_is_acknowledged_and_nothing_is_lost(fake_audit: FakeAudit) -> None:
    """A database that is away makes the auditor wait, unready and with the reason told, and go on when it is back."""
    log, store = await a_log(10), fake_audit.store()
    store.down = True
    before = count(metrics.FAILURES)

    async with Running(log, store) as auditor:
        await until(lambda: count(metrics.FAILURES) - before > 5)
        assert (False, "the fake store is switched off", []) == (
            auditor.health.well,
            auditor.health.detail,
            log.acked,
        )

        store.down = False
        await until(lambda: len(log.acked) == 10)
        assert auditor.health.well

    assert [(number, "message") for number in range(1, 11)] == await fake_audit.accounted()


async def test_told_to_stop_it_stores_what_is_in_hand(fake_audit: FakeAudit) -> None:
    """After the order to stop, what was read is stored and acknowledged before the process ends."""
    log = await a_log(10)

    async with Running(log, fake_audit.store(), linger=60.0) as auditor:
        await until(lambda: auditor.health.well)
        await until(lambda: auditor.waiting == 10)
        await auditor.stop()

    assert list(range(1, 11)) == sorted(log.acked)
    assert [(number, "message") for number in range(1, 11)] == await fake_audit.accounted()


async def test_told_to_stop_without_the_store_it_gives_back_what_is_in_hand(fake_audit: FakeAudit) -> None:
    """Another process gets the messages at once, not after the time for an acknowledgement."""
    log, store = await a_log(10), fake_audit.store()
    store.down = True
    before = count(metrics.FAILURES)
    async with Running(log, store) as auditor:
        await until(lambda: count(metrics.FAILURES) - before > 2)
        await auditor.stop()

    other = FakeLog(log.broker)
    async with Running(other, fake_audit.store()):
        await until(lambda: len(other.acked) == 10)

    assert [] == log.acked


async def test_a_finished_workflow_is_reported_with_its_definition(audit: Audit) -> None:
    """The names in a report come from the workflow's change in the log."""
    log = FakeLog(clock=ManualClock())
    for event in (a_workflow_change(), a_status_change(3), a_decision(4)):
        await log.publish(event)

    async with Running(log, audit.store()):
        await until(lambda: len(log.acked) == 3)

    assert [(UID, 4, "memory-leak", "completed")] == await audit.runs()
    assert [(UID, 1, "scale_deployment", "completed"), (UID, 2, "notify_only", "failed")] == await audit.steps()


async def test_a_report_does_not_depend_on_the_order_of_delivery(fake_audit: FakeAudit) -> None:
    """The definition is found although its message was handled by another process, or will be later."""
    log = FakeLog(clock=ManualClock())
    await log.publish(a_workflow_change())
    taken = FakeLog(log.broker).consume(subjects.AUDITOR, in_hand=1)
    await anext(taken)
    await log.publish(a_decision(4))

    async with Running(log, fake_audit.store()):
        await until(lambda: len(log.acked) == 1)

    await taken.aclose()
    assert [(UID, 4, "memory-leak", "completed")] == await fake_audit.runs()


async def test_a_report_waits_for_the_log(fake_audit: FakeAudit) -> None:
    """While the definition cannot be read nothing is stored without it; afterwards all is."""
    log = FakeLog(clock=ManualClock())
    for event in (a_workflow_change(), a_decision(4)):
        await log.publish(event)
    log.unavailable = True
    before = count(metrics.FAILURES)

    async with Running(log, fake_audit.store()):
        await until(lambda: count(metrics.FAILURES) - before > 2)
        assert [] == log.acked
        log.unavailable = False
        await until(lambda: len(log.acked) == 2)

    assert [(UID, 4, "memory-leak", "completed")] == await fake_audit.runs()


async def test_a_report_without_a_definition_in_the_log_is_made_all_the_same(fake_audit: FakeAudit) -> None:
    """A definition that retention took away costs the names, not the report."""
    log = FakeLog(clock=ManualClock())
    await log.publish(a_decision(4))

    async with Running(log, fake_audit.store()):
        await until(lambda: len(log.acked) == 1)

    assert [(UID, 4, None, "completed")] == await fake_audit.runs()


async def test_poison_in_a_batch_keeps_nothing_from_being_stored(fake_audit: FakeAudit) -> None:
    """Of 500 messages in one batch the one that a constraint refuses is quarantined; all of them are acknowledged."""
    log, store = await a_log(500), fake_audit.store()
    store.refuses = lambda row: row.stream_sequence == 333
    repeats, quarantined = count(metrics.REPEATS), count(metrics.QUARANTINED)

    async with Running(log, store, linger=10.0):
        await until(lambda: len(log.acked) == 500)

    kinds = [(number, "quarantine" if number == 333 else "message") for number in range(1, 501)]
    assert kinds == await fake_audit.accounted()
    assert (0, 1) == (count(metrics.REPEATS) - repeats, count(metrics.QUARANTINED) - quarantined)
