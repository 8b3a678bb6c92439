"""Everything that an API server serves, and what could be asked about it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rbac.server import Attributes, Server

NAMESPACE: Final = "default"
_SUBRESOURCES: Final = ("status", "finalizers", "scale")
"""Of ours the server lists only those that it serves; rights on them can be held all the same."""
_MORE: Final = {
    ("", "users"): ("impersonate",),
    ("", "groups"): ("impersonate",),
    ("", "serviceaccounts"): ("impersonate",),
    ("authentication.k8s.io", "uids"): ("impersonate", "impersonate:user-info"),
    ("authentication.k8s.io", "users"): ("impersonate:user-info",),
    ("authentication.k8s.io", "serviceaccounts"): ("impersonate:serviceaccount",),
    ("authentication.k8s.io", "nodes"): ("impersonate:arbitrary-node", "impersonate:associated-node"),
    ("rbac.authorization.k8s.io", "roles"): ("escalate", "bind"),
    ("rbac.authorization.k8s.io", "clusterroles"): ("escalate", "bind"),
    ("certificates.k8s.io", "signers"): ("approve", "sign"),
    ("", "nodes/proxy"): ("get", "create"),
    ("*", "*"): ("*", "get", "create"),
}
"""Verbs and things that no discovery tells."""
_OURS: Final = ("approve", "record", "*")


async def everything(server: Server) -> list[Attributes]:
    """Return a question for each verb of each thing, subresources included."""
    groups = (await server.done("GET", "/apis"))["groups"]
    paths = ["/api/v1", *(f"/apis/{each['groupVersion']}" for group in groups for each in group["versions"])]
    lists = await asyncio.gather(*(server.done("GET", path) for path in paths))
    asked: dict[str, Attributes] = {}
    for found in lists:
        for attributes in _of_list(found):
            asked[repr(attributes)] = attributes
    for (group, resource), verbs in _MORE.items():
        for attributes in _asked(group, resource, verbs, namespaced=False):
            asked[repr(attributes)] = attributes
    return list(asked.values())


def _of_list(found: dict[str, Any]) -> Iterator[Attributes]:
    group = found["groupVersion"].rpartition("/")[0]
    for each in found["resources"]:
        yield from _asked(group, each["name"], tuple(each["verbs"]), namespaced=each["namespaced"])
        if group.endswith("kubernaut.io") and "/" not in each["name"]:
            yield from _asked(group, each["name"], _OURS, namespaced=True)
            for subresource in _SUBRESOURCES:
                name = f"{each['name']}/{subresource}"
                yield from _asked(group, name, ("get", "update", "patch"), namespaced=True)


def _asked(group: str, resource: str, verbs: tuple[str, ...], *, namespaced: bool) -> Iterator[Attributes]:
    place = {"namespace": NAMESPACE} if namespaced else {}
    for verb in verbs:
        yield {"verb": verb, "group": group, "resource": resource} | place
