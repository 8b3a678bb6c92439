"""Times as Kubernetes and people write them. Pure: must never ask a clock."""

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


def moment(milliseconds: int, now: int) -> str:
    """Return a time for a sentence, in UTC to the second: `09:30:00Z`, with the date unless it is that of `now`."""
    one, other = (datetime.fromtimestamp(time / 1000, UTC) for time in (milliseconds, now))
    return f"{one:%H:%M:%SZ}" if one.date() == other.date() else f"{one:%Y-%m-%dT%H:%M:%SZ}"
