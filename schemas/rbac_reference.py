"""The page docs/rights.md, made from `schemas.rbac`: who may do what at the Kubernetes API, for people. Pure."""

from __future__ import annotations

from typing import Final

from schemas.rbac import PEOPLE, SERVICES, Right, Role

_HEAD: Final = """\
# Rights at the Kubernetes API

<!-- Made by `python -m schemas.generate` from schemas/rbac.py; do not edit. -->

What each account may do, and why; nobody of ours may do more. How that is tried, and how it is narrowed to some
namespaces, stands in [security.md](security.md#rights-at-the-kubernetes-api). Where it says *cluster*, a
ClusterRoleBinding alone grants the right; all others can be granted namespace by namespace.

## Services

Each has a ServiceAccount and a ClusterRole of the same name, in `deploy/rbac/`.
"""
_PEOPLE: Final = """
## People, and what looks at us

ClusterRoles to be bound where they are needed; nothing binds them by itself. Those marked *part of* are taken up into
that role of the cluster's own, so that whoever has it has them, too.
"""
_TABLE: Final = "| verbs | what | where | why |\n| --- | --- | --- | --- |\n"


def rights_reference() -> str:
    """Return the whole page."""
    return _HEAD + "".join(map(_section, SERVICES)) + _PEOPLE + "".join(map(_section, PEOPLE))


def _section(role: Role) -> str:
    part = f" *Part of* `{role.part_of}`." if role.part_of else ""
    return f"\n### {role.full_name}\n\n{role.what}{part}\n\n{_TABLE}" + "".join(map(_row, role.rights))


def _row(right: Right) -> str:
    where = "cluster" if right.reach == "wide" else "namespace"
    return f"| {', '.join(right.verbs)} | {_what(right)} | {where} | {right.why} |\n"


def _what(right: Right) -> str:
    if right.paths:
        return ", ".join(f"`{path}`" for path in right.paths)
    resource, slash, subresource = right.resource.partition("/")
    whole = f"{resource}.{right.group}" if right.group else resource
    named = f" named {' and '.join(f'`{name}`' for name in right.names)}" if right.names else ""
    return f"`{whole}{slash}{subresource}`{named}"
