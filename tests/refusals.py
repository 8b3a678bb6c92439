"""What the API server and NATS refused, by their own words: nothing, where services run under their own rights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from schemas.rbac import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OURS: Final = f"system:serviceaccount:{NAMESPACE}:"
_CODES: Final = (401, 403)


def refusals(audit_log: Path) -> list[str]:
    """Return a sentence for each request that was refused to an account of ours or that came with a bad token."""
    return [_sentence(entry) for entry in _refused(audit_log)]


def _refused(audit_log: Path) -> Iterator[dict[str, Any]]:
    with audit_log.open(encoding="utf-8") as lines:
        for line in lines:
            if not any(f'"code":{code}' in line for code in _CODES):  # most lines need no reading
                continue
            entry = json.loads(line)
            code = entry.get("responseStatus", {}).get("code")
            if code == 401 or (code == 403 and entry["user"].get("username", "").startswith(_OURS)):
                yield entry


def _sentence(entry: dict[str, Any]) -> str:
    who = entry["user"].get("username", "a bad token").removeprefix(_OURS)
    answer = entry["responseStatus"]
    return f"{who}: {entry['verb']} {entry['requestURI']}: {answer['code']} {answer.get('message', '')}"


def nats_refusals(logs: Path) -> list[str]:
    """Return what a nats-server refused to anybody, by its own log."""
    with (logs / "nats.log").open(encoding="utf-8", errors="replace") as lines:
        return [line.strip() for line in lines if " Violation - " in line or "authentication error" in line]
