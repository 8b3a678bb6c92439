"""Where NATS is and how one proves there who one is, in one address, so that an address is all that one needs. Pure.

Written as `tls://a:4222,tls://b:4222?seed_file=/etc/nats/seed&tls_dir=/etc/nats/tls`; no secret stands in it, only the
names of the files that hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from runtime.errors import SettingsError

EXAMPLE: Final = "NATS_URL=nats://127.0.0.1:4222"
SEED_FILE: Final = "KUBERNAUT_NATS_SEED_FILE"
CREDS_FILE: Final = "KUBERNAUT_NATS_CREDS_FILE"
TLS_DIR: Final = "KUBERNAUT_NATS_TLS_DIR"
TLS_FIRST: Final = "KUBERNAUT_NATS_TLS_FIRST"
_VARIABLES: Final = {"seed_file": SEED_FILE, "creds_file": CREDS_FILE, "tls_dir": TLS_DIR, "tls_first": TLS_FIRST}
_SCHEMES: Final = ("nats://", "tls://")
_PORT: Final = 4222
"""Where no port is given; nats-py takes the same."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Files that prove who one is, and who the server is. Empty: nothing of the kind."""

    seed_file: str = ""
    """The seed of an NKey (`SU…`)."""
    creds_file: str = ""
    """A user's JWT with its seed, as `nsc` writes it; instead of a seed."""
    tls_dir: str = ""
    """Directory with `ca.crt`, and `tls.crt` with `tls.key` where the server asks for a certificate."""
    tls_first: bool = False
    """The TLS handshake comes before any word of the server's (`handshake_first`)."""


def nats_address(environment: Mapping[str, str], given: str | None = None) -> str:
    """Return the address, `given` before NATS_URL, with what the environment says of the login; empty: nowhere.

    Raises SettingsError that names the variable and gives an example.
    """
    url = given or environment.get("NATS_URL", "").strip()
    if not url:
        return ""
    about = "the address of NATS" if given else "NATS_URL"
    for address in url.partition("?")[0].split(","):
        if not address.strip().startswith(_SCHEMES):
            raise SettingsError(
                f"{about} must begin with nats:// or tls://, such as {EXAMPLE.removeprefix('NATS_URL=')}"
            )
    if "?" in url:
        parse(url)
        return url
    found = {key: environment.get(variable, "").strip() for key, variable in _VARIABLES.items()}
    query = urlencode({key: value for key, value in found.items() if value})
    url = f"{url}?{query}" if query else url
    parse(url)
    return url


def parse(url: str) -> tuple[list[str], Login]:
    """Return the addresses, `tls://` where TLS was asked for, and the login. Raises SettingsError."""
    where, _, query = url.partition("?")
    addresses = [address.strip() for address in where.split(",")]
    found = dict(parse_qsl(query))
    if unknown := sorted(found.keys() - _VARIABLES.keys()):
        raise SettingsError(
            f"the address of NATS says {', '.join(unknown)}, which means nothing; it may say {', '.join(_VARIABLES)}"
        )
    if (first := found.get("tls_first", "false")) not in ("true", "false"):
        raise SettingsError(f"{TLS_FIRST}={first!r} is neither true nor false; true where the server's TLS comes first")
    if found.get("seed_file") and found.get("creds_file"):
        raise SettingsError(f"{SEED_FILE} and {CREDS_FILE} both say who this is; choose one")
    login = Login(
        seed_file=found.get("seed_file", ""),
        creds_file=found.get("creds_file", ""),
        tls_dir=found.get("tls_dir", ""),
        tls_first=first == "true",
    )
    if login.tls_dir or login.tls_first:
        addresses = [f"tls://{address.removeprefix('nats://').removeprefix('tls://')}" for address in addresses]
    return addresses, login


def same_system(one: str, other: str) -> bool:
    """Whether both lead to the same servers, whoever logs in and however: a server in common is enough."""
    return not _places(one).isdisjoint(_places(other))


def _places(url: str) -> set[tuple[str, int]]:
    """Return host and port of each server; those that nobody can connect to are left out."""
    places = set()
    for address in parse(url)[0]:
        try:
            parts = urlsplit(address)
            places.add((_host(parts.hostname or ""), parts.port or _PORT))
        except ValueError:  # such a port, or such brackets
            continue
    return places


def _host(name: str) -> str:
    """Return it as it is compared: `localhost` is 127.0.0.1, and an IPv6 address has one spelling."""
    if name == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(name))
    except ValueError:
        return name.removesuffix(".")


def shown(url: str) -> str:
    """Return the addresses for people: without user, password, and the names of files."""
    addresses = url.partition("?")[0].split(",")
    return ", ".join(
        each.strip().rpartition("@")[2].removeprefix("nats://").removeprefix("tls://") for each in addresses
    )
