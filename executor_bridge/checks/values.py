"""Reads JSON values of objects that others wrote: whatever is not as it should be counts as not there. Pure, total."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from schemas import quantities

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST: Final = 253
_MEBI: Final = Decimal(1 << 20)
_NOTHING: Final = Decimal(0)


def at(value: Any, *path: str) -> Any:
    """Return what is at a path of an object; None when there is nothing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def items(value: Any, *path: str) -> list[dict[str, Any]]:
    """Return the objects of the list at a path; none when there is no list."""
    found = at(value, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def whole(value: Any, *path: str, default: int = 0) -> int:
    """Return the whole number at a path, or the default."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def words(value: Any, *path: str) -> str:
    """Return the text at a path, or none."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def condition(found: Any, kind: str) -> dict[str, Any]:
    """Return the condition of that type in an object's status; an empty one when it is not there."""
    return next((item for item in items(found, "status", "conditions") if item.get("type") == kind), {})


def amount(value: Any) -> Decimal | None:
    """Return an amount (bytes, cores, pieces) as the API or a person writes it; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        read = quantities.parse(value) if isinstance(value, str) else Decimal(repr(value))
    except (ValueError, InvalidOperation):
        return None
    return read if read.is_finite() and read >= 0 else None


def amount_at(value: Any, name: str) -> Decimal:
    """Return the amount under a name of an object; 0 when there is none."""
    return amount(at(value, name)) or _NOTHING


def shown(resource: str, value: Decimal) -> str:
    """Return an amount as people read it: memory and storage in Mi, the rest in cores or pieces."""
    if resource.endswith(("memory", "storage")):
        return f"{_plain(value / _MEBI)}Mi"
    return _plain(value)


def _plain(value: Decimal) -> str:
    text = f"{value:.3f}"
    return text.rstrip("0").rstrip(".")


def is_name(text: str) -> bool:
    """Whether an object can have that name: never a path, a template or what redaction left."""
    return len(text) <= _LONGEST and _NAME.fullmatch(text) is not None


def is_namespace(text: str) -> bool:
    """Whether a namespace can have that name."""
    return _NAMESPACE.fullmatch(text) is not None
