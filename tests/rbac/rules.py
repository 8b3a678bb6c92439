"""What `schemas.rbac` allows, worked out without any server: the other side of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.rbac import Right, Role
    from tests.rbac.server import Attributes

EVERYBODY: Final = (
    ("create", "authentication.k8s.io", "selfsubjectreviews"),
    ("create", "authorization.k8s.io", "selfsubjectaccessreviews"),
    ("create", "authorization.k8s.io", "selfsubjectrulesreviews"),
)
"""What the API server lets every account ask about itself (its own role system:basic-user)."""


def allows(role: Role, attributes: Attributes) -> bool:
    """Whether the table lets an account do something that is not about one object by name, or about one it names."""
    asked = (attributes["verb"], attributes["group"], attributes["resource"])
    return asked in EVERYBODY or any(_covers(right, attributes) for right in role.rights)


def _covers(right: Right, attributes: Attributes) -> bool:
    return (
        attributes["verb"] in right.verbs
        and attributes["group"] == right.group
        and attributes["resource"] == right.resource
        and (not right.names or attributes.get("name", "") in right.names)
    )


def each(rights: Iterable[Right]) -> Iterator[tuple[Right, Attributes]]:
    """Give every single right as what a review asks."""
    for right in rights:
        for verb in right.verbs:
            for name in right.names or ("",):
                asked = {"verb": verb, "group": right.group, "resource": right.resource}
                yield right, asked | ({"name": name} if name else {})
