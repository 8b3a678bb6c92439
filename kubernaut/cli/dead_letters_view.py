"""Dead letters as people and programs read them, redacted as everything is that leaves the log. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from kubernaut.cli.dead_letters_desk import DeadLetter
from kubernaut.cli.table import columns
from schemas.redaction import redact, redact_json

_WHY: Final = 90
"""Characters of the reason in the table; `show` has all of it."""


def table(letters: Sequence[DeadLetter]) -> list[str]:
    """Return a header and a line for each."""
    header = ["NUMBER", "CONSUMER", "WHEN", "COUNT", "STATE", "SUBJECT", "WHY"]
    rows = [
        [
            str(each.number),
            each.letter.consumer,
            _time(each.time_ms),
            str(each.count),
            each.state,
            _words(each.letter.subject),
            _short(_words(each.letter.error)),
        ]
        for each in letters
    ]
    return columns([header, *rows])


def as_json(letters: Sequence[DeadLetter], *, whole: bool = False) -> str:
    """Return them for programs; `whole` adds headers and payload."""
    return json.dumps([_object(each, whole=whole) for each in letters], indent=2, ensure_ascii=False)


def shown(letter: DeadLetter) -> list[str]:
    """Return the whole of one: where it is from, why it is here, headers, payload."""
    inner = letter.letter
    lines = [
        f"dead letter {letter.number} of {inner.consumer}, {_time(letter.time_ms)}: {letter.state}",
        f"message   {_words(inner.subject)} ({inner.stream} {inner.sequence})",
        f"why       {_words(inner.error)}",
    ]
    if letter.count > 1:
        lines.append(f"buried    {letter.count} times")
    if letter.redrive is not None:
        asked = letter.redrive
        lines.append(f"redriven  {_time(asked.time_ms)} by {_words(asked.by)}: {_words(asked.reason)}")
    lines += ["headers"]
    lines += [f"  {_words(name)}: {_words(value)}" for name, value in _headers(inner.headers).items()] or ["  none"]
    if inner.left_out:
        lines.append(f"payload   {inner.left_out} bytes, which stay where the message is")
    else:
        lines += [f"payload   {len(inner.data)} bytes", *(f"  {line}" for line in _payload(inner.data).splitlines())]
    return lines


def _object(letter: DeadLetter, *, whole: bool) -> dict[str, Any]:
    inner = letter.letter
    found: dict[str, Any] = {
        "number": letter.number,
        "consumer": inner.consumer,
        "subject": inner.subject,
        "stream": inner.stream,
        "sequence": inner.sequence,
        "time": _time(letter.time_ms),
        "error": redact(inner.error),
        "count": letter.count,
        "state": letter.state,
    }
    if letter.redrive is not None:
        asked = letter.redrive
        found["redriven"] = {"time": _time(asked.time_ms), "by": asked.by, "reason": redact(asked.reason)}
    if whole:
        found |= {"headers": _headers(inner.headers), "payload": _payload(inner.data)}
    return found


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    clean: dict[str, str] = redact(dict(headers))
    return clean


def _payload(data: bytes) -> str:
    """Return the payload without secrets: JSON set out in lines, anything else as text with what is none escaped."""
    clean = redact_json(data)
    try:
        return json.dumps(msgspec.json.decode(clean), indent=2)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return "\n".join(map(_words, clean.decode("utf-8", "backslashreplace").splitlines()))


def _words(text: str) -> str:
    """Return a text of a stranger on one line, without what a terminal would obey."""
    clean: str = redact(text)
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in clean)


def _short(text: str) -> str:
    return text if len(text) <= _WHY else f"{text[: _WHY - 1]}…"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
