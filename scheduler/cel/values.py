"""Values of expressions: JSON values, points in time and spans of time; equality and order as CEL has them. Pure.

A boolean is never a number here, although Python thinks so.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

import msgspec

SECOND: Final = 1_000_000_000
LEAST_INT: Final = -(2**63)
MOST_INT: Final = 2**63 - 1
EARLIEST: Final = -62_135_596_800 * SECOND
"""0001-01-01T00:00:00Z."""
LATEST: Final = 253_402_300_800 * SECOND - 1
"""9999-12-31T23:59:59.999999999Z."""
LONGEST: Final = 315_576_000_000 * SECOND
"""Ten thousand years, as protobuf's Duration has it."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN: Final = re.compile(r"[+-]?(?:[0-9]{1,20}(?:[.][0-9]{0,20})?(?:ns|us|µs|ms|s|m|h))+")
_PART: Final = re.compile(r"([0-9]+)(?:[.]([0-9]*))?(ns|us|µs|ms|s|m|h)")
_UNITS: Final = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.]([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_OFFSET: Final = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")


class Failure(Exception):  # noqa: N818 - it is CEL's error value, which && and || may absorb
    """An evaluation that gives no value. `at` is where in the text, once that is known."""

    def __init__(self, message: str, at: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


class TooCostlyError(Exception):
    """The evaluation is past its limits; nothing absorbs that."""


class Instant(msgspec.Struct, frozen=True, order=True):
    """A point in time, in nanoseconds since 1970."""

    nanoseconds: int


class Span(msgspec.Struct, frozen=True, order=True):
    """A length of time in nanoseconds."""

    nanoseconds: int


def kind_of(value: Any) -> str:
    """Return the kind of a value in words for people."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, list | tuple):
        return "a list"
    names = {
        int: "a whole number",
        float: "a number",
        str: "text",
        dict: "a map",
        Instant: "a time",
        Span: "a duration",
    }
    return names.get(type(value), "something unknown")


def no(name: str, *values: Any) -> NoReturn:
    """Raise Failure: the operator or function is not for values of these kinds."""
    raise Failure(f"{name} does not work on {' and '.join(kind_of(value) for value in values)}")


def is_number(value: Any) -> bool:
    """Whether it is a number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: int) -> int:
    """Return the number if it fits into 64 bits, as CEL's do; else raise Failure."""
    if LEAST_INT <= value <= MOST_INT:
        return value
    raise Failure("the whole number does not fit into 64 bits")


def instant(nanoseconds: int) -> Instant:
    """Return a point in time between the years 1 and 9999; raises Failure for others."""
    if EARLIEST <= nanoseconds <= LATEST:
        return Instant(nanoseconds)
    raise Failure("the time is not between the years 1 and 9999")


def span(nanoseconds: int) -> Span:
    """Return a duration of at most 10,000 years; raises Failure for longer ones."""
    if -LONGEST <= nanoseconds <= LONGEST:
        return Span(nanoseconds)
    raise Failure("the duration is longer than 10,000 years")


def read_span(text: str) -> Span:
    """Return the duration that a text such as `1h30m` or `-1.5s` says."""
    if text != "0" and (len(text) > 64 or not _SPAN.fullmatch(text)):  # noqa: PLR2004 - longer than any
        raise Failure(f"{text[:32]!r} is not a duration; write a number and a unit, such as '90s' or '1h30m'")
    total = 0
    for number, fraction, unit in _PART.findall(text):
        total += int(number) * _UNITS[unit]
        total += int(fraction or "0") * _UNITS[unit] // 10 ** len(fraction)
    return span(-total if text.startswith("-") else total)


def read_instant(text: str) -> Instant:
    """Return the time that an RFC 3339 text says."""
    found = _INSTANT.fullmatch(text)
    try:
        if found is not None:
            date, clock, fraction, zone = found.groups()
            seconds = (datetime.fromisoformat(f"{date}T{clock}+00:00") - _EPOCH) // timedelta(seconds=1)
            return instant((seconds - offset_of(zone)) * SECOND + int((fraction or "").ljust(9, "0")))
    except ValueError:
        pass
    raise Failure(f"{text[:32]!r} is not a time; write it like '2026-01-31T12:00:00Z'")


def offset_of(zone: str) -> int:
    """Return the seconds that a zone is ahead of UTC: `UTC` or an offset such as `+02:00`.

    Names of places are not known: what they mean is in tables that differ from machine to machine.
    """
    if zone in {"UTC", "Z"}:
        return 0
    found = _OFFSET.fullmatch(zone)
    if found is None or int(found[2]) > 23 or int(found[3]) > 59:  # noqa: PLR2004 - hours and minutes
        raise Failure(f"{zone[:32]!r} is not a time zone here; write 'UTC' or an offset such as '+02:00'")
    seconds = int(found[2]) * 3600 + int(found[3]) * 60
    return -seconds if found[1] == "-" else seconds


def calendar(value: Instant, zone: str = "UTC") -> datetime:
    """Return the date and time of day in a zone; without what is smaller than a second."""
    nanoseconds = instant(value.nanoseconds + offset_of(zone) * SECOND).nanoseconds
    return _EPOCH + timedelta(seconds=nanoseconds // SECOND)


def text_of(value: Any) -> str:
    """Return a value as `string()` gives it; raises Failure for lists and maps."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(whole(value))
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, Instant):
        return f"{calendar(value):%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + _fraction(value.nanoseconds % SECOND) + "Z"
    if isinstance(value, Span):
        seconds, rest = divmod(abs(value.nanoseconds), SECOND)
        return f"{'-' if value.nanoseconds < 0 else ''}{seconds}{_fraction(rest)}s"
    raise Failure(f"{kind_of(value)} cannot be made text")


def _fraction(nanoseconds: int) -> str:
    """None, three, six or nine digits, as protobuf writes them."""
    if nanoseconds % 1_000_000 == 0:
        return f".{nanoseconds // 1_000_000:03}" if nanoseconds else ""
    return f".{nanoseconds // 1000:06}" if nanoseconds % 1000 == 0 else f".{nanoseconds:09}"
