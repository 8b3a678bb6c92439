"""Asks the API server what each account of ours may do, by SubjectAccessReviews against `schemas.rbac`. Stores nothing.

Which accounts: those that Deployments of ours run under; without any, those of the names that `schemas.rbac` gives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from kubernaut.doctor.facts import Json, RightsFacts
from runtime.errors import NotFoundError
from runtime.kinds import ACCESS_REVIEWS
from runtime.ports import Cluster, Resource
from schemas.rbac import AUDITOR, EXECUTOR_BRIDGE, NAMESPACE, SCHEDULER, WATCHER, WIDE_SUFFIX, Right, Role, roles_of

ACCOUNTS: Final = Resource("", "v1", "serviceaccounts")
AUDIENCE: Final = "KUBERNAUT_METRICS_AUDIENCE"
NAMESPACES: Final = "KUBERNAUT_WATCH_NAMESPACES"
NEVER: Final = (
    Right(resource="secrets", verbs=("get", "list"), why=""),
    Right(resource="pods/exec", verbs=("create",), why=""),
    Right(resource="serviceaccounts/token", verbs=("create",), why=""),
    Right(resource="users", verbs=("impersonate",), reach="wide", why=""),
    Right(group="rbac.authorization.k8s.io", resource="clusterroles", verbs=("escalate", "bind"), reach="wide", why=""),
    Right(group="rbac.authorization.k8s.io", resource="clusterrolebindings", verbs=("create",), reach="wide", why=""),
    Right(resource="nodes/proxy", verbs=("get", "create"), reach="wide", why=""),
)
"""What no account of ours may have."""
_SERVICES: Final = (WATCHER, SCHEDULER, EXECUTOR_BRIDGE, AUDITOR)
_AT_ONCE: Final = 10
_METRICS: Final = ("tokenreviews", "subjectaccessreviews")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account and what its service needs."""

    user: str
    role: Role
    rights: tuple[Right, ...]
    namespaces: tuple[str, ...] = ("",)
    """Where namespaced rights are needed; one empty name: everywhere."""


async def gather_rights(cluster: Cluster, deployments: Sequence[Json]) -> list[RightsFacts]:
    """Ask about every account of ours that there is. Raises what the port raises."""
    accounts = accounts_of(deployments) or [each for role in _SERVICES if (each := await _made(cluster, role))]
    limit = asyncio.Semaphore(_AT_ONCE)

    async def lacking(account: Account, right: Right, *, allowed: bool) -> list[str]:
        async with limit:
            return await _answers(cluster, account, right, allowed=allowed)

    found = []
    for account in accounts:
        lacks = await asyncio.gather(*(lacking(account, each, allowed=False) for each in account.rights))
        exceeds = await asyncio.gather(*(lacking(account, each, allowed=True) for each in NEVER))
        found.append(
            RightsFacts(
                account=account.user,
                lacks=tuple(chain.from_iterable(lacks)),
                exceeds=tuple(chain.from_iterable(exceeds)),
                grant=grant(account),
            )
        )
    return found


def grant(account: Account) -> str:
    """Return the command that gives an account all rights of its service. Pure."""
    _, _, namespace, name = account.user.split(":")
    role = account.role.full_name
    bound = f"--clusterrole {role} --serviceaccount {namespace}:{name}"
    commands = ["kubectl apply -f deploy/rbac"]
    for place in account.namespaces:
        kind = f"rolebinding {role} -n {place}" if place else f"clusterrolebinding {role}-{namespace}"
        commands.append(f"kubectl create {kind} {bound}")
    if any(account.namespaces) and len(roles_of(account.role)) > 1:
        wide = bound.replace(role, role + WIDE_SUFFIX, 1)
        commands.append(f"kubectl create clusterrolebinding {role}{WIDE_SUFFIX}-{namespace} {wide}")
    return " && ".join(commands)


def accounts_of(deployments: Sequence[Json]) -> list[Account]:
    """Return the accounts that Deployments of our services run under. Pure."""
    found = []
    for role in _SERVICES:
        for body in deployments:
            if (body["metadata"].get("labels") or {}).get("app.kubernetes.io/component") == role.name:
                pod = body["spec"]["template"]["spec"]
                settings = _environment(pod)
                name, namespace = pod.get("serviceAccountName", "default"), body["metadata"]["namespace"]
                served = tuple(each.strip() for each in settings.get(NAMESPACES, "").split(",") if each.strip())
                found.append(
                    Account(
                        user=f"system:serviceaccount:{namespace}:{name}",
                        role=role,
                        rights=_needed(role, metrics=bool(settings.get(AUDIENCE))),
                        namespaces=served or ("",),
                    )
                )
    return found


def _environment(pod: Json) -> dict[str, str]:
    return {
        each["name"]: str(each.get("value", ""))
        for container in pod.get("containers") or ()
        for each in container.get("env") or ()
    }


def _needed(role: Role, *, metrics: bool) -> tuple[Right, ...]:
    """Return what a service needs: the reviews of the metrics port only where it asks who reads them."""
    reviews = () if metrics else _METRICS[:1] if role is EXECUTOR_BRIDGE else _METRICS
    return tuple(right for right in role.rights if right.resource not in reviews)


async def _made(cluster: Cluster, role: Role) -> Account | None:
    try:
        await cluster.get(ACCOUNTS, NAMESPACE, role.full_name)
    except NotFoundError:
        return None
    user = f"system:serviceaccount:{NAMESPACE}:{role.full_name}"
    return Account(user=user, role=role, rights=_needed(role, metrics=False))


async def _answers(cluster: Cluster, account: Account, right: Right, *, allowed: bool) -> list[str]:
    """Return the verbs of a right, in words, to which the answer is `allowed`."""
    found = []
    for verb in right.verbs:
        for namespace in account.namespaces if right.reach == "namespaced" else ("",):
            review = await cluster.create(ACCESS_REVIEWS, "", question(account.user, right, verb, namespace))
            if bool((review.get("status") or {}).get("allowed")) is allowed:
                where = f" in {namespace}" if namespace else ""
                group = f".{right.group}" if right.group else ""
                found.append(f"{verb} {right.resource}{group}{where}")
    return found


def question(user: str, right: Right, verb: str, namespace: str) -> dict[str, Any]:
    """Return the SubjectAccessReview that asks whether a user may do something. Pure."""
    resource, _, part = right.resource.partition("/")
    asked = {"group": right.group, "resource": resource, "subresource": part, "verb": verb, "namespace": namespace}
    if right.names:
        asked["name"] = right.names[0]
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}", "system:authenticated"]
    return {
        "apiVersion": f"{ACCESS_REVIEWS.group}/{ACCESS_REVIEWS.version}",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "groups": groups,
            "resourceAttributes": {name: value for name, value in asked.items() if value},
        },
    }
