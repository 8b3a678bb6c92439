"""What a pod needs, as the scheduler of Kubernetes and its quotas count it. Pure, total.

Source: `PodRequests` in k8s.io/component-helpers/resource: containers and sidecars together, or the largest moment of
the init containers, whichever is more, and the overhead.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from executor_bridge.checks.values import amount, amount_at, at, items, words

Amounts = dict[str, Decimal]
"""By the names that quotas have for them: requests.cpu, requests.memory, limits.cpu, limits.memory, pods,
requests.storage."""

_RESOURCES: Final = ("cpu", "memory")
_KINDS: Final = ("requests", "limits")
NOTHING: Final = Decimal(0)


def plus(one: Amounts, other: Amounts) -> Amounts:
    """Return the sum."""
    return {name: one.get(name, NOTHING) + other.get(name, NOTHING) for name in (*one, *other)}


def minus(one: Amounts, other: Amounts) -> Amounts:
    """Return what is left of the first; what only the second has is not asked about."""
    return {name: value - other.get(name, NOTHING) for name, value in one.items()}


def most(one: Amounts, other: Amounts) -> Amounts:
    """Return the larger of each."""
    return {name: max(one.get(name, NOTHING), other.get(name, NOTHING)) for name in (*one, *other)}


def times(one: Amounts, count: int) -> Amounts:
    """Return so many of them."""
    return {name: value * count for name, value in one.items()}


def of_pod(spec: Any) -> Amounts:
    """Return what one pod of that spec needs, itself included (`pods`: 1)."""
    total, sidecars, peak = _sum(items(spec, "containers")), _sum([]), _sum([])
    for container in items(spec, "initContainers"):
        need = _of_container(container)
        if words(container, "restartPolicy") == "Always":
            sidecars = plus(sidecars, need)
        else:
            peak = most(peak, plus(sidecars, need))
    overhead = {f"{kind}.{name}": amount_at(at(spec, "overhead"), name) for kind in _KINDS for name in _RESOURCES}
    return plus(most(plus(total, sidecars), peak), overhead) | {"pods": Decimal(1)}


def raised(spec: Any, wanted: dict[str, Any]) -> Amounts:
    """Return by how much a pod of that spec grows when each container gets at least the wanted `cpu` and `memory`.

    A container that has more already does not shrink.
    """
    grown = _sum([])
    for container in items(spec, "containers"):
        now = _of_container(container)
        for name in _RESOURCES:
            new = amount(wanted.get(name))
            if new is None:
                continue
            for kind in _KINDS:
                key = f"{kind}.{name}"
                if kind == "limits" and not now[key]:
                    continue  # without a limit, none is set
                grown[key] += max(new - now[key], NOTHING)
    return grown


def of_node(found: Any) -> Amounts:
    """Return what a node has for pods."""
    allocatable = at(found, "status", "allocatable")
    return {
        "requests.cpu": amount_at(allocatable, "cpu"),
        "requests.memory": amount_at(allocatable, "memory"),
        "pods": amount_at(allocatable, "pods"),
    }


def _sum(containers: list[dict[str, Any]]) -> Amounts:
    total = {f"{kind}.{name}": NOTHING for kind in _KINDS for name in _RESOURCES}
    for container in containers:
        total = plus(total, _of_container(container))
    return total


def _of_container(container: dict[str, Any]) -> Amounts:
    resources = container.get("resources")
    limits = {name: amount_at(at(resources, "limits"), name) for name in _RESOURCES}
    needs = {f"limits.{name}": value for name, value in limits.items()}
    for name in _RESOURCES:
        asked = amount(at(resources, "requests", name))
        needs[f"requests.{name}"] = limits[name] if asked is None else asked  # a limit alone is a request too
    return needs
