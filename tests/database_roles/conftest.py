"""A database with its three roles, on the server of all tests."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import msgspec
import pytest

from auditor.migrations import migrate
from auditor.roles import ROLES, set_up

if TYPE_CHECKING:
    from collections.abc import Iterator

_AWKWARD: Final = " a:p@ss/w%41rd'\\"
"""No character may need an escape anywhere."""


class Prepared(msgspec.Struct, frozen=True):
    """Where the database is, for its administrator and for each role."""

    admin: str
    passwords: Path

    def login(self, role: str) -> str:
        """Return the address for "owner", "writer" or "reader", with the password in a file."""
        name = f"{role}@"
        place = urlsplit(self.admin)
        address = place._replace(netloc=f"kubernaut_{name}{place.netloc.rpartition('@')[2]}")
        return urlunsplit(address._replace(query=f"password_file={quote(str(self.passwords / role))}"))


def at(database_url: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))


async def run(address: str, *statements: str) -> None:
    """Run statements, each by itself."""
    connection = await asyncpg.connect(address)
    try:
        for each in statements:
            await connection.execute(each)
    finally:
        await connection.close()


def write_passwords(folder: Path) -> Path:
    """Write a password for each role."""
    folder.mkdir(exist_ok=True)
    for role in ROLES:
        (folder / role).write_text(f"{role}{_AWKWARD}\n")
    return folder


@pytest.fixture
def bare(database_url: str) -> Iterator[str]:
    """The address of a database of the test's own; the roles that were not there before go with it."""
    name = f"roles_{uuid.uuid4().hex}"
    asyncio.run(run(database_url, f"CREATE DATABASE {name}"))
    yield at(database_url, name)
    asyncio.run(run(database_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def prepared(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """A database with roles and tables, made the documented way; tests leave its rights as they are."""
    name = f"roles_{uuid.uuid4().hex}"
    made = Prepared(at(database_url, name), write_passwords(tmp_path_factory.mktemp("passwords")))

    async def make() -> None:
        await run(database_url, f"CREATE DATABASE {name}")
        await set_up(made.admin, made.passwords)
        await migrate(made.login("owner"))

    asyncio.run(make())
    yield made
    asyncio.run(run(database_url, f"DROP DATABASE {name} WITH (FORCE)"))
    asyncio.run(run(database_url, *(f"DROP ROLE kubernaut_{role}" for role in ROLES)))
