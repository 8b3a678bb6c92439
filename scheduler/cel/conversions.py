"""Conversions between kinds of values, and the parts of times and durations. Pure; a value or a Failure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from scheduler.cel.limits import Run
from scheduler.cel.values import (
    SECOND,
    Failure,
    Instant,
    Span,
    calendar,
    instant,
    is_number,
    no,
    read_instant,
    read_span,
    whole,
)

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,4})?")
_TRUE: Final = frozenset({"1", "t", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "false", "FALSE", "False"})


def to_int(_run: Run, value: Any) -> int:
    """Return a whole number from a number, a text or a time (its seconds)."""
    if isinstance(value, bool):
        no("int", value)
    if isinstance(value, int):
        return whole(value)
    if isinstance(value, float) and math.isfinite(value):
        return whole(int(value))
    if isinstance(value, Instant):
        return value.nanoseconds // SECOND
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return whole(int(value))
    if isinstance(value, str):
        raise Failure(f"{value[:32]!r} is not a whole number")
    return no("int", value)


def to_double(_run: Run, value: Any) -> float:
    """Return a number from a number or a text."""
    if isinstance(value, str):
        if len(value) > 64 or not _NUMBER.fullmatch(value):  # noqa: PLR2004 - longer than any number
            raise Failure(f"{value[:32]!r} is not a number")
        return float(value)
    return float(whole(value) if isinstance(value, int) else value) if is_number(value) else no("double", value)


def to_bool(_run: Run, value: Any) -> bool:
    """Return a boolean from one or from a text."""
    if isinstance(value, str):
        if value in _TRUE | _FALSE:
            return value in _TRUE
        raise Failure(f"{value[:32]!r} is not a boolean; write true or false")
    return value if isinstance(value, bool) else no("bool", value)


def to_timestamp(_run: Run, value: Any) -> Instant:
    """Return a point in time from one, from RFC 3339 or from seconds."""
    if isinstance(value, str):
        return read_instant(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return instant(value * SECOND)
    return value if isinstance(value, Instant) else no("timestamp", value)


def to_duration(_run: Run, value: Any) -> Span:
    """Return a duration from one or from a text such as 1h30m."""
    if isinstance(value, str):
        return read_span(value)
    return value if isinstance(value, Span) else no("duration", value)


def part(name: str, of_time: Callable[[Any], int], of_span: Callable[[int], int] | None = None) -> Callable[..., int]:
    """A part of a time in a zone, or a whole duration in some unit."""

    def get(_run: Run, value: Any, zone: Any = "UTC") -> int:
        if isinstance(value, Instant) and isinstance(zone, str):
            return of_time(calendar(value, zone))
        if isinstance(value, Span) and of_span is not None:
            return of_span(value.nanoseconds)
        return no(name, value)

    return get


def units_of(size: int, most: int | None = None) -> Callable[[int], int]:
    """Return what counts whole units of a size, in nanoseconds, towards zero; less than `most` of them."""

    def count(nanoseconds: int) -> int:
        units = abs(nanoseconds) // size
        units = units if most is None else units % most
        return -units if nanoseconds < 0 else units

    return count


def milliseconds(_run: Run, value: Any, _zone: Any = "UTC") -> int:
    """Return the thousandths of a second of a time or a duration."""
    if isinstance(value, Instant):
        return value.nanoseconds % SECOND // 1_000_000
    return units_of(1_000_000, 1000)(value.nanoseconds) if isinstance(value, Span) else no("getMilliseconds", value)
