"""Whether a value has the shape that a structural schema asks for: every flaw at once, and the value without them.

What is wrong is left out of the mended value, or stands in for where it is required, so that the rules of planning can
look at all the rest. Pure and total.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from kubernaut.cli.linting.located import Finding, Located, Place, Severity, joined
from kubernaut.cli.linting.shape_words import of_kind, pattern_words, quoted_instead, unit_instead
from schemas import durations
from schemas.parameter_check import did_you_mean, shown
from schemas.redaction import is_secret_name

Schema = Mapping[str, Any]

_LEFT_OUT: Final = object()
_INT64: Final = 2**63
_STAND_IN_NUMBER: Final = 1_000_000
_ANY: Final = "x-kubernetes-preserve-unknown-fields"


class Mended(msgspec.Struct, frozen=True):
    """What became of a value."""

    value: Any
    findings: list[Finding]
    changed: frozenset[str]
    """Paths of what was left out or stands in: what planning says about them is about the stand-in."""


def mend(root: Located, schema: Schema, path: str = "") -> Mended:
    """Check a value against a schema."""
    mender = _Mender()
    value = mender.mend(root, schema, path)
    if value is _LEFT_OUT:
        value = mender.stand_in(schema, path)
    return Mended(value, mender.findings, frozenset(mender.changed))


class _Mender:
    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.changed: set[str] = set()
        self._numbers = iter(range(_STAND_IN_NUMBER, 0, -1))

    def mend(self, node: Located, schema: Schema, path: str) -> Any:
        """Return the value without what is wrong in it; `_LEFT_OUT` when nothing of it is left."""
        if node.told:
            self.changed.add(path)
            return _LEFT_OUT
        kind = schema.get("type")
        if schema.get(_ANY) or (
            kind == "object" and "properties" not in schema and "additionalProperties" not in schema
        ):
            return node.value
        if wrong := _wrong(kind, node, schema, path):
            self._tell(node.at, path, wrong)
            return _LEFT_OUT
        if kind == "object":
            return self._object(node, schema, path) if "properties" in schema else self._map(node, schema, path)
        return self._list(node, schema, path) if kind == "array" else node.value

    def stand_in(self, schema: Schema, path: str) -> Any:
        """Return a value that the schema allows, for what is required and missing."""
        self.changed.add(path)
        kind = schema.get("type")
        if kind == "object":
            properties = schema.get("properties", {})
            return {key: self.stand_in(properties[key], joined(path, key)) for key in schema.get("required", ())}
        if kind == "array":
            return [self.stand_in(schema["items"], joined(path, 0)) for _ in range(schema.get("minItems", 0))]
        if kind == "integer":
            return next(self._numbers) if schema.get("maximum") == _STAND_IN_NUMBER else schema.get("minimum", 0)
        if kind == "string":
            return schema["enum"][0] if "enum" in schema else "x"
        return {"number": 1.0, "boolean": False}.get(str(kind))

    def _tell(self, at: Place, path: str, message: str, severity: Severity = "error") -> None:
        self.findings.append(Finding(severity=severity, at=at, path=path, message=message))
        if severity == "error":
            self.changed.add(path)

    def _object(self, node: Located, schema: Schema, path: str) -> dict[str, Any]:
        properties, required = schema["properties"], schema.get("required", ())
        kept: dict[str, Any] = {}
        missing = [key for key in required if key not in node.inner]
        slips: set[str] = set()
        for key, inner in _entries(node):
            where = joined(path, key)
            if key not in properties:
                near = did_you_mean(key, missing) or did_you_mean(key, list(properties))
                slips.add(near.removeprefix("; did you mean ").removesuffix("?"))
                fix = near or f"; the fields are {', '.join(properties)}"
                self._tell(node.keys[key], where, f"there is no such field{fix}")
            elif inner.value is None and not inner.told and not properties[key].get("nullable"):
                self._empty(inner, where, required=key in required, words=_words(properties[key]))
            elif (value := self.mend(inner, properties[key], where)) is not _LEFT_OUT:
                kept[key] = value
        for key in (key for key in missing if key not in slips):
            where = joined(path, key)
            self._tell(node.at, where, f"missing; write {_words(properties[key])}")
        return kept | {key: self.stand_in(properties[key], joined(path, key)) for key in required if key not in kept}

    def _empty(self, node: Located, path: str, *, required: bool, words: str) -> None:
        if required:
            self._tell(node.at, path, f"it has no value; write {words}")
        else:
            message = "it has no value and counts as left out; give it one or take the line away"
            self._tell(node.at, path, message, "warning")

    def _map(self, node: Located, schema: Schema, path: str) -> dict[str, Any]:
        most = schema.get("maxProperties")
        if most is not None and len(node.inner) > most:
            self._tell(node.at, path, f"{len(node.inner)} entries are too many; at most {most} are allowed")
        kept = {}
        for key, inner in _entries(node):
            value = self.mend(inner, schema["additionalProperties"], joined(path, key))
            if value is not _LEFT_OUT:
                kept[key] = value
        return dict(list(kept.items())[:most])

    def _list(self, node: Located, schema: Schema, path: str) -> Any:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if len(node.inner) < least:
            self._tell(node.at, path, f"it is empty; write at least {least}")
            return _LEFT_OUT
        if most is not None and len(node.inner) > most:
            self._tell(node.at, path, f"{len(node.inner)} entries are too many; at most {most} are allowed")
        kept = []
        for index, inner in enumerate(node.inner.values()):
            where = joined(path, index)
            value = self.mend(inner, schema["items"], where)
            kept.append(self.stand_in(schema["items"], where) if value is _LEFT_OUT else value)
        return kept[:most]


def _entries(node: Located) -> Iterator[tuple[str, Located]]:
    return ((str(key), inner) for key, inner in node.inner.items())


def _wrong(kind: str | None, node: Located, schema: Schema, path: str) -> str | None:
    """Return what is wrong with a value by itself, and what to do; None when it is right."""
    match kind:
        case "object":
            right: Any = isinstance(node.value, dict)
        case "array":
            right = isinstance(node.value, list)
        case "boolean":
            right = isinstance(node.value, bool)
        case "integer" | "number":
            return _wrong_number(node, schema, path)
        case _:
            return _wrong_text(node, schema, path)
    return None if right else f"must be {of_kind(str(kind))}, is {_shown(node, path)}{quoted_instead(str(kind), node)}"


def _wrong_number(node: Located, schema: Schema, path: str) -> str | None:
    value, kind = node.value, str(schema["type"])
    whole = kind == "integer"
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or (whole and (value != int(value) or abs(value) >= _INT64)):
        return f"must be {of_kind(kind)}, is {_shown(node, path)}{quoted_instead(kind, node)}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if (low is not None and value < low) or (high is not None and value > high):
        return f"must be {_between(low, high)}, is {_shown(node, path)}"
    return None


def _wrong_text(node: Located, schema: Schema, path: str) -> str | None:
    value = node.value
    if not isinstance(value, str):
        if schema.get("pattern") == durations.PATTERN and (hint := unit_instead(node)):
            return f"must be a duration, is {_shown(node, path)}; {hint}"
        words = f"one of {', '.join(schema['enum'])}" if "enum" in schema else "text"
        return f"must be {words}, is {_shown(node, path)}{quoted_instead('string', node)}"
    choices = schema.get("enum", [value])
    if value not in choices:
        return f"must be one of {', '.join(choices)}, is {_shown(node, path)}{did_you_mean(value, choices)}"
    return _wrong_length(node, schema, path)


def _wrong_length(node: Located, schema: Schema, path: str) -> str | None:
    value, pattern = node.value, schema.get("pattern")
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    if len(value) < low:
        return "it is empty; write at least one character"
    if pattern is not None and (value.endswith("\n") or not re.search(pattern, value)):
        return f"{_shown(node, path)} is not {pattern_words(pattern)}"
    if high is not None and len(value) > high:
        return f"it is {len(value)} characters long; at most {high} are allowed"
    return None


def _between(low: Any, high: Any) -> str:
    if low is None or high is None:
        return f"{low} or more" if high is None else f"at most {high}"
    return f"{low} to {high}"


def _words(schema: Schema) -> str:
    """What to write for a field, from its schema and the first sentence of its documentation."""
    said = str(schema.get("description", "")).split(". ")[0].rstrip(".")
    what = f"one of {', '.join(schema['enum'])}" if "enum" in schema else of_kind(str(schema.get("type")))
    return f"{what} ({said})" if said else what


def _shown(node: Located, path: str) -> str:
    """A value for people: as it was written, and never what may be secret."""
    name = path.rpartition(".")[2]
    if node.quoted or isinstance(node.value, str) or node.inner or is_secret_name(name):
        return shown(name, node.value)
    return shown(name, node.text).strip("'\"") if node.text else shown(name, node.value)
