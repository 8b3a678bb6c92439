"""Forty made-up secrets of fifteen kinds, and every form in which one of them might leave."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

import msgspec

_KINDS = {
    "password": "password={core}",
    "password in JSON": '{{"db_password": "{core}"}}',
    "token": "token: {core}",
    "bearer": "Authorization: Bearer {core}",
    "basic": "Basic {basic}",
    "api key": "api_key={core}",
    "AWS key": "AKIA{upper}",
    "GitHub token": "ghp_{core}",
    "Slack token": "xoxb-{core}",
    "JWT": "eyJ{core}.eyJ{core}.{core}",
    "PEM": "-----BEGIN PRIVATE KEY-----\n{core}\n-----END PRIVATE KEY-----",
    "URL": "postgres://user:{core}@db/shop",
    "signed URL": "https://bucket/x?sig={core}&se=1",
    "Azure": "AccountName=n;AccountKey={core};Suffix=x",
    "cookie": "Cookie: session={core}",
}
KINDS = tuple(_KINDS)


class Canary(msgspec.Struct, frozen=True):
    """A secret that nothing but the object itself may hold."""

    kind: str
    text: str
    """As a careless person writes it."""
    core: str
    """What is secret in it; found nowhere else in the world."""

    @property
    def forms(self) -> tuple[bytes, ...]:
        """What to look for: as it is, in base64 at each offset, in a URL."""
        core = self.core.encode()
        found = {core, quote(self.core, safe="").encode()}
        for offset in range(3):
            coded = base64.b64encode(b"x" * offset + core)
            found.add(coded[4 if offset else 0 : -4])  # the ends depend on what is beside it
        return tuple(found)


def canary(kind: str, place: str) -> Canary:
    """Return the secret of a kind for a place; the same in any process."""
    core = "Cnry" + hashlib.sha256(f"{kind}/{place}".encode()).hexdigest()[:28]
    if kind == "AWS key":
        core = core.upper()[:16]
    text = _KINDS[kind].format(core=core, upper=core, basic=base64.b64encode(f"user:{core}".encode()).decode())
    return Canary(kind, text, core)


def forty() -> dict[str, Canary]:
    """Return them by where they are put."""
    places = [f"{place}-{n}" for place in ("variable", "parameter", "annotation", "error", "result") for n in range(8)]
    return {place: canary(KINDS[n % len(KINDS)], place) for n, place in enumerate(places)}
