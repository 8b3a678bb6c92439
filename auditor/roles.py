"""Sets up the roles of the audit's database, as roles.sql says. Run by the installer on request, never by a service."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from pathlib import Path
from typing import Final

import asyncpg

from auditor.database import Connection, connect, will_pass
from auditor.sql_files import statement
from runtime.errors import RefusedError, SettingsError, UnavailableError

ROLES: Final = ("owner", "writer", "reader")
"""kubernaut_owner, kubernaut_writer, kubernaut_reader."""
_CONNECT_SECONDS: Final = 10.0
_ITERATIONS: Final = 4096
"""PostgreSQL's own default (scram_iterations)."""
_SALT_BYTES: Final = 16


async def set_up(dsn: str, passwords: Path | None = None) -> list[str]:
    """Make the roles, give them their rights in this database, and hand tables that are there to kubernaut_owner.

    `passwords`: a directory with files `owner`, `writer`, `reader`, each holding one; roles without a file keep theirs.
    Returns a line for each role that was made or got a password. Raises SettingsError, RefusedError, UnavailableError.
    """
    secrets = {} if passwords is None else _secrets(passwords)
    connection = await connect(
        dsn, application="kubernaut-roles", seconds=_CONNECT_SECONDS, client_min_messages="warning", lock_timeout="30s"
    )
    try:
        return await _set_up(connection, secrets)
    except asyncpg.PostgresError as error:
        if will_pass(error):
            raise UnavailableError(f"PostgreSQL cannot set up roles now: {error}") from error
        message = (
            f"PostgreSQL refused to set up the roles ({error.sqlstate}): {error}; it takes a superuser, or the "
            "owner of the database who may create roles: docs/database.md"
        )
        raise RefusedError(message, reason=error.sqlstate or "") from error
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise UnavailableError(f"PostgreSQL went away: {error or type(error).__name__}") from error
    finally:
        connection.terminate()


async def _set_up(connection: Connection, secrets: dict[str, str]) -> list[str]:
    before = await _known(connection)
    await connection.execute(statement("roles"))
    done = [f"made role {name}" for name in sorted(await _known(connection) - before)]
    for role, secret in secrets.items():
        # A verifier in place of the password: statements get into the server's log.
        await connection.execute(f"ALTER ROLE kubernaut_{role} PASSWORD '{_verifier(secret)}'")
        done.append(f"set the password of role kubernaut_{role}")
    return done


async def _known(connection: Connection) -> set[str]:
    names = [f"kubernaut_{role}" for role in ROLES]
    return {
        row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY($1)", names)
    }


def _secrets(folder: Path) -> dict[str, str]:
    found = {}
    for role in ROLES:
        file = folder / role
        try:
            text = file.read_text(encoding="utf-8").rstrip("\r\n")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"the password file {file} cannot be read: {type(error).__name__}") from error
        if not text.isascii() or not text.isprintable() or not text:
            raise SettingsError(f"the password in {file} must be printable ASCII, at least one character")
        found[role] = text
    if not found:
        raise SettingsError(f"there is no password in {folder}: it must hold files named {', '.join(ROLES)}")
    return found


def _verifier(password: str) -> str:
    """Return what PostgreSQL stores of a password (RFC 5803; ASCII, so that SASLprep changes nothing)."""
    salt = os.urandom(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = [base64.b64encode(each).decode() for each in (salt, client, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{text[0]}${text[1]}:{text[2]}"
