"""The header block of NATS messages, as bytes and as a dict. Pure.

Format: NATS client protocol, ADR-4: a version line with an optional status, then `Name: value` lines, then a blank one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUS: Final = re.compile(rb"NATS/1\.0[ \t]+(\d{3})[ \t]*([^\r\n]*)")
_NAME: Final = re.compile(r"[!#-9;-~]+")
_LINE_BREAKS: Final = str.maketrans({"\r": " ", "\n": " "})


def to_block(headers: Mapping[str, str]) -> bytes:
    """Return the block of these headers. A line break in a value becomes a blank: it would forge another header.

    Raises ValueError for a name that is none.
    """
    lines = ["NATS/1.0"]
    lines += [f"{_checked(name)}: {value.strip().translate(_LINE_BREAKS)}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@lru_cache(maxsize=256)
def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        message = f"{name!r} is no name of a header"
        raise ValueError(message)
    return name


def from_block(block: bytes) -> dict[str, str]:
    """Return the headers of a block; the first of a name that is there twice. Bytes that are no UTF-8 become U+FFFD."""
    headers: dict[str, str] = {}
    for line in block.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            headers.setdefault(name.strip().decode("utf-8", "replace"), value.strip().decode("utf-8", "replace"))
    return headers


def status_of(block: bytes) -> tuple[int, str]:
    """Return the status in the version line and what it says; (0, "") when it has none."""
    match = _STATUS.match(block)
    return (int(match[1]), match[2].decode("utf-8", "replace")) if match else (0, "")
