"""Stepping through a recorded run by keys. Pure: a place and a key give a place."""

from __future__ import annotations

from typing import Final

import msgspec

KEYS: Final = "→ n space: next   ← p: back   g: first   G: last   0-9: jump to a tenth   q: quit"
_FORWARD: Final = frozenset({"n", "l", " ", "\r", "\x1b[C", "\x1bOC"})
_BACK: Final = frozenset({"p", "h", "\x7f", "\b", "\x1b[D", "\x1bOD"})
_FIRST: Final = frozenset({"g", "\x1b[H", "\x1b[1~"})
_LAST: Final = frozenset({"G", "\x1b[F", "\x1b[4~"})
_QUIT: Final = frozenset({"q", "\x03", "\x04", "\x1b"})


class Place(msgspec.Struct, frozen=True):
    """Which decision is shown."""

    index: int
    of: int
    """How many there are."""
    ended: bool = False


def press(place: Place, key: str) -> Place:
    """Return where a key leads; a key that means nothing leads nowhere."""
    last = place.of - 1
    if key in _QUIT:
        return msgspec.structs.replace(place, ended=True)
    index = place.index
    if key in _FORWARD:
        index = min(index + 1, last)
    elif key in _BACK:
        index = max(index - 1, 0)
    elif key in _FIRST:
        index = 0
    elif key in _LAST:
        index = last
    elif key.isascii() and key.isdigit():
        index = last * int(key) // 9
    return msgspec.structs.replace(place, index=index)


def pauses(times: list[int], pace: float) -> list[float]:
    """Return the seconds to wait before each of some moments (ms), `pace` times as fast as they were; 0 for at once."""
    if not pace:
        return [0.0] * len(times)
    before = [times[0], *times[:-1]] if times else []
    return [max(now - then, 0) / 1000 / pace for now, then in zip(times, before, strict=True)]
