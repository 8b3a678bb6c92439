"""Attribute values of CloudEvents as values of NATS headers, and back. Pure.

Rule: section 3.1.3.2 of the NATS protocol binding, which is that of the HTTP binding: blank, double quote, percent and
whatever is not printable ASCII are percent-encoded as UTF-8; a reader also takes values in double quotes.
"""

from __future__ import annotations

import re
from typing import Final

_PLAIN: Final = re.compile(r"[!#$&-~]*")
_SPECIAL: Final = re.compile(r"[^!#$&-~]")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ENCODED: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def encoded(value: str) -> str:
    """Return the header's value of an attribute's. A lone surrogate, which UTF-8 cannot hold, becomes `?`."""
    if _PLAIN.fullmatch(value):
        return value
    return _SPECIAL.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace")), value)


def decoded(value: str) -> str:
    """Return the attribute's value of a header's.

    What is not encoded though it should be, as in messages from before this rule, stays as it is. Raises ValueError
    for encoded bytes that are no UTF-8.
    """
    if value[:1] == '"' and (quoted := _QUOTED.fullmatch(value)):
        value = _ESCAPED.sub(r"\1", quoted[1])
    if "%" not in value:
        return value
    return _ENCODED.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode(), value)
