"""The audit is hurt in every way that its database allows, and `audit verify` names the first row that is bad (F49)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from auditor import chain
from kubernaut.audit.from_log import Witness, witness
from kubernaut.audit.reader import Reader
from kubernaut.audit.verifying import Verifying
from schemas.subjects import LOG
from tests.auditor.sealed import audited, fresh, publish, sealed, verdict_on, verified
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.auditor.accounts import Connection
    from tests.auditor.sealed import SealedAudit

pytestmark = pytest.mark.real

RANGES = (5, 17, 27)
"""A sequence in the first sealed range, one in the second, and one that is not sealed yet."""
_SOUND_HASH = "sha256 = sha256(convert_to('{}', 'UTF8')), raw = convert_to('{}', 'UTF8'), body = '{}'"
COLUMNS = {
    "event_key": "event_key = gen_random_uuid()",
    "occurred_at": "occurred_at = occurred_at + interval '1 microsecond'",
    "stream": "stream = 'ANOTHER'",
    "stream_sequence": "stream_sequence = 999",
    "event_id": "event_id = event_id || 'x'",
    "subject": "subject = 'kubernaut.signal.x'",
    "type": "type = 'another'",
    "source": "source = '/somebody/else'",
    "correlation_id": "correlation_id = NULL",
    "causation_id": "causation_id = 'another'",
    "traceparent": "traceparent = 'another'",
    "workflow_uid": "workflow_uid = 'another'",
    "workflow_namespace": "workflow_namespace = 'another'",
    "workflow_name": "workflow_name = 'another'",
    "step_number": "step_number = 77",
    "attempt": "attempt = 77",
    "action": "action = 'another'",
    "version": "version = 77",
    "phase": "phase = 'another'",
    "headers": """headers = '{"x": "y"}'""",
    "sha256": "sha256 = sha256('another')",
    "redacted": "redacted = NOT redacted",
    "raw": "raw = raw || ' '",
    "body": """body = '{"another": true}'""",
    "body taken away": "body = NULL",
    "payload, hash and body": _SOUND_HASH,
}
ROWS = {
    "a row deleted in the middle": ("DELETE FROM audit_message WHERE stream_sequence = 5", 5),
    "the first row deleted": ("DELETE FROM audit_message WHERE stream_sequence = 1", 1),
    "a row deleted with its identity": (
        "DELETE FROM audit_message WHERE stream_sequence = 5; DELETE FROM audit_identity WHERE stream_sequence = 5",
        5,
    ),
    "the tail cut": ("DELETE FROM audit_message WHERE stream_sequence > 26", 27),
    "the tail cut with its seals": (
        "DELETE FROM audit_message WHERE stream_sequence > 10; DELETE FROM audit_seal",
        1,
    ),
    "two rows swapped": (
        (
            "UPDATE audit_message SET stream_sequence = 1000 WHERE stream_sequence = 5;"
            " UPDATE audit_message SET stream_sequence = 5 WHERE stream_sequence = 6;"
            " UPDATE audit_message SET stream_sequence = 6 WHERE stream_sequence = 1000;"
            " UPDATE audit_identity AS i SET stream_sequence = m.stream_sequence FROM audit_message AS m"
            " WHERE i.event_key = m.event_key"
        ),
        5,
    ),
    "a row put in beside another": ("{copy_of_5} 5 {end}", 5),
    "a row put in behind the log": ("{copy_of_5} 29 {end}", 29),
    "a row put in before the log": ("{copy_of_5} 0 {end}", 0),
    "a row moved to the repeats": (
        (
            "INSERT INTO audit_repeat SELECT event_key, stream, stream_sequence, occurred_at, event_id, subject,"
            " headers, sha256, redacted, raw FROM audit_message WHERE stream_sequence = 5;"
            " DELETE FROM audit_message WHERE stream_sequence = 5"
        ),
        5,
    ),
    "an identity deleted": ("DELETE FROM audit_identity WHERE stream_sequence = 5", 5),
    "an identity moved": ("UPDATE audit_identity SET stream_sequence = 500 WHERE stream_sequence = 5", 5),
    "a seal deleted": ("DELETE FROM audit_seal WHERE number = 1", 1),
    "a seal's digest changed": ("UPDATE audit_seal SET digest = repeat('0', 64) WHERE number = 1", 1),
    "a seal's leaves changed": (
        "UPDATE audit_seal SET leaves = overlay(leaves PLACING '\\xff' FROM 1) WHERE number = 2",
        13,
    ),
    "a seal's count changed": ("UPDATE audit_seal SET messages = 3 WHERE number = 2", 13),
    "a seal's range changed": ("UPDATE audit_seal SET number = 7 WHERE number = 2", 13),
}
_COPY = (
    "CREATE TEMP TABLE forged ON COMMIT DROP AS SELECT * FROM audit_message WHERE stream_sequence = 5;"
    " UPDATE forged SET event_key = gen_random_uuid(), stream_sequence ="
)
_END = (
    "; INSERT INTO audit_message SELECT * FROM forged;"
    " INSERT INTO audit_identity SELECT event_key, stream, stream_sequence, occurred_at FROM forged"
)


@pytest_asyncio.fixture
async def database(sealed_audit: SealedAudit) -> AsyncIterator[Connection]:
    """A connection of the owner, whose changes are taken back."""
    connection = await asyncpg.connect(sealed_audit.dsn)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest_asyncio.fixture
async def seen(sealed_audit: SealedAudit) -> Witness:
    """What the log says."""
    return await witness(sealed_audit.log, patience=0)


async def test_an_audit_that_nobody_hurt_is_sound(database: Connection, seen: Witness) -> None:
    """Two sealed ranges, each with its checkpoint in the log, and four messages behind them."""
    verdict = await verified(database, seen)

    assert ((), 28, 2) == (verdict.findings, verdict.messages, verdict.ranges)
    assert (1, 28, seen.checkpoints[2].digest) == (verdict.first, verdict.last, verdict.digest)


async def test_without_the_log_it_says_what_it_cannot_see(database: Connection) -> None:
    """The chain alone is sound, and the verdict says what a chain alone does not show."""
    verdict = await verified(database, None)

    assert verdict.sound
    assert "cut at its end" in verdict.notes[0]


@pytest.mark.parametrize("change", COLUMNS.values(), ids=COLUMNS)
async def test_a_changed_column_is_found(database: Connection, seen: Witness, change: str) -> None:
    """(F49) Whichever column of a row is changed, sealed or not, its sequence is the first that is named."""
    change = change.replace("'{}'", """'{"resourceVersion": "forged"}'""")
    for sequence in RANGES:
        undo = database.transaction()
        await undo.start()
        done = await database.execute(f"UPDATE audit_message SET {change} WHERE stream_sequence = $1", sequence)  # noqa: S608

        verdict = await verified(database, seen)
        await undo.rollback()

        assert "UPDATE 1" == done
        assert sequence == min(each.sequence for each in verdict.findings if each.sequence), verdict.findings


@pytest.mark.parametrize(("sql", "sequence"), ROWS.values(), ids=ROWS)
async def test_changed_rows_are_found(database: Connection, seen: Witness, sql: str, sequence: int) -> None:
    """(F49) Rows that are deleted, put in, moved or swapped, and seals that are: the first bad place is named."""
    await database.execute(sql.replace("{copy_of_5}", _COPY).replace("{end}", _END))

    verdict = await verified(database, seen)

    assert not verdict.sound
    assert sequence == verdict.findings[0].sequence, verdict.findings


async def test_a_chain_that_its_owner_rewrote_as_a_whole_is_found_by_the_log(
    database: Connection, seen: Witness
) -> None:
    """(F49) A changed row under seals that were all made anew contradicts nothing in the database, but the log."""
    await database.execute("UPDATE audit_message SET subject = 'kubernaut.signal.x' WHERE stream_sequence = 5")
    await forge_seals(database)

    alone, compared = await verified(database, None), await verified(database, seen)

    assert alone.sound
    assert [1, 5] == [each.sequence for each in compared.findings if each.sequence < 13]
    assert "the seals in the database were changed" in compared.findings[0].what
    assert "it is not what the log holds" == compared.findings[1].what


async def test_a_seal_that_was_written_down_finds_the_rewriting_too(
    sealed_audit: SealedAudit, database: Connection, seen: Witness
) -> None:
    """(F49) Also when the log is gone: by one line that somebody kept elsewhere."""
    written_down = (2, seen.checkpoints[2].digest)
    before = await Verifying(Reader(database), None, tell=quiet).verify(known=written_down)
    await database.execute("UPDATE audit_message SET subject = 'kubernaut.signal.x' WHERE stream_sequence = 5")
    await forge_seals(database)

    verdict = await Verifying(Reader(database), None, tell=quiet).verify(known=written_down)

    assert before.sound
    assert [13] == [each.sequence for each in verdict.findings]


async def test_a_part_is_verified_alone(database: Connection, seen: Witness) -> None:
    """What lies outside is not looked at; the chain is, all of it."""
    await database.execute("UPDATE audit_message SET subject = 'kubernaut.signal.x' WHERE stream_sequence = 5")

    verdicts = [await verified(database, seen, **part) for part in ({"first": 6}, {"last": 4}, {"first": 5, "last": 5})]

    assert [True, True, False] == [verdict.sound for verdict in verdicts]
    assert [23, 4, 1] == [verdict.messages for verdict in verdicts]


async def test_what_is_kept_aside_is_verified_too(audit_database: str) -> None:
    """(F49) Repeats and quarantined messages are sealed like all others, and each column of theirs is found changed."""
    connection = await asyncpg.connect(audit_database)
    await connection.execute("ALTER TABLE audit_message ADD CONSTRAINT no_blue CHECK (subject <> 'kubernaut.signal.b')")
    log = FakeLog(clock=ManualClock())
    await publish(log, 1, 2)
    again = log.stored()[0]
    log.broker.put(LOG.name, again.subject, again.headers, again.data)
    log.broker.put(LOG.name, "kubernaut.signal.b", {}, b'{"a": 1}')
    await audited(fresh(log), audit_database)
    await sealed(log, audit_database)
    changes = {
        "audit_repeat": ("event_id = 'x'", "subject = 'x'", "headers = '{}'", "record = 'x'", "record = NULL"),
        "audit_quarantine": ("record = 'x'", "record = NULL"),
    }
    both = ("event_key = gen_random_uuid()", "occurred_at = now()", "raw = 'x'", "sha256 = 'x'", "redacted = true")
    seen = await witness(log, patience=0)

    found = []
    for table, of_its_own in changes.items():
        for change in (*both, *of_its_own):
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(f"UPDATE {table} SET {change}")  # noqa: S608
            verdict = await verified(connection, seen)
            found.append((change, [each.sequence for each in verdict.findings]))
            await transaction.rollback()
    sound = await verdict_on(audit_database, log)
    await connection.close()

    assert [(change, [3]) for change in (*both, *changes["audit_repeat"])] == found[:10]
    assert [(change, [4]) for change in (*both, *changes["audit_quarantine"])] == found[10:]
    assert ((), 4) == (sound.findings, sound.messages)


async def forge_seals(database: Connection) -> None:
    """Do what the owner of the database can: make all seals anew over the rows as they are."""
    reader, before = Reader(database), None
    for seal in [each async for each in reader.seals()]:
        rows = [each async for each in reader.rows(seal.from_sequence, seal.to_sequence)]
        before = chain.seal(seal.stream, before, seal.from_sequence, [each.leaf for each in rows])
        await database.execute(
            "UPDATE audit_seal SET leaves = $2, previous = $3, digest = $4 WHERE number = $1",
            before.number,
            before.leaves,
            before.previous,
            before.digest,
        )


def quiet(_sequence: int, _last: int) -> None:
    """Progress that nobody looks at."""
