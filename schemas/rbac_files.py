"""The files of deploy/rbac, made from `schemas.rbac`: each rule with its reason beside it. Pure."""

from __future__ import annotations

import textwrap
from typing import Any, Final

from schemas.rbac import PEOPLE, SERVICES, Role, roles_of

FOLDER: Final = "deploy/rbac"
_WIDTH: Final = 116
_HEAD: Final = "# Made by `python -m schemas.generate` from schemas/rbac.py; do not edit. docs/rights.md explains it.\n"


def role_files() -> dict[str, str]:
    """Return the content of each file by its path from the root of the repository."""
    return {f"{FOLDER}/{role.full_name}.yaml": _file(role) for role in (*SERVICES, *PEOPLE)}


def _file(role: Role) -> str:
    reasons = {_key(rule): right.why for rule, right in zip(roles_of(role)[0]["rules"], role.rights, strict=True)}
    return _HEAD + _comment(role.what) + "---\n".join(_document(made, reasons) for made in roles_of(role))


def _document(made: dict[str, Any], reasons: dict[str, str]) -> str:
    lines = [
        f"apiVersion: {made['apiVersion']}",
        f"kind: {made['kind']}",
        "metadata:",
        f"  name: {made['metadata']['name']}",
        "  labels:",
        *(f'    {name}: "{value}"' for name, value in made["metadata"]["labels"].items()),
        "rules:",
    ]
    return "\n".join(lines) + "\n" + "".join(_rule(rule, reasons[_key(rule)]) for rule in made["rules"])


def _rule(rule: dict[str, list[str]], why: str) -> str:
    fields = [f"{name}: [{', '.join(value or _CORE for value in values)}]" for name, values in rule.items()]
    return _comment(why) + "- " + "\n  ".join(fields) + "\n"


_CORE: Final = '""'


def _key(rule: dict[str, list[str]]) -> str:
    return repr(rule)


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, _WIDTH))
