"""From the text of an expression to its checked tree. The only module that knows the CEL library.

The library reads and type-checks; it does not evaluate, for three reasons that were measured on 0.1.3: it goes through
maps in an order that differs from process to process (a decision must not), it lets go of `None` once too often for
every null that it returns (which ends the process in time), and it converts all steps at each evaluation (600 us for
256). Only regular expressions are its own: RE2 takes linear time where Python's `re` may take forever.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import msgspec
from cel_expr_python import cel

from scheduler.cel.tree import Call, Const, Fold, Ident, Items, Node, Pairs, Select
from scheduler.cel.values import Failure

_TEXT: Final = cel.Type.STRING
_ENVIRONMENT: Final = cel.NewEnv(
    variables={
        "variables": cel.Type.Map(_TEXT, _TEXT),
        "steps": cel.Type.Map(cel.Type.INT, cel.Type.DYN),
        "workflow": cel.Type.Map(_TEXT, cel.Type.DYN),
        "now": cel.Type.TIMESTAMP,
    }
)
_MATCHES: Final = cel.NewEnv(variables={"text": _TEXT, "pattern": _TEXT}).compile("text.matches(pattern)")
_ERROR: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?:\n \||\nERROR:| \[[A-Z_]+\]$|$)")
_UNDECLARED: Final = re.compile(r"undeclared reference to '(.*?)' \(in container ''\)")
_NO_OVERLOAD: Final = re.compile(r"found no matching overload for '@?_?([^\w]*|.*?)_?' applied to '(.*)'")
_TOO_DEEP: Final = re.compile("recursion limit exceeded|recursion depth")
_LONGEST_MESSAGE: Final = 200


class Unreadable(Exception):  # noqa: N818 - what is wrong with a text, not with this program
    """The text is no expression, or none that makes sense; `line` is 0 when the place is not known."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class Checked(msgspec.Struct, frozen=True):
    """An expression that was read and type-checked."""

    root: Node
    gives: str
    """Type of the result as CEL names it: BOOL, DYN when it depends on the values, STRING …"""


def read(text: str) -> Checked:
    """Read and check an expression; raises Unreadable. The parser itself refuses more than 32 levels of nesting."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unreadable("it holds a character that is none (half of a surrogate pair)") from error
    try:
        checked = _ENVIRONMENT.compile(text)
        gives = checked.return_type().name()  # refuses kinds that the type checker let pass, such as {1.5: 1}
    except (RuntimeError, TypeError, ValueError) as error:
        _refuse(str(error))
    (wrapped,) = _bytes_of(checked.serialize(), 2)
    (tree, source) = _bytes_of(wrapped, 4, 5)
    places = dict(_place(entry) for field, entry in _fields(source) if field == 4)  # noqa: PLR2004 - positions
    return Checked(root=_node(tree, places), gives=gives)


def matches(text: str, pattern: str) -> bool:
    """Whether a regular expression (RE2) is found anywhere in the text; raises Failure when it is none.

    Both must be valid Unicode without NUL: the library would cut the text there.
    """
    found = _MATCHES.eval(data={"text": text, "pattern": pattern})
    if found.type() == cel.Type.BOOL:
        return bool(found.value())
    words = str(found.value()).removeprefix("INVALID_ARGUMENT: ")
    raise Failure(words[:_LONGEST_MESSAGE])


def _refuse(raw: str) -> NoReturn:
    """Raise Unreadable with the first error that the library told."""
    if _TOO_DEEP.search(raw):
        raise Unreadable("it is nested too deep, or has too many operators in a row; the limit is 32")
    found = _ERROR.search(raw)
    if found is None:
        raise Unreadable(raw.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")[:_LONGEST_MESSAGE])
    message = _in_words(" ".join(found[3].split()))
    raise Unreadable(message[:_LONGEST_MESSAGE], max(int(found[1]), 0), max(int(found[2]), 0))


def _in_words(message: str) -> str:
    if found := _UNDECLARED.search(message):
        return f"there is no {found[1]}; the names are variables, steps, workflow and now"
    if found := _NO_OVERLOAD.search(message):
        return f"{found[1] or 'this'} does not work on {found[2]}"
    return message.partition(" expecting {")[0]  # a list of all tokens helps nobody


# What `serialize` gives is cel.expr.CheckedExpr in the protobuf wire format; the numbers are those of its fields in
# https://github.com/google/cel-spec, proto/cel/expr/syntax.proto, which are there to stay.


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of a message: an int, or bytes."""
    place = 0
    while place < len(raw):
        key, place = _varint(raw, place)
        match key & 7:
            case 0:
                value, place = _varint(raw, place)
                yield key >> 3, value
            case 1:
                yield key >> 3, raw[place : place + 8]
                place += 8
            case 2:
                length, place = _varint(raw, place)
                yield key >> 3, raw[place : place + length]
                place += length
            case other:
                message = f"wire type {other} is not known"
                raise ValueError(message)


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte of the number
            return value, place


def _bytes_of(raw: bytes, *numbers: int) -> tuple[bytes, ...]:
    known = dict(_fields(raw))
    return tuple(known.get(number, b"") for number in numbers)


def _place(entry: bytes) -> tuple[int, int]:
    known = dict(_fields(entry))
    return known[1], known.get(2, 0)  # the format leaves out a place of 0


def _node(raw: bytes, places: dict[int, int]) -> Node:  # noqa: PLR0911 - one flat table, a row a kind of part
    known = dict(_fields(raw))
    at = places.get(known.pop(2), 0)
    ((kind, body),) = known.items()
    match kind:
        case 3:
            return Const(at, _constant(body))
        case 4:
            return Ident(at, _text(body, 1))
        case 5:
            (operand,) = _bytes_of(body, 1)
            return Select(at, _node(operand, places), _text(body, 2), test=bool(dict(_fields(body)).get(3)))
        case 6:
            arguments = tuple(_node(part, places) for field, part in _fields(body) if field in {1, 3})
            return Call(at, _text(body, 2), arguments)
        case 7:
            return Items(at, tuple(_node(part, places) for field, part in _fields(body) if field == 1))
        case 8:
            return _pairs(body, at, places)
        case 9:
            over, start, condition, step, result = (_node(part, places) for part in _bytes_of(body, 2, 4, 5, 6, 7))
            return Fold(at, over, _text(body, 1), _text(body, 3), start, condition, step, result)
    message = f"part {kind} of an expression is not known"
    raise ValueError(message)


def _pairs(body: bytes, at: int, places: dict[int, int]) -> Node:
    if name := _text(body, 1):
        raise Unreadable(f"a message of type {name} cannot be made here; only lists and maps can")
    entries = [_bytes_of(part, 3, 4) for field, part in _fields(body) if field == 2]  # noqa: PLR2004 - entries
    return Pairs(at, tuple((_node(key, places), _node(value, places)) for key, value in entries))


def _text(body: bytes, number: int) -> str:
    return _bytes_of(body, number)[0].decode()


def _constant(body: bytes) -> Any:
    ((kind, value),) = dict(_fields(body)).items()
    match kind:
        case 1:
            return None
        case 2:
            return bool(value)
        case 3:
            return value - 2**64 if value >= 2**63 else value
        case 5:
            return struct.unpack("<d", value)[0]
        case 6:
            return value.decode()
    words = "unsigned numbers such as 1u" if kind == 4 else "bytes such as b'a'"  # noqa: PLR2004 - uint64_value
    raise Unreadable(f"{words} are not known here; write whole numbers and text")
