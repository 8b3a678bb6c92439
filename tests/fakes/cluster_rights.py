"""How the in-memory API answers a SubjectAccessReview: by the Roles and bindings in it, as RBAC does. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.fakes.cluster_objects import Key, Object


def answer(review: Object, objects: Mapping[Key, Object]) -> Object:
    """Return the review with its status."""
    spec = review["spec"]
    asked = spec["resourceAttributes"]
    allowed = any(_allows(rule, asked) for rule in _rules(spec, asked.get("namespace", ""), objects))
    return {**review, "metadata": {}, "status": {"allowed": allowed}}


def _rules(spec: Object, namespace: str, objects: Mapping[Key, Object]) -> Iterator[Any]:
    for (plural, where, _), binding in objects.items():
        if plural not in {"rolebindings", "clusterrolebindings"} or where not in {"", namespace}:
            continue
        if any(_is(subject, spec) for subject in binding.get("subjects", ())):
            ref = binding["roleRef"]
            role = ("roles", where, ref["name"]) if ref["kind"] == "Role" else ("clusterroles", "", ref["name"])
            yield from objects.get(role, {}).get("rules", ())


def _is(subject: Object, spec: Object) -> bool:
    if subject["kind"] == "ServiceAccount":
        return bool(spec.get("user") == f"system:serviceaccount:{subject['namespace']}:{subject['name']}")
    if subject["kind"] == "Group":
        return subject["name"] in spec.get("groups", ())
    return bool(spec.get("user") == subject["name"])


def _allows(rule: Object, asked: Object) -> bool:
    resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
    names = rule.get("resourceNames")
    return (
        _holds(rule["verbs"], asked["verb"])
        and _holds(rule["apiGroups"], asked.get("group", ""))
        and _holds(rule["resources"], resource)
        and (not names or asked.get("name") in names)
    )


def _holds(values: Iterable[str], wanted: str) -> bool:
    return any(value in {"*", wanted} for value in values)
