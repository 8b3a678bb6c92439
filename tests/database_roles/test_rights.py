"""What each role may do with each thing in the database: exactly what docs/database.md says."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
import pytest

from auditor.database import connect
from auditor.migrations import migrate
from auditor.roles import set_up
from kubernaut.audit.reader import reading
from kubernaut.audit.rebuilding import owner_at
from kubernaut.replay.from_audit import audit_at
from runtime.errors import RefusedError, UnavailableError
from tests.auditor.builders import UID
from tests.auditor.sealed import a_sealed_audit, verdict_on
from tests.database_roles.conftest import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.auditor.accounts import Connection
    from tests.database_roles.conftest import Prepared

pytestmark = pytest.mark.real

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "database.md"
PRIVILEGES: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
OF_COLUMNS: Final = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
OTHERS: Final = ("kubernaut_writer", "kubernaut_reader")
RELATIONS: Final = """
    SELECT oid, relname, relispartition, relkind FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
"""


def promised() -> dict[tuple[str, str], set[str]]:
    """What the document says, by table and role."""
    rows = re.findall(r"^\| `(\w+)` \| ([A-Z, ]+) \| ([A-Z, ]+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {
        (table, role): set(words.split(", ")) for table, *both in rows for role, words in zip(OTHERS, both, strict=True)
    }


@asynccontextmanager
async def session(prepared: Prepared, role: str) -> AsyncIterator[Connection]:
    """Log in as a role."""
    login = prepared.login(role.removeprefix("kubernaut_"))
    connection = await connect(login, application="test", seconds=10)
    try:
        yield connection
    finally:
        await connection.close()


async def is_allowed(connection: Connection, sql: str) -> bool:
    """Try a statement and take it back. What fails for another reason than a right was allowed."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(sql)
    except asyncpg.InsufficientPrivilegeError:
        return False
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.FeatureNotSupportedError):
        return True
    finally:
        await transaction.rollback()
    return True


async def test_rights_by_table_and_column_are_those_of_the_document(prepared: Prepared) -> None:
    """As PostgreSQL itself answers; also for partitions, sequences and whatever a later migration brings."""
    expected, found, columns = promised(), {}, {}
    connection = await asyncpg.connect(prepared.admin)
    for oid, name, is_partition, _kind in await connection.fetch(RELATIONS):
        for role in (*OTHERS, "public"):
            has = [each for each in PRIVILEGES if await may(connection, "table", role, oid, each)]
            on_column = [each for each in OF_COLUMNS if await may(connection, "any_column", role, oid, each)]
            if has or not is_partition:
                found[name, role] = set(has)
                columns[name, role] = set(on_column)
    await connection.close()

    everything = {key[0] for key in found}
    assert found == {**{(name, role): set() for name in everything for role in (*OTHERS, "public")}, **expected}
    assert columns == {key: has & set(OF_COLUMNS) for key, has in found.items()}


async def may(connection: Connection, kind: str, role: str, oid: int, privilege: str) -> bool:
    """Ask PostgreSQL for a right."""
    return bool(await connection.fetchval(f"SELECT has_{kind}_privilege($1, $2::oid, $3)", role, oid, privilege))


async def test_what_is_tried_is_allowed_where_the_document_says_so_and_nowhere_else(prepared: Prepared) -> None:
    """Each kind of statement on each table, as each role."""
    tries = {
        "SELECT": "SELECT FROM {} LIMIT 1",
        "INSERT": "INSERT INTO {} DEFAULT VALUES",
        "UPDATE": "UPDATE {0} SET {1} = {1} WHERE false",
        "DELETE": "DELETE FROM {} WHERE false",
        "TRUNCATE": "TRUNCATE {}",
        "REFERENCES": "CREATE TABLE mine (LIKE {})",
        "TRIGGER": "CREATE TRIGGER mine BEFORE INSERT ON {} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "ALTER": "ALTER TABLE {} ADD COLUMN mine text",
        "DROP": "DROP TABLE {} CASCADE",
        "LOCK": "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
    }
    locks = {"UPDATE", "DELETE", "TRUNCATE"}
    wrong = []
    for role in OTHERS:
        async with session(prepared, role) as connection:
            for table in {table for table, _ in promised()} - {"audit_accounted"}:
                has = promised()[table, role]
                column = await connection.fetchval(
                    "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum = 1", table
                )
                for kind, sql in tries.items():
                    allowed = await is_allowed(connection, sql.format(table, column))
                    if allowed != (bool(has & locks) if kind == "LOCK" else kind in has):
                        wrong.append((role, table, kind, allowed))

    assert [] == wrong


async def test_beside_the_tables_there_is_next_to_nothing(prepared: Prepared) -> None:
    """Database, schema, functions, and what the roles are."""
    connection = await asyncpg.connect(prepared.admin)
    database = prepared.admin.rpartition("/")[2]
    rights = {
        role: [
            await connection.fetchval("SELECT has_database_privilege($1, $2, $3)", role, database, each)
            for each in ("CONNECT", "CREATE", "TEMPORARY")
        ]
        + [
            await connection.fetchval("SELECT has_schema_privilege($1, 'public', $2)", role, each)
            for each in ("USAGE", "CREATE")
        ]
        for role in ("kubernaut_owner", *OTHERS, "public")
    }
    callers = await connection.fetch(
        "SELECT proname, rolname FROM pg_proc, pg_roles WHERE pronamespace = 'public'::regnamespace "
        "AND rolname = ANY($1) AND has_function_privilege(pg_roles.oid, pg_proc.oid, 'EXECUTE') ORDER BY rolname",
        ["kubernaut_owner", *OTHERS],
    )
    powers = await connection.fetch(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'kubernaut\\_%' AND (rolsuper OR rolcreaterole OR rolcreatedb "
        "OR rolreplication OR rolbypassrls OR rolconnlimit < 1)"
    )
    members = await connection.fetch(
        "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members "
        "WHERE member::regrole::text LIKE 'kubernaut\\_%'"
    )
    owners = await connection.fetch(
        "SELECT DISTINCT relowner::regrole::text AS owner FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )
    await connection.close()

    assert rights == {
        "kubernaut_owner": [True, False, False, True, True],
        "kubernaut_writer": [True, False, False, True, False],
        "kubernaut_reader": [True, False, False, True, False],
        "public": [False, False, False, False, False],
    }
    assert [tuple(each) for each in callers] == [
        ("audit_ensure_partitions", "kubernaut_owner"),
        ("audit_ensure_partitions", "kubernaut_writer"),
    ]
    assert ([], []) == (powers, members)
    assert ["kubernaut_owner"] == [each["owner"] for each in owners]


@pytest.mark.parametrize("role", OTHERS)
async def test_neither_makes_anything_or_becomes_somebody_else(prepared: Prepared, role: str) -> None:
    """No tables, not even of its own; no roles, no settings, no files, no programs."""
    async with session(prepared, role) as connection:
        done = [
            sql
            for sql in (
                "CREATE TABLE mine ()",
                "CREATE TEMPORARY TABLE audit_message_default ()",
                "CREATE SCHEMA mine",
                "CREATE ROLE mine",
                "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "SET ROLE kubernaut_owner",
                "GRANT kubernaut_owner TO CURRENT_USER",
                "ALTER FUNCTION audit_ensure_partitions() RESET search_path",
                "COPY audit_seal FROM '/etc/passwd'",
                "COPY audit_seal TO PROGRAM 'cat'",
                "ALTER SYSTEM SET fsync = off",
            )
            if await is_allowed_outside(connection, sql)
        ]

    assert [] == done


async def is_allowed_outside(connection: Connection, sql: str) -> bool:
    """Try a statement that may not be in a transaction."""
    try:
        await connection.execute(sql)
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


async def test_the_writer_has_partitions_made_that_are_not_its_own(prepared: Prepared) -> None:
    """Also the one of a month that rows came for before it was there; the reader may not."""
    async with session(prepared, "writer") as writer:
        await writer.execute(
            "INSERT INTO audit_message (event_key, occurred_at, stream, stream_sequence, event_id, subject, type, "
            "source, sha256, redacted, raw) "
            "VALUES (gen_random_uuid(), '2015-01-01', 'OTHER', 1, 'a', 'b', 'c', 'd', '', false, '')"
        )
        made = [each[0] for each in await writer.fetch("SELECT audit_ensure_partitions()")]
        held = await writer.fetchval("SELECT count(*) FROM audit_message WHERE stream = 'OTHER'")
        direct = await is_allowed(writer, "SELECT FROM audit_message_201501")
        owner = await writer.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = 'audit_message_201501'")
    async with session(prepared, "reader") as reader:
        asked = await is_allowed(reader, "SELECT audit_ensure_partitions()")
    await run(prepared.admin, "DELETE FROM audit_message WHERE stream = 'OTHER'")

    assert (["audit_message_201501"], 1, False, "kubernaut_owner", False) == (made, held, direct, owner, asked)


async def test_the_writer_is_enough_to_audit_and_the_reader_to_verify(prepared: Prepared) -> None:
    """An audit that is written and sealed by one, proven by the other, and asked by `replay`."""
    log = await a_sealed_audit(prepared.login("writer"))

    verdict = await verdict_on(prepared.login("reader"), log)
    async with audit_at(prepared.login("reader")) as audit:
        runs = await audit.every_run()

    assert verdict.sound, verdict.findings
    assert [UID] == runs


async def test_what_a_role_may_not_do_names_the_one_that_may(prepared: Prepared) -> None:
    """Migrating, rebuilding and setting up, as the writer."""
    with pytest.raises(RefusedError, match=r"permission denied.*as the role that owns the tables, kubernaut_owner"):
        await migrate(prepared.login("writer"))
    with pytest.raises(RefusedError, match=r"permission denied.*rebuild as the owner of the tables, kubernaut_owner"):
        async with owner_at(prepared.login("writer")) as connection:
            await connection.execute("DELETE FROM audit_message")
    with pytest.raises(RefusedError, match="it takes a superuser, or the owner of the database"):
        await set_up(prepared.login("writer"))
    with pytest.raises(UnavailableError, match=r"permission denied.*log in as kubernaut_reader"):
        async with reading(prepared.login("reader")) as reader:
            await reader.fetch("SELECT audit_ensure_partitions()")
