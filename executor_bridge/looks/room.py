"""The check `capacity`: what the steps ask for, the quotas of their namespaces, and what the nodes have left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge.checks.amounts import Amounts, minus, of_node, plus
from executor_bridge.checks.capacity import (
    Ask,
    Room,
    ask_of,
    asked_of,
    judge_quotas,
    judge_room,
    takes_pods,
    together,
    use_of,
)
from executor_bridge.checks.values import is_name, is_namespace, shown, words
from executor_bridge.checks.verdict import Found
from executor_bridge.looks.survey import Survey, label, meant
from runtime.kinds import BY_KIND, NODES, PODS, QUOTAS
from schemas.messages import CheckFinding

if TYPE_CHECKING:
    from executor_bridge.reading import Reader
    from schemas.messages import CheckTarget
    from schemas.targets import Target

_READ: Final = ("Deployment", "StatefulSet", "PersistentVolumeClaim")
"""Kinds that ask for room by a number of replicas or a size."""

Judged = tuple[list[CheckFinding], dict[str, str]]
"""Findings, and what they are made of."""


async def capacity(survey: Survey) -> Found:
    """Add up what is asked for in each cluster, and see whether there is room for it."""
    targets = survey.command.targets
    asks: dict[str, list[Ask]] = {each.target_cluster: [] for each in targets}
    inputs: dict[str, str] = {}

    async def look(index: int) -> list[CheckFinding]:
        each = targets[index]
        target = asked_of(each.action, each.parameters)
        subject = label(target, each.target_cluster)
        return [] if target is None else await meant(subject, _asked(survey, each, target, asks, inputs))

    asking = [index for index, each in enumerate(targets) if asked_of(each.action, each.parameters) is not None]
    findings = await survey.each(asking, look)
    for cluster, asked in asks.items():
        wanted = [ask for ask in together(asked) if ask.of_anything()]
        findings += await _cluster(survey.reader(cluster), cluster, wanted, inputs)
    return Found(tuple(findings), inputs)


async def _asked(
    survey: Survey, each: CheckTarget, target: Target, asks: dict[str, list[Ask]], inputs: dict[str, str]
) -> list[CheckFinding]:
    """Find out what a step asks for, and add it to `asks`."""
    subject = label(target, each.target_cluster)
    ask = await _ask(survey.reader(each.target_cluster), each, target)
    if isinstance(ask, str):
        return [CheckFinding(subject=subject, state="unknown", message=ask)]
    if ask is None:
        return [CheckFinding(subject=subject, state="failed", message="it does not exist")]
    asks[each.target_cluster].append(ask)
    inputs[f"step {each.step}: {subject}"] = f"asks for {_listed(ask.amounts)}"
    return []


async def _ask(reader: Reader, each: CheckTarget, target: Target) -> Ask | str | None:
    """Return what a step asks for, why that cannot be known, or None when what it is about does not exist."""
    if target.kind not in _READ:
        return "how much room this kind of thing needs is not known here"
    if not is_name(target.name) or not is_namespace(target.namespace):
        return "it has no name that an object can have; it may be known only when the step runs"
    found = await reader.get(BY_KIND[target.kind], target.namespace, target.name)
    return None if found is None else ask_of(each.action, each.parameters, target, found)


async def _cluster(reader: Reader, cluster: str, asks: list[Ask], inputs: dict[str, str]) -> list[CheckFinding]:
    """Judge what is asked for in one cluster against its quotas and its nodes."""

    def named(judged: Judged) -> list[CheckFinding]:
        inputs.update({label(name, cluster): value for name, value in judged[1].items()})
        return [CheckFinding(subject=label(f.subject, cluster), state=f.state, message=f.message) for f in judged[0]]

    async def quotas(namespace: str) -> list[CheckFinding]:
        return named(judge_quotas(namespace, asks, await reader.all(QUOTAS, namespace)))

    async def nodes() -> list[CheckFinding]:
        return named(judge_room(asks, await _room(reader, whole=bool(asks))))

    findings = []
    for namespace in sorted({ask.namespace for ask in asks if ask.counted}):
        findings += await meant(label(f"ResourceQuota/{namespace}", cluster), quotas(namespace))
    return findings + await meant(label("Nodes", cluster), nodes())


async def _room(reader: Reader, *, whole: bool) -> Room:
    """Return what the nodes have left; without `whole`, only which there are, because pods are many."""
    free: dict[str, Amounts] = {}
    waiting: Amounts = {}
    async for page in reader.pages(NODES, None):
        free.update({words(node, "metadata", "name"): of_node(node) for node in page if takes_pods(node)})
    if whole and free:
        async for page in reader.pages(PODS, None):
            for node, need in filter(None, map(use_of, page)):
                if node in free:
                    free[node] = minus(free[node], need)
                elif not node:
                    waiting = plus(waiting, need)
    return Room(free, waiting)


def _listed(amounts: Amounts) -> str:
    told = [f"{name} {shown(name, value)}" for name, value in sorted(amounts.items()) if value]
    return ", ".join(told) or "nothing"
