"""Finds every error in one set of parameters at once, in words for people. Pure and total: it never raises.

Must never show a value that looks secret, nor more of any value than `SHOWN_CHARACTERS`.
"""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from schemas.redaction import MARKER, is_secret_name, redact
from schemas.texts import texts

SHOWN_CHARACTERS: Final = 64
MOST_ERRORS: Final = 32
"""Errors shown of one set of parameters; what is more is counted."""

_LARGEST_SHOWN: Final = 10**18
_HIDDEN: Final = "something that is not shown because it may be secret"
_TEMPLATE: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)


class Field(msgspec.Struct, frozen=True):
    """What a parameter must be, ready to be checked."""

    type: inspect.Type
    words: str
    required: bool


@cache
def fields_of(parameters: type[msgspec.Struct]) -> dict[str, Field]:
    """Parameters of a type by the name that users write."""
    info = inspect.type_info(parameters)
    found = {}
    for field in info.fields if isinstance(info, inspect.StructType) else ():
        kind, words = _plain(field.type)
        found[field.encode_name] = Field(kind, words, field.required)
    return found


def _plain(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """Take a type, and the members of a union, out of the descriptions around them."""
    words = ""
    while isinstance(kind, inspect.Metadata):
        words = (kind.extra_json_schema or {}).get("description", words)
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        members = [_plain(each) for each in kind.types]
        kind = inspect.UnionType(tuple(member for member, _ in members))
        words = words or next(filter(None, (told for _, told in members)), "")
    return kind, words


def has_template(value: Any) -> bool:
    """Whether any string in a JSON value holds `{{ expression }}`, so that only the rendered value can be checked."""
    return any("{{" in text and _TEMPLATE.search(text) for text in texts(value))


def is_left_open(value: Any) -> bool:
    """Whether a parameter cannot be checked yet: it is a template, or redaction took out a part of it."""
    return isinstance(value, str) and (has_template(value) or MARKER.search(value) is not None)


def shown(name: str, value: Any) -> str:
    """Return a value for an error message: short, on one line, and never a secret."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else "a list"
    if is_secret_name(name) or redact(value) is not value:
        return _HIDDEN
    if isinstance(value, str):
        text = repr(value[: SHOWN_CHARACTERS + 1])
        return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 4]}...'"
    if isinstance(value, int):
        return str(value) if abs(value) < _LARGEST_SHOWN else "a number of more than 18 digits"
    return repr(value)


def did_you_mean(name: str, known: list[str]) -> str:
    """Return `; did you mean x?` when a known name is near, else nothing."""
    near = difflib.get_close_matches(name[:SHOWN_CHARACTERS], known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def problems(parameters: type[msgspec.Struct], values: dict[str, Any]) -> tuple[str, ...]:
    """Return what is wrong with each parameter by itself, each with its path relative to the parameters."""
    fields = fields_of(parameters)
    missing = [name for name, field in fields.items() if field.required and name not in values]
    unknown = [name for name in values if name not in fields]
    found = [f"{_key(name)}: unknown parameter{did_you_mean(name, missing or list(fields))}" for name in unknown[:16]]
    if len(unknown) > len(found):
        found.append(f"*: {len(unknown) - len(found)} more unknown parameters")
    found += [f"{name}: missing{_must(fields[name].words)}" for name in missing]
    for name, field in fields.items():
        if name in values and not is_left_open(values[name]):
            found += _check(name, field, values[name])
    if len(found) > MOST_ERRORS:
        found[MOST_ERRORS:] = [f"*: {len(found) - MOST_ERRORS} more errors"]
    return tuple(found)


def _must(words: str) -> str:
    return f"; it must be {words}" if words else ""


def _key(name: str) -> str:
    """A name that a user made up, fit to be shown."""
    return name if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) and redact(name) is name else shown("", name)


def _check(name: str, field: Field, value: Any) -> list[str]:
    if isinstance(field.type, inspect.DictType) and isinstance(value, dict):
        return [
            f"{name}.{_key(key)}: must be text, is {shown(key, entry)}"
            for key, entry in value.items()
            if isinstance(field.type.value_type, inspect.StrType) and not isinstance(entry, str)
        ]
    wrong = _wrong(field.type, value)
    if wrong is None:
        return []
    return [f"{name}: must be {field.words or wrong}, is {shown(name, value)}"]


def _wrong(kind: inspect.Type, value: Any) -> str | None:
    """Return what a value must be when it is not, in words; None when it is right."""
    match kind:
        case inspect.UnionType():
            answers = [_wrong(each, value) for each in kind.types]
            return None if None in answers else " or ".join(filter(None, answers))
        case inspect.LiteralType():
            return None if value in kind.values else f"one of {', '.join(map(str, kind.values))}"
        case inspect.StrType():
            return _wrong_text(kind, value)
        case inspect.IntType() | inspect.FloatType():
            return _wrong_number(kind, value)
        case inspect.ListType():
            right = isinstance(value, list | tuple) and all(isinstance(item, dict) for item in value)
            return None if right else "a list of objects"
        case _:
            return None if isinstance(value, dict) else "an object"


def _wrong_text(kind: inspect.StrType, value: Any) -> str | None:
    if not isinstance(value, str):
        return "text"
    if len(value) < (kind.min_length or 0) or len(value) > (kind.max_length or len(value)):
        return f"text of {kind.min_length or 0} to {kind.max_length} characters"
    if kind.pattern is not None and (value.endswith("\n") or not re.search(kind.pattern, value)):
        return f"text like {kind.pattern}"
    return None


def _wrong_number(kind: inspect.IntType | inspect.FloatType, value: Any) -> str | None:
    whole = isinstance(kind, inspect.IntType)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return "a whole number" if whole else "a number"
    if kind.ge is not None and not value >= kind.ge:
        return f"{kind.ge} or more"
    if kind.gt is not None and not value > kind.gt:
        return f"more than {kind.gt}"
    if kind.le is not None and not value <= kind.le:
        return f"at most {kind.le}"
    return None
