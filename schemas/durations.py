"""Go-style durations (`90s`, `1h30m`), as people write them in a workflow. Pure."""

from __future__ import annotations

import re
from typing import Final

PATTERN: Final = r"^([0-9]+([.][0-9]+)?(ms|s|m|h))+$"
_PART: Final = re.compile(r"([0-9]+(?:[.][0-9]+)?)(ms|s|m|h)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST_CHARACTERS: Final = 32


def parse(text: str) -> float:
    """Return the seconds of a duration such as `1h30m` or `250ms`.

    Raises ValueError, with the text and an example, when it is none.
    """
    if len(text) > LONGEST_CHARACTERS or not re.fullmatch(PATTERN, text):
        message = f"{text[:64]!r} is not a duration; write a number and a unit (ms, s, m, h), such as 90s or 1h30m"
        raise ValueError(message)
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def render(seconds: float) -> str:
    """Return the shortest Go-style form, to the millisecond: 5400 gives `1h30m`, 0 gives `0s`."""
    milliseconds = round(seconds * 1000)
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
