"""Connects to PostgreSQL: the one place that knows TLS, the password file and how a login is refused.

An address is a PostgreSQL URL. It may carry what libpq knows (sslmode, sslrootcert, sslcert, sslkey, …) and
`password_file`, which `runtime.settings.database_address` puts there. Every file is read anew for each connection, so
that a Secret that is replaced is used by the next one. No error holds a password.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import asyncpg

from runtime.errors import UnavailableError
from runtime.settings import PASSWORD_FILE

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_VERIFIED: Final = ("verify-full", "verify-ca")
_LOCAL: Final = ("", "127.0.0.1", "::1", "localhost")
_UNKNOWN: Final = "unknown.invalid"
_PASSING: Final = frozenset({"08", "53", "55", "57"})
"""Classes of SQLSTATE that pass: connection, resources, a lock held too long, shutting down or starting."""
_LOGIN: Final = "28"
"""Class of SQLSTATE: the login was refused."""
_CLIENT_CERTIFICATE: Final = "client certificate"
_NO_TLS: Final = "no encryption"
"""Words of PostgreSQL where pg_hba.conf admits nobody who comes so."""
_ROLE: Final = "kubernaut_"
_MADE: Final = "If neither was ever made, run python -m kubernaut.install --only roles"


async def connect(address: str, *, application: str, seconds: float, **settings: str) -> Connection:
    """Connect. `settings`: those of the server for this session. Raises UnavailableError, which says what to mend."""
    try:
        dsn, password = _read(address)
        return await asyncpg.connect(
            dsn,
            password=password,
            timeout=seconds,
            server_settings={"application_name": application, "timezone": "UTC", **settings},
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError) as error:
        raise UnavailableError(_told(error, address)) from error


def will_pass(error: asyncpg.PostgresError) -> bool:
    """Tell whether the same may go through later with nothing mended."""
    return (error.sqlstate or "")[:2] in _PASSING


def in_plain(address: str, environment: Mapping[str, str]) -> bool:
    """Tell whether somebody on the way to another machine could read or answer what is sent there.

    What the address leaves open, asyncpg takes from the service that it names, else from PGHOST and PGSSLMODE. What a
    service says is not looked at: then only what the address itself says is believed.
    """
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query))
    beside = {"PGHOST": _UNKNOWN} if "service" in query else environment
    hosts = unquote(parts.netloc.rpartition("@")[2]) or query.get("host") or beside.get("PGHOST", "")
    mode = query.get("sslmode") or beside.get("PGSSLMODE", "")
    return mode.replace("_", "-") not in _VERIFIED and not all(map(_is_here, hosts.split(",")))


def _is_here(host: str) -> bool:
    """Tell whether a host, as an address has it with its port, is this machine; a folder of sockets is."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return host.startswith("/") or name.lower() in _LOCAL


def _read(address: str) -> tuple[str, str | None]:
    """Return the address without what only we know, and the password if a file has it."""
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query))
    for name in _FILES:
        if name in query:
            _text(name, query[name])
    file = query.pop(PASSWORD_FILE, None)
    if file is None:
        return address, None
    password = _text("KUBERNAUT_DATABASE_PASSWORD_FILE", file).rstrip("\r\n")
    if not password:
        raise UnavailableError(f"the password file {file} of PostgreSQL is empty")
    return urlunsplit(parts._replace(query=urlencode(query))), password


def _text(setting: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UnavailableError(f"the file {path} that {setting} names cannot be read: {why}") from error


def _told(error: BaseException, address: str) -> str:
    if isinstance(error, asyncpg.PostgresError):
        refused = (error.sqlstate or "")[:2] == _LOGIN
        way_out = _way_out(str(error), address) if refused else ""
        return f"PostgreSQL{' refuses the login' if refused else ''}: {error} ({error.sqlstate}){way_out}"
    if isinstance(error, ssl.SSLError):
        return _tls(error)
    if isinstance(error, ConnectionError) and "rejected SSL" in str(error):
        return "PostgreSQL has no TLS switched on, which sslmode demands; switch it on there (ssl = on)"
    reason = "it did not answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return f"PostgreSQL cannot be reached: {reason}"


def _tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of PostgreSQL is refused: {error.verify_message}; sslrootcert must name the CA that "
            "signed it, and the host in the address must be one that it is made out to"
        )
    return f"TLS with PostgreSQL failed: {error.reason or error}; look at sslcert, sslkey and sslrootcert"


def _way_out(text: str, address: str) -> str:
    if _CLIENT_CERTIFICATE in text:
        return "; give one with sslcert and sslkey in the address"
    if _NO_TLS in text:
        return "; if it wants TLS, add sslmode=verify-full and sslrootcert to the address"
    user = unquote(urlsplit(address).username or "")
    if not user:
        return ""
    asked = f"; has the password of {user} changed, and is it in the file or the address?"
    return f"{asked} {_MADE}" if user.startswith(_ROLE) else asked
