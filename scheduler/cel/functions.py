"""The operators and functions of CEL's standard library, on values. Pure, total: a value, a Failure or TooCostlyError.

Left out: bytes, unsigned numbers and types as values, which nothing in a workflow needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from scheduler.cel.conversions import (
    milliseconds,
    part,
    to_bool,
    to_double,
    to_duration,
    to_int,
    to_timestamp,
    units_of,
)
from scheduler.cel.limits import DEEPEST_VALUE, MOST_TEXT, Run
from scheduler.cel.regular import matches
from scheduler.cel.values import (
    SECOND,
    Failure,
    Instant,
    Span,
    TooCostlyError,
    instant,
    is_number,
    kind_of,
    no,
    span,
    text_of,
    whole,
)

Function = Callable[..., Any]

_CHARACTERS_A_UNIT: Final = 64


def equal(run: Run, left: Any, right: Any) -> bool:
    """Whether two values are the same: numbers by their value, lists and maps in depth, other kinds never."""
    waiting = [(left, right, 0)]
    while waiting:
        a, b, depth = waiting.pop()
        if isinstance(a, list | tuple | dict):
            if not _same_shape(a, b):
                return False
            if depth == DEEPEST_VALUE:
                raise TooCostlyError(f"a value is nested deeper than {DEEPEST_VALUE} levels")
            run.spend(1 + len(a))
            pairs = [(a[key], b[key]) for key in a] if isinstance(a, dict) else zip(a, b, strict=True)
            waiting.extend((x, y, depth + 1) for x, y in pairs)
            continue
        if isinstance(a, str):
            run.spend(len(a) // _CHARACTERS_A_UNIT)
        if isinstance(a, bool) != isinstance(b, bool) or a != b:
            return False
    return True


def _same_shape(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys()
    return isinstance(b, list | tuple) and len(a) == len(b)


def _compared(name: str, test: Callable[[Any, Any], bool]) -> Function:
    def compare(run: Run, left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            run.spend(len(left) // _CHARACTERS_A_UNIT)
        elif not (is_number(left) and is_number(right)) and (
            type(left) is not type(right) or not isinstance(left, bool | Instant | Span)
        ):
            no(name, left, right)
        return test(left, right)

    return compare


def _add(run: Run, left: Any, right: Any) -> Any:  # noqa: PLR0911 - one flat table
    match left, right:
        case (bool(), _) | (_, bool()):
            pass  # is an int in Python, and no number here
        case int(), int():
            return whole(left + right)
        case float(), float():
            return left + right
        case str(), str():
            return together(run, left, right)
        case (list() | tuple(), list() | tuple()):
            run.spend(len(left) + len(right))
            return [*left, *right]
        case Instant(), Span():
            return instant(left.nanoseconds + right.nanoseconds)
        case Span(), Instant():
            return instant(left.nanoseconds + right.nanoseconds)
        case Span(), Span():
            return span(left.nanoseconds + right.nanoseconds)
    return no("+", left, right)


def together(run: Run, left: str, right: str) -> str:
    """Put two texts together, up to the longest that may be."""
    length = len(left) + len(right)
    if length > MOST_TEXT:
        raise TooCostlyError(f"it puts together a text of {length} characters; the limit is {MOST_TEXT}")
    run.spend(length // _CHARACTERS_A_UNIT)
    return left + right


def _subtract(_run: Run, left: Any, right: Any) -> Any:
    match left, right:
        case (bool(), _) | (_, bool()):
            pass  # is an int in Python, and no number here
        case int(), int():
            return whole(left - right)
        case float(), float():
            return left - right
        case Instant(), Instant():
            return span(left.nanoseconds - right.nanoseconds)
        case Instant(), Span():
            return instant(left.nanoseconds - right.nanoseconds)
        case Span(), Span():
            return span(left.nanoseconds - right.nanoseconds)
    return no("-", left, right)


def _multiply(_run: Run, left: Any, right: Any) -> Any:
    match left, right:
        case (bool(), _) | (_, bool()):
            pass  # is an int in Python, and no number here
        case int(), int():
            return whole(left * right)
        case float(), float():
            return left * right
    return no("*", left, right)


def _divide(_run: Run, left: Any, right: Any) -> Any:
    match left, right:
        case (bool(), _) | (_, bool()):
            pass  # is an int in Python, and no number here
        case int(), int():
            if right == 0:
                raise Failure("division by zero")
            quotient = abs(left) // abs(right)
            return whole(quotient if (left < 0) == (right < 0) else -quotient)
        case float(), float():
            if right == 0:
                return _by_zero(left, right)
            return left / right
    return no("/", left, right)


def _by_zero(left: float, right: float) -> float:
    """As IEEE 754 has it; Python raises."""
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _remainder(_run: Run, left: Any, right: Any) -> Any:
    if isinstance(left, bool) or isinstance(right, bool) or not isinstance(left, int) or not isinstance(right, int):
        no("%", left, right)
    if right == 0:
        raise Failure("division by zero")
    return whole(abs(left) % abs(right) * (-1 if left < 0 else 1))


def _negate(_run: Run, value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return whole(-value)
    if isinstance(value, float):
        return -value
    return no("-", value)


def _not(_run: Run, value: Any) -> bool:
    return not value if isinstance(value, bool) else no("!", value)


def _in(run: Run, value: Any, group: Any) -> bool:
    if isinstance(group, dict):
        return is_key(value) and value in group
    if not isinstance(group, list | tuple):
        no("in", value, group)
    run.spend(len(group))
    return any(equal(run, value, each) for each in group)


def is_key(value: Any) -> bool:
    """Whether it can be a key of a map: text or a whole number."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def _index(_run: Run, group: Any, key: Any) -> Any:
    if isinstance(group, dict):
        if is_key(key) and key in group:
            return group[key]
        raise Failure(f"there is no entry {_short(key)}")
    if not isinstance(group, list | tuple) or not isinstance(key, int) or isinstance(key, bool):
        no("[ ]", group, key)
    if not 0 <= key < len(group):
        raise Failure(f"there is no element {_short(key)} in a list of {len(group)}")
    return group[key]


def _short(value: Any) -> str:
    if isinstance(value, str):
        return repr(value[:32])
    return str(value) if is_key(value) and abs(value) < 10**18 else kind_of(value)


def _size(_run: Run, value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else no("size", value)


def _of_text(name: str, test: Callable[[str, str], bool]) -> Function:
    def apply(run: Run, text: Any, part: Any) -> bool:
        if not isinstance(text, str) or not isinstance(part, str):
            no(name, text, part)
        run.spend((len(text) + len(part)) // _CHARACTERS_A_UNIT)
        return test(text, part)

    return apply


FUNCTIONS: Final[dict[str, Function]] = {
    "_==_": equal,
    "_!=_": lambda run, left, right: not equal(run, left, right),
    "_<_": _compared("<", lambda a, b: a < b),
    "_<=_": _compared("<=", lambda a, b: a <= b),
    "_>_": _compared(">", lambda a, b: a > b),
    "_>=_": _compared(">=", lambda a, b: a >= b),
    "_+_": _add,
    "_-_": _subtract,
    "_*_": _multiply,
    "_/_": _divide,
    "_%_": _remainder,
    "-_": _negate,
    "!_": _not,
    "@in": _in,
    "_[_]": _index,
    "size": _size,
    "contains": _of_text("contains", lambda text, part: part in text),
    "startsWith": _of_text("startsWith", str.startswith),
    "endsWith": _of_text("endsWith", str.endswith),
    "matches": matches,
    "int": to_int,
    "double": to_double,
    "string": lambda _run, value: text_of(value),
    "bool": to_bool,
    "timestamp": to_timestamp,
    "duration": to_duration,
    "dyn": lambda _run, value: value,
    "getFullYear": part("getFullYear", lambda t: int(t.year)),
    "getMonth": part("getMonth", lambda t: int(t.month) - 1),
    "getDayOfYear": part("getDayOfYear", lambda t: int(t.timetuple().tm_yday) - 1),
    "getDayOfMonth": part("getDayOfMonth", lambda t: int(t.day) - 1),
    "getDate": part("getDate", lambda t: int(t.day)),
    "getDayOfWeek": part("getDayOfWeek", lambda t: int(t.isoweekday()) % 7),
    "getHours": part("getHours", lambda t: int(t.hour), units_of(3600 * SECOND)),
    "getMinutes": part("getMinutes", lambda t: int(t.minute), units_of(60 * SECOND)),
    "getSeconds": part("getSeconds", lambda t: int(t.second), units_of(SECOND)),
    "getMilliseconds": milliseconds,
}
"""By the name that the checked tree has; each takes the run and its arguments."""
