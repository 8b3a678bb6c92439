from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import msgspec
import pytest

from auditor.migrations import migrate
from auditor.ports import Entry
from auditor.reports import Report, StepRun, WorkflowRun
from auditor.rows import Row
from auditor.sql_files import Migration, MigrationChangedError, migrations, missing, statement
from auditor.store import PostgresStore
from runtime.errors import RefusedError, UnavailableError
from tests.auditor.builders import a_status_change, entries, stored

if TYPE_CHECKING:
    from tests.auditor.accounts import Connection, RealAudit

NAMES = [migration.name for migration in migrations()]
MIGRATION = Migration(1, "0001_first", "CREATE TABLE a ();\nCREATE TABLE b ();\n")
ALWAYS_WRITTEN = [
    *("workflow_uid", "workflow_namespace", "workflow_name", "phase", "steps_total", "steps_completed", "steps_failed"),
    *("steps_skipped", "steps_cancelled", "steps_rolled_back", "resources_affected", "deleted", "decision_version"),
    *("stream_sequence", "step_number", "status", "attempts", "affected"),
]
"""What the first version writes into reports."""
AGES_AGO_MS = 1_420_113_600_000
"""2015-01-01T12:00:00Z: no partition is made for it ahead."""


def test_migrations_are_numbered_without_a_gap() -> None:
    """The numbers count from 1, so that nobody wonders what is missing."""
    assert list(range(1, len(NAMES) + 1)) == [migration.number for migration in migrations()]


def test_line_ends_are_no_change() -> None:
    """A checkout with other line ends is the same migration."""
    windows = Migration(1, "0001_first", MIGRATION.text.replace("\n", "\r\n"))

    assert MIGRATION.checksum == windows.checksum


def test_what_was_not_applied_is_missing() -> None:
    """Numbers that the database lacks are applied; numbers that only a newer version knows are left alone."""
    second = Migration(2, "0002_second", "")
    applied = {1: (MIGRATION.name, MIGRATION.checksum), 3: ("0003_newer", "x")}

    assert (second,) == missing([MIGRATION, second], applied)


@pytest.mark.parametrize(
    "there", [("0001_first", "another"), ("0001_renamed", MIGRATION.checksum)], ids=["text", "name"]
)
def test_a_changed_migration_is_refused(there: tuple[str, str]) -> None:
    """Nothing is run on a database whose history is not ours; the message names the file and what to do."""
    with pytest.raises(MigrationChangedError, match=r"0001_first .* put the file back"):
        missing([MIGRATION], {1: there})


@pytest.mark.real
async def test_migrating_twice_applies_each_migration_once(empty_database: str) -> None:
    """The second time there is nothing to do."""
    assert [NAMES, []] == [await migrate(empty_database), await migrate(empty_database)]


@pytest.mark.real
async def test_migrating_side_by_side_applies_each_migration_once(empty_database: str) -> None:
    """Several installers at one moment wait for each other."""
    applied = await asyncio.gather(*(migrate(empty_database) for _ in range(4)))

    assert NAMES == sorted(name for names in applied for name in names)


@pytest.mark.real
async def test_a_database_whose_migration_was_changed_is_left_alone(audit_database: str, database: Connection) -> None:
    """The migrator refuses, and the auditor is not ready and says why."""
    await database.execute("UPDATE audit_migration SET checksum = 'another' WHERE number = 1")

    with pytest.raises(MigrationChangedError, match="0001_messages"):
        await migrate(audit_database)
    with pytest.raises(UnavailableError, match="0001_messages"):
        await PostgresStore(audit_database).tend()


@pytest.mark.real
async def test_a_migration_that_fails_is_rolled_back(empty_database: str) -> None:
    """A schema that is in the way stops the migrations with an error that says what, and leaves nothing half done."""
    connection = await asyncpg.connect(empty_database)
    await connection.execute("CREATE TABLE audit_repeat ()")

    with pytest.raises(RefusedError, match="audit_repeat"):
        await migrate(empty_database)

    assert await connection.fetchval("SELECT to_regclass('audit_message')") is None
    await connection.close()


async def test_a_database_that_cannot_be_reached_is_told_apart_from_a_refusal() -> None:
    """Whoever installs can wait for a server that is still starting."""
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await migrate("postgresql://nobody@127.0.0.1:1/none")


@pytest.mark.real
async def test_an_auditor_waits_for_the_installer(empty_database: str) -> None:
    """Without tables the store is not available, and says what to do; with them it is."""
    store = PostgresStore(empty_database)

    with pytest.raises(UnavailableError, match=r"no audit tables yet; run the installer: python -m kubernaut\.install"):
        await store.tend()
    await migrate(empty_database)
    await store.tend()

    await store.close()


@pytest.mark.real
async def test_an_older_schema_is_named(audit_database: str, database: Connection) -> None:
    """Code that is newer than the schema waits, and names the migration that is missing."""
    await database.execute("DELETE FROM audit_migration WHERE number = 2")

    with pytest.raises(UnavailableError, match="0002_runs"):
        await PostgresStore(audit_database).tend()


async def partitions(database: Connection) -> set[str]:
    """Return the names of the partitions of the messages."""
    rows = await database.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_message'::regclass"
    )
    return {row[0] for row in rows}


@pytest.mark.real
async def test_partitions_are_there_before_they_are_needed(audit_database: str, database: Connection) -> None:
    """Last month, this one and the two to come have partitions, and there is one for whatever else comes."""
    assert audit_database
    today = dt.datetime.now(tz=dt.UTC)
    months = [divmod(today.year * 12 + today.month - 1 + ahead, 12) for ahead in (-1, 0, 1, 2)]
    expected = {f"audit_message_{year}{month + 1:02}" for year, month in months}

    assert {*expected, "audit_message_default"} == await partitions(database)


@pytest.mark.real
async def test_rows_in_the_default_partition_move_to_one_of_their_month(
    real_audit: RealAudit, database: Connection
) -> None:
    """(F47) A month that nobody foresaw gets its partition later, and nothing of it is lost or counted twice."""
    store = real_audit.store()
    now_ms = int(dt.datetime.now(tz=dt.UTC).timestamp() * 1000)
    await store.write(entries(stored(a_status_change(1), 1, AGES_AGO_MS), stored(a_status_change(2), 2, now_ms)))
    assert 1 == await database.fetchval("SELECT count(*) FROM audit_message_default")

    await real_audit.store().tend()

    counts = await database.fetchrow(
        "SELECT (SELECT count(*) FROM audit_message_default), (SELECT count(*) FROM audit_message_201501),"
        " (SELECT count(*) FROM audit_message)"
    )
    assert counts is not None
    assert (0, 1, 2) == tuple(counts)


@pytest.mark.real
async def test_a_missing_partition_is_made_and_not_taken_for_bad_data(
    audit_database: str, database: Connection
) -> None:
    """(F47) Without a partition to go to, a row is not quarantined: the store is not available until it was tended."""
    store = PostgresStore(audit_database)
    await store.tend()
    for name in await partitions(database):
        await database.execute(f"DROP TABLE {name}")

    with pytest.raises(UnavailableError, match="no partition"):
        await store.write(entries(stored(a_status_change(1))))
    await store.tend()
    await store.write(entries(stored(a_status_change(1))))

    assert 1 == await database.fetchval("SELECT count(*) FROM audit_message")
    await store.close()


@pytest.mark.real
async def test_every_column_of_a_row_is_stored(audit_database: str, database: Connection) -> None:
    """The order of the fields of a row is the order that the statement expects."""
    store = PostgresStore(audit_database)
    row = Row(
        event_key="000102030405060708090a0b0c0d0e0f",
        stream="KUBERNAUT",
        stream_sequence=2**63 - 1,
        time_ms=AGES_AGO_MS,
        event_id="an id",
        subject="a subject",
        type="a type",
        source="a source",
        correlation_id="a correlation",
        causation_id="a cause",
        traceparent="a trace",
        workflow_uid="a uid",
        workflow_namespace="a namespace",
        workflow_name="a name",
        step_number=2**31 - 1,
        attempt=3,
        action="an action",
        version=2**63 - 1,
        phase="a phase",
        headers='{"a": "header"}',
        sha256=b"a hash",
        redacted=True,
        raw=b'{"a": 1}',
        is_json=True,
    )

    await store.write([Entry(row)])

    found = await database.fetchrow("SELECT * FROM audit_message")
    assert found is not None
    expected = {
        **{name: getattr(row, name) for name in Row.__struct_fields__ if name not in {"time_ms", "is_json"}},
        "occurred_at": dt.datetime.fromtimestamp(AGES_AGO_MS / 1000, tz=dt.UTC),
        "body": '{"a": 1}',
    }
    actual = dict(found)
    actual["event_key"] = actual["event_key"].hex
    assert expected == actual
    await store.close()


@pytest.mark.real
async def test_every_column_of_a_report_is_stored(audit_database: str, database: Connection) -> None:
    """The order of the fields of a report is the order that the statements expect, at the first write and the next."""
    store = PostgresStore(audit_database)
    row = entries(stored(a_status_change(1)))[0].row
    for version in (1, 2):
        run = a_struct_of(WorkflowRun, version)
        step = a_struct_of(StepRun, version, workflow_uid=run.workflow_uid)
        await store.write([Entry(row, Report(run, (step,)))])

        assert as_stored(run) == without_duration(await database.fetchrow("SELECT * FROM workflow_run"))
        assert as_stored(step) == without_duration(await database.fetchrow("SELECT * FROM step_run"))
    await store.close()


T = TypeVar("T", bound=msgspec.Struct)


def a_struct_of(kind: type[T], version: int, **fixed: Any) -> T:
    """Return a row all of whose fields differ, and differ from those of another version but for its key."""
    values: dict[str, Any] = {}
    for number, field in enumerate(msgspec.structs.fields(kind), start=1):
        nature = str(field.type)
        if field.name in {"workflow_uid", "step_number"}:
            values[field.name] = "a uid" if field.name == "workflow_uid" else 1
        elif "bool" in nature:
            values[field.name] = version == 2
        elif "int" in nature:
            values[field.name] = number * 1000 + version
        else:
            values[field.name] = f"{field.name} of {version}"
    return kind(**{**values, "decision_version": version, **fixed})


def as_stored(row: msgspec.Struct) -> dict[str, Any]:
    """Return the columns that a row of a report becomes."""
    return {
        name.removesuffix("_ms") + "_at" if name.endswith("_ms") else name: (
            dt.datetime.fromtimestamp(value / 1000, tz=dt.UTC) if name.endswith("_ms") else value
        )
        for name, value in msgspec.structs.asdict(row).items()
    }


def without_duration(found: asyncpg.Record | None) -> dict[str, Any]:
    """Return the columns of a row but for the one that PostgreSQL makes."""
    assert found is not None
    return {name: value for name, value in found.items() if name != "duration"}


@pytest.mark.real
async def test_an_older_auditor_can_write_beside_a_newer_one(audit_database: str, database: Connection) -> None:
    """What a migration adds to a table that is there already may be null: an older version does not name it."""
    assert audit_database
    needed = await database.fetch(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_name IN ('workflow_run', 'step_run') AND is_nullable = 'NO' AND column_default IS NULL"
        " AND column_name NOT IN (SELECT unnest($1::text[]))",
        ALWAYS_WRITTEN,
    )

    assert [] == [tuple(row) for row in needed]


@pytest.mark.real
async def test_finished_steps_are_found_by_their_index(audit_database: str, database: Connection) -> None:
    """However large the table, only the newest steps of each action are read."""
    assert audit_database
    await database.execute(
        "INSERT INTO step_run (workflow_uid, step_number, action, status, attempts, affected, started_at, ended_at,"
        " decision_version) SELECT n::text, 1, 'restart_pod', CASE WHEN n % 10 = 0 THEN 'completed' ELSE 'skipped' END,"
        " 1, 0, now() - n * interval '1 minute', now() - n * interval '59 seconds', 1"
        " FROM generate_series(1, 20000) AS n"
    )
    await database.execute("ANALYZE step_run")

    rows = await database.fetch(
        "EXPLAIN (ANALYZE, FORMAT TEXT) " + statement("learned_actions"), ["drain_node", "restart_pod"], 100
    )

    plan = "\n".join(row[0] for row in rows)
    assert "step_run_learned" in plan
    assert "Seq Scan" not in plan
