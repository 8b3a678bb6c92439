"""Values as the configuration of nats-server has them. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

_VARIABLE: Final = re.compile(r"\$[A-Z_]+_(PASSWORD|NKEY)")


def conf(name: str, value: Any) -> str:
    """Return a setting. A pair in a list is a comment and what it is about."""
    return f"{name}: {_text(value)}\n"


def _text(value: Any, depth: int = 0) -> str:
    """Return a value: a variable without quotes, any other text in them."""
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict):
        parts = [f"{inner}{key}: {_text(each, depth + 1)}\n" for key, each in value.items()]
        return f"{{\n{''.join(parts)}{outer}}}"
    if isinstance(value, list):
        return f"[\n{''.join(_item(each, inner, depth + 1) for each in value)}{outer}]"
    if isinstance(value, str) and not _VARIABLE.fullmatch(value):
        return f'"{value}"'
    return str(value)


def _item(value: Any, indent: str, depth: int) -> str:
    if isinstance(value, tuple):
        comment, value = value
        return f"{indent}# {comment}\n{_item(value, indent, depth)}"
    return f"{indent}{_text(value, depth)}\n"
