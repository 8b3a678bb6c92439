"""`matches`: regular expressions within limits. RE2 is linear in the text, but the factor is the pattern. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from scheduler.cel import syntax
from scheduler.cel.limits import Run
from scheduler.cel.values import Failure, no

_LONGEST_PATTERN: Final = 256
_LONGEST_SEARCHED: Final = 4096
_MOST_PROGRAM: Final = 20_000
_COUNTED: Final = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_WIDE: Final = re.compile(r"[.]|\[\^|\\[DSW]|\(\?[a-z]*i")


def matches(run: Run, text: Any, pattern: Any) -> bool:
    """RE2 is linear in the text, but the factor is the pattern with its counted repetitions written out."""
    if not isinstance(text, str) or not isinstance(pattern, str):
        no("matches", text, pattern)
    for words, value, limit in (("the text", text, _LONGEST_SEARCHED), ("the pattern", pattern, _LONGEST_PATTERN)):
        if len(value) > limit:
            raise Failure(f"matches: {words} has {len(value)} characters; the limit is {limit}")
        if "\0" in value or not _is_unicode(value):
            raise Failure(f"matches: {words} holds a character that cannot be searched")
    if re.search(r"\\[pP]", pattern):
        raise Failure(r"matches: classes such as \pL are not known here; write the ranges, such as [a-z]")
    program = len(pattern) + 12 * len(_WIDE.findall(pattern))
    for least, most in _COUNTED.findall(pattern):
        program *= max(1, min(int((most or least)[:5]), 1001))
        if program > _MOST_PROGRAM:
            raise Failure("matches: the pattern repeats too much; use smaller counts in { }")
    run.spend(10 + program // 2 + len(text) * program // 64)
    try:
        return syntax.matches(text, pattern)
    except Failure as failure:
        raise Failure(f"matches: {failure.message}") from None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
