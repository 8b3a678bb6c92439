"""How the roles come into a database: new, old, by whom, again."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import asyncpg
import pytest

from auditor.migrations import migrate
from auditor.roles import ROLES, set_up
from auditor.sql_files import migrations, statement
from auditor.store import PostgresStore
from runtime.errors import SettingsError, UnavailableError
from tests.auditor.builders import a_status_change, entries, stored
from tests.database_roles.conftest import Prepared, run, write_passwords

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [each.name for each in migrations()]


async def an_auditor_is_content(dsn: str) -> None:
    """Log in, look at the schema, make partitions."""
    store = PostgresStore(dsn)
    try:
        await store.tend()
    finally:
        await store.close()


@pytest.mark.real
async def test_setting_up_again_changes_nothing(prepared: Prepared) -> None:
    """Neither a role nor a password, limits that were changed included."""
    await run(prepared.admin, "ALTER ROLE kubernaut_reader CONNECTION LIMIT 7")

    again = await set_up(prepared.admin)

    connection = await asyncpg.connect(prepared.admin)
    limit = await connection.fetchval("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'kubernaut_reader'")
    await connection.close()
    await an_auditor_is_content(prepared.login("writer"))
    assert ([], 7) == (again, limit)


@pytest.mark.real
async def test_an_installation_without_roles_is_taken_over(prepared: Prepared, bare: str) -> None:
    """Its rows stay; the auditor waits, with the reason, until the rights are given, and goes on as the writer."""
    await migrate(bare)
    old = PostgresStore(bare)
    await old.write(entries(stored(a_status_change(100), 1)))
    await old.close()
    here = Prepared(bare, prepared.passwords)
    await set_up(bare)
    auditor = PostgresStore(here.login("writer"))

    with pytest.raises(UnavailableError, match=r"permission denied.*logs in as kubernaut_writer.*docs/database\.md"):
        await auditor.tend()
    assert [] == await migrate(here.login("owner"))
    written = await auditor.write(entries(stored(a_status_change(101), 2)))
    newest = await auditor.newest_message()
    await auditor.close()

    assert (1, 2) == (written.messages, newest.sequence)


@pytest.mark.real
async def test_an_administrator_who_migrates_makes_no_tables_of_his_own(prepared: Prepared, bare: str) -> None:
    """They belong to the owner, and a function that runs with its maker's rights has not a superuser's."""
    await set_up(bare)

    assert NAMES == await migrate(bare)

    connection = await asyncpg.connect(bare)
    owners = await connection.fetch(
        "SELECT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    )
    await connection.close()
    await an_auditor_is_content(Prepared(bare, prepared.passwords).login("writer"))
    assert ["kubernaut_owner"] == [each[0] for each in owners]


@pytest.mark.real
async def test_the_owner_of_the_database_who_may_create_roles_is_enough(prepared: Prepared, bare: str) -> None:
    """As with managed databases, which give nobody a superuser."""
    name = f"admin_{uuid.uuid4().hex}"
    database = bare.rpartition("/")[2]
    await run(
        bare,
        f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x'",
        *(f"GRANT kubernaut_{role} TO {name} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE" for role in ROLES),
        f"ALTER DATABASE {database} OWNER TO {name}",
    )
    place = bare.partition("@")[2]
    try:
        await migrate(f"postgresql://{name}:x@{place}")
        await set_up(f"postgresql://{name}:x@{place}", prepared.passwords)
        await migrate(f"postgresql://{name}:x@{place}")
        await an_auditor_is_content(Prepared(bare, prepared.passwords).login("writer"))
    finally:
        await run(
            bare,
            f"ALTER DATABASE {database} OWNER TO CURRENT_USER",
            f"REASSIGN OWNED BY {name} TO CURRENT_USER",
            f"DROP OWNED BY {name} CASCADE",
            f"DROP ROLE {name}",
        )


@pytest.mark.real
async def test_a_right_that_was_given_by_hand_is_gone_with_the_next_migration(prepared: Prepared, bare: str) -> None:
    """And the auditor that works meanwhile notices nothing."""
    await set_up(bare)
    await migrate(bare)
    here = Prepared(bare, prepared.passwords)
    store = PostgresStore(here.login("writer"))
    await store.tend()
    await run(bare, "GRANT DELETE ON audit_message TO kubernaut_writer", "GRANT SELECT ON audit_seal TO PUBLIC")

    await migrate(here.login("owner"))

    connection = await asyncpg.connect(bare)
    left = [
        await connection.fetchval("SELECT has_table_privilege($1, $2, $3)", *each)
        for each in (("kubernaut_writer", "audit_message", "DELETE"), ("public", "audit_seal", "SELECT"))
    ]
    await connection.close()
    await store.tend()
    await store.close()
    assert [False, False] == left


@pytest.mark.real
async def test_no_password_goes_over_the_wire_or_into_the_servers_log(prepared: Prepared) -> None:
    """The server is told what it stores: a SCRAM verifier."""
    connection = await asyncpg.connect(prepared.admin)
    kept = await connection.fetch("SELECT rolpassword FROM pg_authid WHERE rolname LIKE 'kubernaut\\_%'")
    await connection.close()

    assert {"SCRAM-SHA-256$4096"} == {each["rolpassword"].partition(":")[0] for each in kept}
    assert "PASSWORD" not in statement("roles")


@pytest.mark.parametrize(
    ("content", "words"),
    [({}, "must hold files named owner, writer, reader"), ({"writer": ""}, "at least one"), ({"writer": "ü"}, "ASCII")],
    ids=["no file", "an empty one", "one that PostgreSQL might prepare in another way"],
)
async def test_passwords_that_cannot_be_are_refused_before_anything_is_done(
    tmp_path: Path, content: dict[str, str], words: str
) -> None:
    """The file is named, the password is not."""
    for name, text in content.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=words) as caught:
        await set_up("postgresql://nobody@127.0.0.1:1/none", tmp_path)

    assert "ü" not in str(caught.value)


def test_awkward_passwords_are_among_those_of_the_tests(tmp_path: Path) -> None:
    """With what an address, SQL and a shell would each take amiss."""
    assert set("@:/%'\\ ") <= set((write_passwords(tmp_path) / "writer").read_text())
