"""What the API server and NATS refused, by their own words: nothing, where services run under their own rights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from schemas.rbac import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OURS: Final = f"system:serviceaccount:{NAMESPACE}:"
_CODES: Final = ('"code":401', '"code":403')
_ALLOWED: Final = (*range(200, 300), 404)
"""An object that is not there is told to whoever may read it: the bridge's probe hears nothing else."""


def refusals(audit_log: Path) -> list[str]:
    """Return a sentence for each request that was refused to an account of ours or that came with a bad token.

    Not of rights that the account has, as what else it did shows: an API server that has just started refuses them for
    a moment, until it has read the roles.
    """
    refused = [entry for entry in _entries(audit_log, *_CODES) if _code(entry) == 401 or _is_forbidden(entry)]
    users = {entry["user"]["username"] for entry in refused if _is_forbidden(entry)}
    others = _entries(audit_log, *(f'"username":"{user}"' for user in users))
    had = {_right(entry) for entry in others if _code(entry) in _ALLOWED}
    return [_sentence(entry) for entry in refused if _right(entry) not in had]


def _entries(audit_log: Path, *words: str) -> Iterator[dict[str, Any]]:
    """Read the lines that hold one of the words; most need no reading."""
    with audit_log.open(encoding="utf-8") as lines:
        for line in lines:
            if any(word in line for word in words):
                yield json.loads(line)


def _code(entry: dict[str, Any]) -> int:
    code: int = entry.get("responseStatus", {}).get("code", 0)
    return code


def _is_forbidden(entry: dict[str, Any]) -> bool:
    return _code(entry) == 403 and entry["user"].get("username", "").startswith(_OURS)


def _right(entry: dict[str, Any]) -> tuple[str, ...]:
    target = entry.get("objectRef", {})
    asked = (target.get(key, "") for key in ("apiGroup", "resource", "subresource", "namespace"))
    return (entry["user"].get("username", ""), entry["verb"], *asked)


def _sentence(entry: dict[str, Any]) -> str:
    who = entry["user"].get("username", "a bad token").removeprefix(_OURS)
    answer = entry["responseStatus"]
    return f"{who}: {entry['verb']} {entry['requestURI']}: {answer['code']} {answer.get('message', '')}"


def nats_refusals(logs: Path) -> list[str]:
    """Return what a nats-server refused to anybody, by its own log."""
    with (logs / "nats.log").open(encoding="utf-8", errors="replace") as lines:
        return [line.strip() for line in lines if " Violation - " in line or "authentication error" in line]
