"""The audit in a real PostgreSQL that is hurt: poison in a batch, locks, a server that hangs or is killed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from auditor import metrics
from auditor.apply import apply
from auditor.migrations import migrate
from auditor.ports import Written
from auditor.store import PostgresStore
from kubernaut.local.stack import LocalStack, StackOptions
from runtime.errors import UnavailableError
from schemas import subjects
from schemas.cloudevents import MESSAGE_ID
from tests.auditor.accounts import RealAudit
from tests.auditor.builders import a_decision, a_finished_state, a_status_change, entries, poison, stored
from tests.auditor.running import Running, count, until
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from auditor.ports import AuditStore, Entry
    from tests.auditor.accounts import Connection

pytestmark = pytest.mark.real

POISON = {
    "NUL": b'{"a":"\\u0000"}',
    "bad JSON": b'{"a": ',
    "no text": b"\xff\x00\xfe",
    "half a surrogate pair": b'{"a": "\\ud800\\u0041"}',
    "no UTF-8 in a text": b'{"a": "\xff"}',
    "a number that no float holds": b'{"a": 1e400}',
    "a number that no numeric holds": b'{"a": 1e400000}',
    "very deep": b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "3 MiB": b'{"a": "' + b"x " * (3 * 512 * 1024) + b'"}',
    "3 MiB that is no JSON": b"\xff" * (3 * 1024 * 1024),
}


@pytest_asyncio.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[LocalStack]:
    """A PostgreSQL server of the test's own, with the audit's tables, to be killed and frozen at will."""
    async with LocalStack(StackOptions.only("postgres", home=tmp_path)) as stack:
        await migrate(address(stack))
        yield stack


def address(server: LocalStack) -> str:
    """Return the address of its database."""
    assert server.database_url is not None
    return server.database_url


SLOWLY = (
    """
    CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_sleep(0.003); RETURN NEW; END'
    """,
    "CREATE TRIGGER slowly BEFORE INSERT ON audit_identity FOR EACH ROW EXECUTE FUNCTION slowly()",
)
"""So that those who write at the same time meet in the middle."""


async def is_stored(store: AuditStore) -> bool:
    """Try to store one message and tell whether that went well."""
    try:
        await store.write(entries(stored(a_status_change(1))))
    except UnavailableError:
        return False
    return True


async def applied(store: AuditStore, batch: Sequence[Entry]) -> Written:
    """Store a batch as an auditor does: once more where others held a lock for too long, which is no deadlock."""
    while True:
        try:
            return await apply(store, batch)
        except UnavailableError as error:
            if "lock timeout" not in str(error):
                raise


async def is_tended(store: AuditStore) -> bool:
    """Look after a store and tell whether that went well."""
    try:
        await store.tend()
    except UnavailableError:
        return False
    return True


async def test_poison_in_a_batch_of_500_costs_nothing_but_its_own_body(
    real_audit: RealAudit, database: Connection
) -> None:
    """Every message of the batch is stored; what jsonb refuses is there as bytes, what it takes also as JSON."""
    messages = [stored(a_status_change(number), number) for number in range(1, 501)]
    for number, data in enumerate(POISON.values(), start=100):
        messages[number - 1] = poison(data, number)

    written = await apply(real_audit.store(), entries(*messages))

    assert Written(messages=500) == written
    assert [(number, "message") for number in range(1, 501)] == await real_audit.accounted()
    rows = await database.fetch(
        "SELECT stream_sequence, raw, body IS NULL FROM audit_message"
        " WHERE stream_sequence BETWEEN 100 AND 109 ORDER BY stream_sequence"
    )
    as_json = {"a number that no float holds", "3 MiB"}
    expected = [(number, data, name not in as_json) for number, (name, data) in enumerate(POISON.items(), start=100)]
    assert expected == [(row[0], row[1], row[2]) for row in rows]
    assert 492 == await database.fetchval("SELECT count(*) FROM audit_message WHERE body IS NOT NULL")


async def test_a_row_that_a_constraint_refuses_goes_to_the_quarantine(
    real_audit: RealAudit, database: Connection
) -> None:
    """Of 500 messages 499 are stored, and the one that no table takes is kept as bytes, with what PostgreSQL said."""
    await database.execute(
        "ALTER TABLE audit_message ADD CONSTRAINT no_blue CHECK (subject <> 'kubernaut.signal.x.blue')"
    )
    messages = [stored(a_status_change(number), number) for number in range(1, 501)]
    messages[332] = poison(b'{"a": 1}', 333, subject="kubernaut.signal.x.blue")

    written = [await apply(real_audit.store(), entries(*messages)) for _ in range(2)]

    assert [Written(messages=499, quarantined=1), Written()] == written
    row = await database.fetchrow("SELECT stream_sequence, raw, reason FROM audit_quarantine")
    assert row is not None
    assert (333, b'{"a": 1}') == (row["stream_sequence"], row["raw"])
    assert "no_blue" in row["reason"]


async def test_a_report_that_no_table_takes_costs_the_report_only(real_audit: RealAudit) -> None:
    """A decision with a number too large for its column is stored with its body, without a report."""
    log = FakeLog(clock=ManualClock())
    await log.publish(a_decision(4, state=a_finished_state(started_at=2**70)))
    await log.publish(a_decision(1, uid="another"))

    async with Running(log, real_audit.store()):
        await until(lambda: len(log.acked) == 2)

    assert [(1, "message"), (2, "message")] == await real_audit.accounted()
    assert [("another", 1, None, "completed")] == await real_audit.runs()


async def test_odd_headers_and_subjects_are_stored(real_audit: RealAudit, database: Connection) -> None:
    """Ids, headers and names that hold NUL, odd characters or far too much text are no reason to lose a message."""
    odd = "a\0b\ud800c\u202e\U0001f4a5" + "long" * 100_000
    headers = {"ce-id": odd, "ce-type": odd, "ce-source": odd, "ce-correlationid": odd, "x-odd": odd, MESSAGE_ID: odd}
    message = poison(b"{}", 1, headers=headers, subject=subjects.decision(odd))

    written = await apply(real_audit.store(), entries(message))

    assert Written(messages=1) == written
    assert 400_007 == await database.fetchval("SELECT length(event_id) FROM audit_message")


async def test_a_lock_on_the_tables_is_waited_out(real_audit: RealAudit, database: Connection) -> None:
    """(F47) While somebody holds the table, writing is unavailable within the lock's limit; afterwards it goes on."""
    store = real_audit.store()
    await store.tend()
    lock = database.transaction()
    await lock.start()
    await database.execute("LOCK TABLE audit_message IN ACCESS EXCLUSIVE MODE")

    with pytest.raises(UnavailableError, match="lock timeout"):
        await store.write(entries(stored(a_status_change(1))))
    await lock.rollback()

    assert Written(messages=1) == await store.write(entries(stored(a_status_change(1))))


async def test_two_writers_of_the_same_messages_do_not_deadlock(real_audit: RealAudit, database: Connection) -> None:
    """Many stores that write overlapping batches in different orders, at the same time, store each message once."""
    for statement in SLOWLY:
        await database.execute(statement)
    everything = entries(*(stored(a_status_change(number), number) for number in range(1, 101)))
    batches = [everything, everything[::-1], everything[50:] + everything[:50], everything[::2] + everything[1::2]]

    written = await asyncio.gather(*(applied(real_audit.store(), batch) for batch in batches))

    assert 100 == sum(one.messages for one in written)
    assert [(number, "message") for number in range(1, 101)] == await real_audit.accounted()


async def test_a_session_that_the_server_ends_is_replaced(real_audit: RealAudit, database: Connection) -> None:
    """After an administrator has ended the session the store works again by itself."""
    store = real_audit.store()
    await store.tend()
    await database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kubernaut-auditor'"
    )

    await until(lambda: is_stored(store))

    assert [(1, "message")] == await real_audit.accounted()


async def test_each_session_has_its_limits(real_audit: RealAudit, database: Connection) -> None:
    """No statement, lock or forgotten transaction of the auditor lasts for ever, and every commit is on disk."""
    expected = {
        "idle_in_transaction_session_timeout": "30s",
        "lock_timeout": "2s",
        "statement_timeout": "10s",
        "synchronous_commit": "on",
    }
    await database.execute(
        "CREATE TABLE seen (name text, value text);"
        " CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen"
        " SELECT name, current_setting(name) FROM pg_settings; RETURN NULL; END $$;"
        " CREATE TRIGGER note AFTER INSERT ON audit_identity FOR EACH STATEMENT EXECUTE FUNCTION note()"
    )

    await real_audit.store().write(entries(stored(a_status_change(1))))

    seen = {row["name"]: row["value"] for row in await database.fetch("SELECT name, value FROM seen")}
    assert expected == {name: seen[name] for name in expected}


async def test_a_server_that_is_killed_in_the_middle_loses_nothing(own_server: LocalStack) -> None:
    """(F45) With PostgreSQL killed (-9) during the writing the auditor lives on, and the audit is complete."""
    audit = RealAudit(address(own_server))
    log = FakeLog(clock=ManualClock())
    failures = count(metrics.FAILURES)

    async with Running(log, audit.store()) as auditor:
        for number in range(1, 4001):
            await log.publish(a_status_change(number))
            if number in {1500, 3000}:
                await until(lambda: len(log.acked) > 0)
                await own_server.supervisor.kill("postgres")
        await until(lambda: len(log.acked) == 4000, seconds=120)
        assert auditor.health.well

    assert count(metrics.FAILURES) > failures
    assert [(number, "message") for number in range(1, 4001)] == await audit.accounted()
    await audit.close()


async def test_a_server_that_hangs_is_given_up_in_time(own_server: LocalStack) -> None:
    """(F45) A frozen server does not freeze the auditor: the call fails in time, and works once it is thawed."""
    store = PostgresStore(address(own_server), seconds=2.0)
    await until(lambda: is_tended(store))
    own_server.supervisor.pause("postgres")
    try:
        async with asyncio.timeout(10):
            with pytest.raises(UnavailableError, match="did not answer in time"):
                await store.write(entries(stored(a_status_change(1))))
    finally:
        own_server.supervisor.resume("postgres")

    await until(lambda: is_stored(store))
    audit = RealAudit(address(own_server))
    assert [(1, "message")] == await audit.accounted()
    await store.close()


async def test_a_full_disk_is_waited_out(real_audit: RealAudit, database: Connection) -> None:
    """(F47) While PostgreSQL has no room nothing is acknowledged or put aside; with room again all of it is stored."""
    await database.execute(
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;"
        " CREATE TRIGGER no_room BEFORE INSERT ON audit_identity FOR EACH STATEMENT EXECUTE FUNCTION no_room()"
    )
    log = FakeLog(clock=ManualClock())
    for number in range(1, 301):
        await log.publish(a_status_change(number))

    async with Running(log, real_audit.store()) as auditor:
        await until(lambda: "No space left" in auditor.health.detail, seconds=60)
        acknowledged = list(log.acked)
        await database.execute("DROP TRIGGER no_room ON audit_identity")
        await until(lambda: len(log.acked) == 300, seconds=60)

    assert [] == acknowledged
    assert [(number, "message") for number in range(1, 301)] == await real_audit.accounted()


async def test_a_commit_whose_answer_is_lost_is_stored_once(real_audit: RealAudit) -> None:
    """(F46) The connection ends after the commit and before its answer: the same batch again adds nothing."""
    log = FakeLog(clock=ManualClock())
    for number in range(1, 101):
        await log.publish(a_status_change(number))
    store = Answerless(real_audit.dsn)

    async with Running(log, store):
        await until(lambda: len(log.acked) == 100, seconds=60)
    await store.close()

    assert store.lost == 2
    assert [(number, "message") for number in range(1, 101)] == await real_audit.accounted()


class Answerless(PostgresStore):
    """Loses its connection right after each of its first two commits."""

    lost = 0

    async def write(self, entries: Sequence[Entry]) -> Written:
        """See `AuditStore.write`."""
        written = await super().write(entries)
        if self.lost < 2:
            self.lost += 1
            await self.close()
            raise UnavailableError("no answer to the commit; whether it took place is unknown")
        return written
