"""What YAML's errors mean for the person who wrote the file, and what to do. Pure data and one function."""

from __future__ import annotations

from typing import Final

import yaml

_MEANINGS: Final = (
    (r"'\t'", "there is a tab; indent with spaces only"),
    (
        "mapping values are not allowed",
        "a colon where none may be; put text with a colon in quotes, or check the indentation",
    ),
    ("found unexpected end of stream", "a quote is opened and never closed"),
    ("found unexpected document separator", "a quote is opened and never closed"),
    ("could not find expected ':'", "a line without a colon; write `key: value`, or indent it further if it goes on"),
    ("undefined alias", "there is no anchor of that name; write the value, or `&name` where it is"),
    ("duplicate anchor", "the anchor is used twice; name one of them differently"),
    ("unknown escape character", "a backslash in double quotes begins an escape; double it, or use single quotes"),
    ("expected <block end>", "the indentation does not fit the lines above; align it with its neighbours"),
    ("expected the node content", "a value is missing or not closed; look at the lines above"),
    ("but got '<stream end>'", "a bracket is opened and never closed"),
    ("but got '<document start>'", "a bracket is opened and never closed"),
    ("expected ',' or ']'", "a comma or the closing ] is missing"),
    ("expected ',' or '}'", "a comma or the closing } is missing"),
    ("expected alphabetic or numeric", "an & or * begins an anchor or alias; put text that begins so in quotes"),
    ("that cannot start any token", "text cannot begin with this character; put it in quotes"),
    ("expected a single document", "write --- between the documents"),
    ("expected '<document start>'", "something stands behind the end of the document; write --- between documents"),
    ("incompatible YAML document", "only YAML 1 is read; leave the %YAML line out"),
    ("undefined tag handle", "the tag is not known; leave it out"),
)


def explained(error: yaml.MarkedYAMLError, lines: int) -> str:
    """Return the error in words; `lines` stand in the file before the part that was read."""
    problem = error.problem or error.context or "it cannot be read"
    parts = [f"this is no YAML: {problem}"]
    context, mark = error.context_mark, error.problem_mark
    if context and mark and (context.line, context.column) != (mark.line, mark.column):
        what = error.context or "that began"
        parts.append(f"({what} in line {context.line + lines + 1}, column {context.column + 1})")
    meaning = next((words for sign, words in _MEANINGS if sign in problem), "often the indentation or a missing quote")
    return f"{' '.join(parts)}; {meaning}"
