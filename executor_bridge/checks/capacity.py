"""Whether what the steps ask for fits: into the quotas of its namespace, and onto the nodes. Pure, total.

Counted as if all steps were done at once, each target by the most that any step makes of it. Taints, affinities and
topology are not looked at: what fails here cannot fit, what passes may still have to wait.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from executor_bridge.checks.amounts import NOTHING, Amounts, minus, most, of_pod, plus, raised, times
from executor_bridge.checks.values import amount, amount_at, at, condition, shown, whole, words
from schemas.messages import CheckFinding
from schemas.targets import Target, target_of

SCALING: Final = ("scale_deployment", "scale_statefulset")
ASKING: Final = (*SCALING, "increase_resources", "expand_pvc", "migrate_workload")
"""Actions that may ask for room; every other asks for none."""
_STORAGE: Final = "requests.storage"
_ON_NODES: Final = ("requests.cpu", "requests.memory", "pods")
_PREFIX_OF_COUNT: Final = {"cpu": "requests.cpu", "memory": "requests.memory", "count/pods": "pods"}
"""Names under which quotas limit the same thing."""
_WORKLOADS: Final = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What one step asks for."""

    target: str
    namespace: str
    amounts: Amounts = {}
    pod: Amounts = {}
    """One of its pods, which must fit onto one node."""
    node: str = ""
    """Node that must take all of it; empty for any."""
    counted: bool = True
    """Whether quotas count it; what only moves is counted already."""

    def of_anything(self) -> bool:
        """Whether it asks for anything at all."""
        return any(self.amounts.values())


class Room(msgspec.Struct, frozen=True):
    """What the nodes that take new pods have left, by name. May be less than nothing."""

    free: dict[str, Amounts]
    waiting: Amounts = {}
    """What pods without a node will take of it."""


def asked_of(action: str, parameters: dict[str, Any]) -> Target | None:
    """Return what must be read to know what a step asks for; None when it asks for nothing."""
    if action not in ASKING:
        return None
    if action != "migrate_workload":
        return target_of(action, parameters)
    workload, namespace = parameters.get("workload"), parameters.get("namespace")
    if not isinstance(workload, str) or not isinstance(namespace, str):
        return None
    kind, _, name = workload.rpartition("/")
    return Target(_WORKLOADS.get(kind.lower(), kind) or "Deployment", namespace, name)


def ask_of(action: str, parameters: dict[str, Any], target: Target, found: Any) -> Ask | str:
    """Return what a step asks for, given what it is about; a sentence when that cannot be known yet."""
    if action in SCALING:
        return _scaled(parameters.get("replicas"), target, found)
    if action == "expand_pvc":
        return _expanded(parameters.get("size"), target, found)
    replicas = whole(found, "spec", "replicas", default=1)
    spec = at(found, "spec", "template", "spec")
    if action == "migrate_workload":
        node, pod = parameters.get("targetNode"), of_pod(spec)
        if not isinstance(node, str):
            return "the node is not known before the step runs"
        return Ask(
            target=str(target),
            namespace=target.namespace,
            amounts=times(pod, replicas),
            pod=pod,
            node=node,
            counted=False,
        )
    wanted = {name: value for name, value in parameters.items() if name in {"cpu", "memory"}}
    if any(amount(value) is None for value in wanted.values()):
        return "the amounts are not known before the step runs"
    grown = times(raised(spec, wanted), replicas)
    return Ask(target=str(target), namespace=target.namespace, amounts=grown)


def _scaled(replicas: Any, target: Target, found: Any) -> Ask | str:
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        return "the number of replicas is not known before the step runs"
    more = max(replicas - whole(found, "spec", "replicas", default=1), 0)
    pod = of_pod(at(found, "spec", "template", "spec"))
    return Ask(target=str(target), namespace=target.namespace, amounts=times(pod, more), pod=pod if more else {})


def _expanded(size: Any, target: Target, found: Any) -> Ask | str:
    wanted = amount(size)
    if wanted is None:
        return "the size is not known before the step runs"
    now = amount_at(at(found, "spec", "resources", "requests"), "storage")
    return Ask(target=str(target), namespace=target.namespace, amounts={_STORAGE: max(wanted - now, NOTHING)})


def together(asks: list[Ask]) -> list[Ask]:
    """Return one ask for each target and node: the most of each amount that a step asks for."""
    by_target: dict[tuple[str, str, bool], Ask] = {}
    for ask in asks:
        key = (ask.target, ask.node, ask.counted)
        before = by_target.get(key)
        by_target[key] = (
            ask
            if before is None
            else msgspec.structs.replace(ask, amounts=most(before.amounts, ask.amounts), pod=most(before.pod, ask.pod))
        )
    return list(by_target.values())


def judge_quotas(namespace: str, asks: list[Ask], quotas: list[Any]) -> tuple[list[CheckFinding], dict[str, str]]:
    """Judge what is asked for in one namespace against each quota there. Returns findings and what they are made of."""
    asked = _sum([ask for ask in asks if ask.counted and ask.namespace == namespace])
    findings, inputs = [], {}
    for quota in quotas:
        name = f"ResourceQuota/{namespace}/{at(quota, 'metadata', 'name')}"
        scoped = bool(at(quota, "spec", "scopes") or at(quota, "spec", "scopeSelector"))
        short = []
        hard = at(quota, "status", "hard")
        for key in hard if isinstance(hard, dict) else ():
            resource = _PREFIX_OF_COUNT.get(key, key)
            limit, used = amount(hard[key]), amount_at(at(quota, "status", "used"), key)
            if limit is None or resource not in asked:
                continue
            has, uses, wants = [shown(resource, value) for value in (limit, used, asked[resource])]
            inputs[f"{name} {key}"] = f"hard {has}, used {uses}, asked {wants}"
            if asked[resource] and used + asked[resource] > limit:
                short.append(f"{key} is limited to {has}, {uses} is used, and {wants} more is asked for")
        findings.append(_quota_finding(name, short, scoped=scoped))
    return findings, inputs


def _quota_finding(name: str, short: list[str], *, scoped: bool) -> CheckFinding:
    if not short:
        return CheckFinding(subject=name, state="passed")
    if scoped:
        message = f"it counts some pods only, and whether these are among them is not known: {'; '.join(short)}"
        return CheckFinding(subject=name, state="unknown", message=message)
    return CheckFinding(subject=name, state="failed", message=f"{'; '.join(short)}; raise the quota or free some of it")


def takes_pods(node: Any) -> bool:
    """Whether new pods can get onto a node."""
    return not at(node, "spec", "unschedulable") and condition(node, "Ready").get("status") == "True"


def use_of(pod: Any) -> tuple[str, Amounts] | None:
    """Return the node and the needs of a pod; None for one that has ended. A pod without a node yet is on none."""
    if words(pod, "status", "phase") in {"Succeeded", "Failed"}:
        return None
    return words(pod, "spec", "nodeName"), of_pod(at(pod, "spec"))


def judge_room(asks: list[Ask], room: Room) -> tuple[list[CheckFinding], dict[str, str]]:
    """Judge what is asked for in one cluster against what its nodes have left."""
    inputs = {"nodes": str(len(room.free))}
    wide = [ask for ask in asks if not ask.node and any(ask.amounts.get(name) for name in _ON_NODES)]
    findings = [_on_one(ask, room) for ask in asks if ask.node and ask.of_anything()]
    if not wide:
        if not room.free and not findings:
            findings.append(CheckFinding(subject="Nodes", state="unknown", message="no node takes new pods"))
        return findings, inputs
    free, asked = minus(_all(room), room.waiting), _sum(wide)
    short = []
    for name in _ON_NODES:
        have, want = max(free.get(name, NOTHING), NOTHING), asked.get(name, NOTHING)
        inputs[name] = f"free {shown(name, have)}, asked {shown(name, want)}"
        if want > have:
            short.append(f"{name}: {shown(name, have)} is free and {shown(name, want)} is asked for")
    for ask in wide:
        if not short and ask.pod and not any(_fits(ask.pod, left) for left in room.free.values()):
            short.append(f"no node has room for one more pod of {ask.target}")
    message = f"{'; '.join(short)}; add a node or free some of it" if short else ""
    if not room.free:
        message = "no node takes new pods; add one, or uncordon one"
    findings.append(CheckFinding(subject="Nodes", state="failed" if message else "passed", message=message))
    return findings, inputs


def _on_one(ask: Ask, room: Room) -> CheckFinding:
    subject = f"Node//{ask.node}"
    if ask.node not in room.free:
        message = f"it takes no new pods or does not exist, so {ask.target} cannot move there"
        return CheckFinding(subject=subject, state="failed", message=message)
    if not _fits(ask.amounts, room.free[ask.node]):
        message = f"it has no room for {ask.target}: free some of it or choose another node"
        return CheckFinding(subject=subject, state="failed", message=message)
    return CheckFinding(subject=subject, state="passed")


def _fits(wanted: Amounts, free: Amounts) -> bool:
    return all(wanted.get(name, NOTHING) <= free.get(name, NOTHING) for name in _ON_NODES if wanted.get(name))


def _all(room: Room) -> Amounts:
    total: Amounts = {}
    for left in room.free.values():
        total = plus(total, {name: max(value, NOTHING) for name, value in left.items()})  # a full node lends nothing
    return total


def _sum(asks: list[Ask]) -> Amounts:
    total: Amounts = {}
    for ask in asks:
        total = plus(total, ask.amounts)
    return total
