"""JSON values that know where in a file they were written, and the way from a field path to such a place. Pure."""

from __future__ import annotations

import re
from typing import Any, Final, Literal, NamedTuple

import msgspec

from schemas.parameter_check import SHOWN_CHARACTERS, shown

Severity = Literal["error", "warning", "note"]

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_/-]{0,63}")
_INDEX: Final = re.compile(r"\[([0-9]{1,6})\]")
_IN_EXPRESSION: Final = re.compile(r"expression .* at 1:([0-9]+): ", re.DOTALL)
_EXPRESSIONS: Final = {"runIf", "skipIf", "expression"}
_ABOUT_KEYS: Final = ("unknown parameter", "the key ")
_END_OF_KEY: Final = (".", "[", ":")


class Place(NamedTuple):
    """A place in a text; both count from 1."""

    line: int
    column: int


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """A value and where it stands."""

    value: Any
    """The value as JSON has it; what JSON does not know was told and replaced by None."""
    at: Place
    """Where to point: at a value itself, at the key of an indented block."""
    text: str = ""
    """A scalar as it was written."""
    quoted: bool = False
    exact: bool = False
    """A text that stands in the file character by character, in one line."""
    told: bool = False
    """It could not be read, which was told already."""
    keys: dict[str, Place] = {}
    """Where each key of an object stands."""
    inner: dict[str | int, Located] = {}
    """The values of an object by key, of a list by index."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell about a text."""

    severity: Severity = "error"
    at: Place
    path: str = ""
    """Path of the field, such as `spec.workflowDefinition.steps[2].action`; empty for the text as a whole."""
    message: str
    """What is wrong and what to do."""


def joined(path: str, key: str | int) -> str:
    """Return the path of an entry of an object or list."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _PLAIN_KEY.fullmatch(key):
        return f"{path}[{shown('', key)}]"
    return f"{path}.{key}" if path else key


def node_at(root: Located, *way: str | int) -> Located | None:
    """Return the value of a field; None when it is not there."""
    node: Located | None = root
    for key in way:
        node = node.inner.get(key) if node is not None else None
    return node


def place_of(root: Located, *way: str | int) -> Place:
    """Return where a field stands; of one that is not there, where the nearest field around it does."""
    node, at = root, root.at
    for key in way:
        if key not in node.inner:
            break
        node = node.inner[key]
        at = node.at
    return at


def resolve(root: Located, told: str) -> Finding:
    """Return an error that begins with a field path as a finding at that field, or at what is nearest around it.

    Keys with dots and brackets in them are found: the file knows its keys. An error without a path is about the whole.
    """
    node, at, end = root, root.at, 0
    named: Place | None = None
    while step := _step(node, told, end):
        key, end = step
        named = node.keys.get(str(key))
        node = node.inner[key]
        at = node.at
    if end == 0:
        return Finding(at=at, message=told)
    field, colon, message = told[end:].partition(": ")
    if named is not None and not field and message.startswith(_ABOUT_KEYS):
        at = named
    within = _IN_EXPRESSION.match(message)
    if within and node.exact and told[:end].rpartition(".")[2] in _EXPRESSIONS:
        at = Place(at.line, at.column + node.quoted + int(within[1]) - 1)
    return Finding(at=at, path=told[:end] + field if colon else "", message=message if colon else told)


def _step(node: Located, told: str, start: int) -> tuple[str | int, int] | None:
    """Return the key that the path goes on with at `start`, and where it ends."""
    if isinstance(node.value, list):
        found = _INDEX.match(told, start)
        return (int(found[1]), found.end()) if found and int(found[1]) in node.inner else None
    best: tuple[str | int, int] | None = None
    for key in node.keys:
        for written in _spellings(key, first=start == 0):
            end = start + len(written)
            longer = best is None or end > best[1]
            if longer and told.startswith(written, start) and told.startswith(_END_OF_KEY, end):
                best = (key, end)
    return best


def _spellings(key: str, *, first: bool) -> tuple[str, ...]:
    """How a path may name a key: after a dot, or in brackets with quotes, cut where it is long."""
    quoted = (repr(key[:32]), shown("", key[:SHOWN_CHARACTERS]))
    dot = "" if first else "."
    return (f"{dot}{key}", *(f"{dot}{text}" for text in quoted), *(f"[{text}]" for text in quoted))
