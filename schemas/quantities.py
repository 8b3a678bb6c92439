"""Kubernetes quantities (`512Mi`, `250m`, `1.5e3`), as people write amounts of memory, CPU and storage. Pure.

Source: the grammar of `resource.Quantity` in k8s.io/apimachinery; negative amounts make no sense here and are refused.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

PATTERN: Final = r"^[+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$"
LONGEST_CHARACTERS: Final = 32
_PARTS: Final = re.compile(r"[+]?([0-9.]+)([KMGTPE]i|[numkMGTPE]|)([eE][-+]?[0-9]{1,2})?")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def parse(text: str) -> Decimal:
    """Return the amount in units (bytes, cores): `1Ki` gives 1024, `250m` gives 0.25.

    Raises ValueError, with the text and an example, when it is no quantity.
    """
    parts = _PARTS.fullmatch(text) if len(text) <= LONGEST_CHARACTERS and re.fullmatch(PATTERN, text) else None
    if parts is None:
        message = f"{text[:64]!r} is not a quantity; write a number and a unit, such as 512Mi, 2Gi, 250m or 1.5"
        raise ValueError(message)
    number, unit, exponent = parts.groups()
    if unit in _BINARY:
        return Decimal(number) * Decimal(1 << _BINARY[unit])
    return Decimal(number + (exponent or "")).scaleb(_DECIMAL[unit])
