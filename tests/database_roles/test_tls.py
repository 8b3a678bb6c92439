"""TLS to a real PostgreSQL with a real authority: what is let through, and what a person is told where it is not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from click.testing import CliRunner

from auditor.database import connect, in_plain
from auditor.migrations import migrate
from kubernaut.cli.audit import audit as audit_command
from runtime.errors import SettingsError, UnavailableError
from runtime.settings import database_address
from schemas.subjects import AUDITOR, LOG
from tests.auditor.accounts import RealAudit
from tests.auditor.running import until
from tests.auditor.test_audit_process import an_auditor, at_least, publish
from tests.contracts.log_worlds import NatsWorld
from tests.database_roles.authority import Authority
from tests.database_roles.conftest import run
from tests.database_roles.secured import Secured, a_secured_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.nats_server import NatsServer

real = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]
WRITER = "postgresql://kubernaut_writer@db.example/kubernaut"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    """One server for the tests of this file; each leaves it as it was."""
    async with a_secured_server(tmp_path_factory.mktemp("secured")) as secured:
        yield secured


async def who(address: str) -> str:
    """Log in and return who the server says that one is, and over what."""
    connection = await connect(address, application="test", seconds=20)
    try:
        row = await connection.fetchrow(
            "SELECT current_user AS who, ssl, coalesce(client_dn, '') AS dn FROM pg_stat_ssl "
            "WHERE pid = pg_backend_pid()"
        )
        assert row is not None
        return f"{row['who']} {'TLS' if row['ssl'] else 'plain'} {row['dn']}".strip()
    finally:
        await connection.close()


async def refusal(address: str) -> str:
    """Return why one is not let in."""
    with pytest.raises(UnavailableError) as caught:
        await who(address)
    return str(caught.value)


class TestLogin:
    """Each way in."""

    pytestmark = real

    async def test_right_certificates_and_a_password(self, server: Secured) -> None:
        """The server is who it should be, the writer has its password from a file."""
        assert "kubernaut_writer TLS" == await who(server.login("writer"))

    async def test_a_certificate_in_place_of_a_password(self, server: Secured) -> None:
        """Made out to the name of the role."""
        certificate, key = server.authority.issue("kubernaut_reader")

        told = await who(server.login("reader", sslcert=str(certificate), sslkey=str(key)))

        assert "kubernaut_reader TLS /CN=kubernaut_reader" == told

    async def test_no_certificate_where_one_is_asked_for(self, server: Secured) -> None:
        """The message says what to give."""
        told = await refusal(server.login("reader"))

        assert "valid client certificate" in told
        assert told.endswith("; give one with sslcert and sslkey in the address")

    async def test_a_certificate_of_another_name(self, server: Secured) -> None:
        """The writer's certificate opens nothing for the reader."""
        certificate, key = server.authority.issue("kubernaut_writer")

        told = await refusal(server.login("reader", sslcert=str(certificate), sslkey=str(key)))

        assert 'certificate authentication failed for user "kubernaut_reader"' in told

    async def test_a_certificate_of_another_authority(self, server: Secured) -> None:
        """The server does not know who signed it."""
        certificate, key = Authority(server.folder / "strangers", "theirs").issue("kubernaut_reader")

        told = await refusal(server.login("reader", sslcert=str(certificate), sslkey=str(key)))

        assert "PostgreSQL" in told
        assert any(words in told for words in ("unknown ca", "UNKNOWN_CA", "connection was closed", "Connection reset"))

    async def test_a_server_whose_authority_is_not_ours(self, server: Secured) -> None:
        """It is not told the password."""
        other = Authority(server.folder / "others", "other")

        told = await refusal(server.login("writer", sslrootcert=str(other.certificate)))

        assert told.startswith("the certificate of PostgreSQL is refused: ")
        assert "certificate" in told.split(": ")[1]

    async def test_a_server_under_another_name(self, server: Secured) -> None:
        """The certificate is made out to an address, and another host is asked for."""
        told = await refusal(server.login("writer", host="localhost"))

        assert "refused: Hostname mismatch, certificate is not valid for 'localhost'" in told

    async def test_a_certificate_that_has_run_out(self, server: Secured) -> None:
        """It is told; with the next one all is well again, without anything being started anew (F42)."""
        await server.show("old", until=timedelta(hours=-1))
        await until(lambda: is_refused(server, "certificate has expired"))

        await server.show("new")
        await until(lambda: is_let_in(server))

    async def test_in_plain_where_the_server_wants_tls(self, server: Secured) -> None:
        """The message says what to add to the address."""
        told = await refusal(server.login("writer", sslmode="disable"))

        assert told.endswith("; if it wants TLS, add sslmode=verify-full and sslrootcert to the address")

    async def test_a_server_without_tls(self, server: Secured, database_url: str) -> None:
        """It is never spoken to in plain when TLS is asked for."""
        told = await refusal(f"{database_url}?sslmode=verify-full&sslrootcert={server.authority.certificate}")

        assert told.startswith("PostgreSQL has no TLS switched on")

    @pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey"])
    async def test_a_file_that_is_not_there(self, server: Secured, name: str) -> None:
        """The message names it and the setting."""
        assert f"the file /nowhere/x that {name} names cannot be read: No such file or directory" == await refusal(
            server.login("writer", **{name: "/nowhere/x"})
        )

    async def test_a_wrong_password_and_an_empty_file(self, server: Secured, tmp_path: Path) -> None:
        """The message names the role and never the password."""
        file = tmp_path / "password"
        file.write_text("s3cret-and-wrong\n")
        wrong = await refusal(server.login("writer", password_file=str(file)))
        file.write_text("\n")
        empty = await refusal(server.login("writer", password_file=str(file)))

        assert "has the password of kubernaut_writer changed" in wrong
        assert "s3cret" not in wrong
        assert empty == f"the password file {file} of PostgreSQL is empty"

    async def test_the_installer_and_the_commands_come_the_same_way(self, server: Secured) -> None:
        """Migrations as the owner, a query as the reader."""
        certificate, key = server.authority.issue("kubernaut_reader")
        address = server.login("reader", sslcert=str(certificate), sslkey=str(key))

        applied = await migrate(server.login("owner"))
        result = await asyncio.to_thread(CliRunner().invoke, audit_command, ["query", "--database", address])

        assert ([], 0) == (applied, result.exit_code), result.output

    async def test_a_password_is_changed_under_a_working_auditor(self, server: Secured, fresh_nats: NatsServer) -> None:
        """It is refused, waits, reads the new one, and has one row for each message."""
        await fresh_nats.install([msgspec.structs.replace(AUDITOR, ack_wait_seconds=2)])
        audit, file = RealAudit(server.admin), server.passwords / "writer"
        login = {
            "DATABASE_URL": server.login("writer", password_file=""),
            "KUBERNAUT_DATABASE_PASSWORD_FILE": str(file),
        }
        async with NatsWorld(fresh_nats) as world, an_auditor(fresh_nats, audit, **login) as process:
            log = await world.open()
            await publish(log, range(100, 200))
            await until(lambda: at_least(audit, 100), seconds=60)
            await run(
                server.admin,
                "ALTER ROLE kubernaut_writer PASSWORD 'another'",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kubernaut_writer'",
            )
            await publish(log, range(200, 300))
            await until(lambda: is_refused(server, "password authentication failed"), seconds=60)
            held = len(await audit.accounted())
            file.write_text("another\n")
            await publish(log, range(300, 400))
            await until(lambda: at_least(audit, 300), seconds=60)
            everything = [message.sequence async for message in log.scan(LOG.name, ">")]
            await until(lambda: at_least(audit, len(everything)), seconds=60)
            accounted = await audit.accounted()
            assert process.returncode is None
        await audit.close()

        assert held < 300
        assert [(sequence, "message") for sequence in everything] == accounted[: len(everything)]


async def is_let_in(server: Secured) -> bool:
    """Tell whether the writer is."""
    try:
        return bool(await who(server.login("writer")))
    except UnavailableError:
        return False


async def is_refused(server: Secured, words: str) -> bool:
    """Tell whether the writer is, for this reason."""
    try:
        await who(server.login("writer"))
    except UnavailableError as error:
        return words in str(error)
    return False


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        pytest.param(f"{WRITER}?sslmode=verify_full", False, id="as asyncpg takes it, too"),
        pytest.param("postgresql:///kubernaut?host=db.example", True, id="the host stands behind"),
        pytest.param("postgresql://127.0.0.1:5432,db.example:5432/kubernaut", True, id="one of two hosts is far"),
        pytest.param("postgresql://[::1]:5432,LocalHost/kubernaut", False, id="both hosts are here"),
        pytest.param("postgresql://[fd00::1]/kubernaut", True, id="an address of IPv6 that is far"),
        pytest.param("postgresql:///kubernaut", False, id="no host is this machine"),
        pytest.param("postgresql:///kubernaut?service=audit", True, id="what a service says is not known"),
        pytest.param("postgresql:///x?service=audit&sslmode=verify-full", False, id="the address says it itself"),
        pytest.param(f"{WRITER}?sslmode=verify-full", False, id="who answers is checked, and the name"),
        pytest.param(f"{WRITER}?sslmode=require", True, id="whoever answers is believed"),
        pytest.param(WRITER, True, id="the library's default falls back to plain"),
        pytest.param("postgresql://kubernaut_writer@127.0.0.1/kubernaut", False, id="nobody is on the way"),
        pytest.param("postgresql://kubernaut_writer@%2Frun%2Fpostgresql/kubernaut", False, id="a socket"),
    ],
)
def test_a_way_that_others_can_read_is_known(address: str, *, plain: bool) -> None:
    """The auditor says so when it starts."""
    assert plain == in_plain(address, {})


@pytest.mark.parametrize(
    ("address", "environment", "plain"),
    [
        pytest.param(WRITER, {"PGSSLMODE": "verify-full"}, False, id="the environment says verify-full"),
        pytest.param(WRITER, {"PGSSLMODE": "require"}, True, id="the environment says less"),
        pytest.param(f"{WRITER}?sslmode=require", {"PGSSLMODE": "verify-full"}, True, id="the address goes before it"),
        pytest.param(f"{WRITER}?sslmode=verify-full", {"PGSSLMODE": "disable"}, False, id="also where it says more"),
        pytest.param(f"{WRITER}?service=audit", {"PGSSLMODE": "verify-full"}, True, id="a service goes before it"),
        pytest.param("postgresql:///x", {"PGHOST": "db.example"}, True, id="the host is in the environment"),
        pytest.param("postgresql:///x", {"PGHOST": "/run/postgresql"}, False, id="a folder of sockets"),
        pytest.param("postgresql://127.0.0.1/x", {"PGHOST": "db.example"}, False, id="a host in the address"),
    ],
)
def test_what_the_environment_says_counts_where_the_address_is_silent(
    address: str, environment: dict[str, str], *, plain: bool
) -> None:
    """As for asyncpg."""
    assert plain == in_plain(address, environment)


def test_the_library_takes_the_mode_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And only where the address has none: what it can make nothing of shows where it has looked."""
    monkeypatch.setenv("PGSSLMODE", "nonsense")

    without = asyncio.run(refusal("postgresql://me:secret@127.0.0.1:1/x"))
    with_one = asyncio.run(refusal("postgresql://me:secret@127.0.0.1:1/x?sslmode=disable"))

    assert "`sslmode` parameter must be one of" in without
    assert "sslmode" not in with_one


@pytest.mark.parametrize(
    ("environment", "given", "expected"),
    [
        pytest.param({"DATABASE_URL": WRITER}, None, WRITER, id="no file"),
        pytest.param(
            {"DATABASE_URL": WRITER, "KUBERNAUT_DATABASE_PASSWORD_FILE": "/run/p w"},
            None,
            f"{WRITER}?password_file=%2Frun%2Fp+w",
            id="a file",
        ),
        pytest.param(
            {"DATABASE_URL": f"{WRITER}?sslmode=require", "KUBERNAUT_DATABASE_PASSWORD_FILE": "/p"},
            None,
            f"{WRITER}?sslmode=require&password_file=%2Fp",
            id="beside other options",
        ),
        pytest.param({"KUBERNAUT_DATABASE_PASSWORD_FILE": "/p"}, None, "", id="no address"),
        pytest.param({"DATABASE_URL": WRITER}, "postgresql://a@b/c", "postgresql://a@b/c", id="an option goes first"),
        pytest.param(
            {"KUBERNAUT_DATABASE_PASSWORD_FILE": "/p"}, "postgresql://a:x@b/c", "postgresql://a:x@b/c", id="its own"
        ),
    ],
)
def test_the_address_carries_the_file(environment: dict[str, str], given: str | None, expected: str) -> None:
    """So that one string is all that whoever connects must be handed."""
    assert expected == database_address(environment, given)


def test_two_passwords_are_one_too_many() -> None:
    """Neither is shown."""
    environment = {"DATABASE_URL": "postgresql://a:s3cret@b/c", "KUBERNAUT_DATABASE_PASSWORD_FILE": "/p"}

    with pytest.raises(SettingsError, match="choose one") as caught:
        database_address(environment)

    assert "s3cret" not in str(caught.value)
