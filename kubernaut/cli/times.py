"""Times and durations as people read them. Pure: now is an argument."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_TENTHS_BELOW: Final = 60
_TWO_UNITS_BELOW_DAYS: Final = 8


def milliseconds(text: str | None) -> int:
    """Return the milliseconds since 1970 of an RFC 3339 time; 0 for none and for what is no time."""
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)


def clock_time(moment: int) -> str:
    """Return a time in ms since 1970 as UTC with milliseconds, such as `2026-01-01T10:00:00.250Z`."""
    text = datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def elapsed(seconds: float) -> str:
    """Return a duration for somebody who watches: tenths below a minute, else two units (`3m12s`, `2h5m`)."""
    if seconds < _TENTHS_BELOW:
        return f"{max(seconds, 0):.1f}s"
    return age(seconds)


def age(seconds: float) -> str:
    """Return an age as kubectl does: `12s`, `3m12s`, `2h5m`, `3d4h`, `12d`."""
    whole = max(int(seconds), 0)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < _TWO_UNITS_BELOW_DAYS * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    return f"{whole // _DAY}d"


def _two(whole: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = whole % large // small
    return f"{whole // large}{large_unit}" + (f"{rest}{small_unit}" if rest else "")
