"""Times as Kubernetes writes them. Pure: must never ask a clock."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=4096)
def rfc3339(milliseconds: int) -> str:
    """Return the time in UTC, to the millisecond, of milliseconds since 1970: `2026-01-31T09:30:00.250Z`."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def rfc3339_or_none(milliseconds: int) -> str | None:
    """Return None for 0, which stands for a time that has not come."""
    return rfc3339(milliseconds) if milliseconds else None
