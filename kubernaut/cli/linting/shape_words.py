"""How shapes are told to people: kinds of values, patterns, and what to write instead. Pure."""

from __future__ import annotations

import re
from typing import Any, Final, get_args

from kubernaut.cli.linting.located import Located
from schemas import durations, fields
from schemas.redaction import redact

_KINDS: Final = {
    "object": "an object (indented `key: value` lines)",
    "array": "a list (lines that begin with `-`)",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
}
_LONGEST_HINT: Final = 40
_BOOLEANS: Final = {"true", "false", "yes", "no", "on", "off"}


def pattern_of(annotated: Any) -> str:
    """Return the pattern of an annotated text."""
    return str(get_args(annotated)[1].pattern)


_DURATION_WORDS: Final = "a duration; write a number and a unit (ms, s, m, h), such as 90s or 1h30m"
_PATTERNS: Final = {
    durations.PATTERN: _DURATION_WORDS,
    pattern_of(fields.Name): "a name; use lower-case letters, digits, - and ., with a letter or digit at both ends",
    pattern_of(
        fields.Namespace
    ): "a namespace; use lower-case letters, digits and -, with a letter or digit at both ends",
    pattern_of(fields.Time): "a time; write it as 2026-01-31T12:00:00Z",
}


def of_kind(kind: str) -> str:
    """Return the name of a JSON type for people."""
    return _KINDS.get(kind, "a value")


def pattern_words(pattern: str | None) -> str:
    """Return what a text of a pattern is, and how to write it."""
    return _PATTERNS.get(pattern or "", f"text like {pattern}")


def unit_instead(node: Located) -> str | None:
    """Return the fix for a duration that was written as a bare number."""
    if isinstance(node.value, bool) or not isinstance(node.value, int | float) or len(node.text) > _LONGEST_HINT:
        return None
    return f"write the unit, too: {node.text}s is seconds, {node.text}m minutes"


def quoted_instead(kind: str, node: Located) -> str:
    """Return the fix for a value that is of another kind only because of its quotes, or of their lack."""
    text = node.text
    if not text or len(text) > _LONGEST_HINT or redact(text) is not text:
        return ""
    if kind == "string" and not node.quoted:
        return f'; put it in quotes: "{text}"'
    if kind == "array" and not node.inner:
        return f"; write [{text}]"
    number = kind in {"integer", "number"} and re.fullmatch(r"-?[0-9]+([.][0-9]+)?", text)
    if number or (kind == "boolean" and text.lower() in _BOOLEANS):
        return f"; take the quotes away: {text}" if node.quoted else ""
    return ""
