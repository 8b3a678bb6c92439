"""JSON that is nested deeper than the decoder follows: cut, so that one object cannot stop what reads all. Pure.

The API server takes values that are nested 10,000 deep where the schema is open; msgspec raises RecursionError at
about 1,000. Only then is this slow way taken.
"""

from __future__ import annotations

import re
from typing import Final

DEEPEST: Final = 300
"""Levels that are kept; lists of objects, whose items are some levels down already, included."""
CUT: Final = b'"[nested too deep]"'

_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def cut(data: bytes, deepest: int = DEEPEST) -> bytes:
    """Return the JSON with every value that is nested deeper than `deepest` replaced by `CUT`. About 10 MB/s."""
    kept: list[bytes] = []
    depth = start = 0
    for match in _TOKENS.finditer(data):
        first = data[match.start()]
        if first in b"[{":
            depth += 1
            if depth == deepest + 1:
                kept += (data[start : match.start()], CUT)
        elif first in b"]}":
            depth -= 1
            if depth == deepest:
                start = match.end()
    kept.append(data[start:])
    return b"".join(kept)
