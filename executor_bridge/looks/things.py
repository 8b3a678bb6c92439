"""The checks `health` and `monitor`: read each thing and see whether it is there and available."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor_bridge.checks.health import problem_of, seen
from executor_bridge.checks.values import is_name, is_namespace
from executor_bridge.checks.verdict import Found
from executor_bridge.looks.survey import Survey, label, meant
from runtime.kinds import BY_KIND
from schemas.messages import CheckFinding
from schemas.targets import NO_NAMESPACE, Target, parse, target_of

if TYPE_CHECKING:
    from schemas.messages import CheckTarget

Thing = tuple[str, Target]
"""The name of the cluster and what is meant in it."""


async def health(survey: Survey) -> Found:
    """Look at what the steps are about. What a step that has not run yet may not name is not judged."""
    named = [(each.target_cluster, target_of(each.action, each.parameters)) for each in survey.command.targets]
    return await _look_at(survey, [(cluster, target) for cluster, target in named if target is not None])


async def monitor(survey: Survey) -> Found:
    """Look at what the steps have changed."""
    return await _look_at(survey, [(each.target_cluster, _read(each)) for each in survey.command.targets], after=True)


def _read(target: CheckTarget) -> Target:
    try:
        return parse(target.resource)
    except ValueError:
        return Target("", "", target.resource)


async def _look_at(survey: Survey, things: list[Thing], *, after: bool = False) -> Found:
    """`after`: the steps were done: a pod may have been replaced, and the executor may know more clusters than we."""
    inputs: dict[str, str] = {}

    async def look(thing: Thing) -> list[CheckFinding]:
        subject = label(thing[1], thing[0])
        judged = _judged(survey, thing, subject, inputs, after=after)
        return await meant(subject, judged, unknown="unknown" if after else "failed")

    return Found(tuple(await survey.each(things, look)), inputs)


async def _judged(
    survey: Survey, thing: Thing, subject: str, inputs: dict[str, str], *, after: bool
) -> list[CheckFinding]:
    cluster, target = thing
    if reason := _unreadable(target):
        return [CheckFinding(subject=subject, state="unknown", message=reason)]
    namespace = "" if target.kind in NO_NAMESPACE else target.namespace
    found = await survey.reader(cluster).get(BY_KIND[target.kind], namespace, target.name)
    if found is None:
        inputs[subject] = "not found"
        if after and target.kind == "Pod":
            return [CheckFinding(subject=subject, state="unknown", message="it is not there any more: replaced, maybe")]
        return [CheckFinding(subject=subject, state="failed", message="it does not exist")]
    inputs[subject] = seen(target.kind, found)
    problem = problem_of(target.kind, found)
    return [CheckFinding(subject=subject, state="failed" if problem else "passed", message=problem)]


def _unreadable(target: Target) -> str:
    """Say why a thing cannot be read at all; empty when it can."""
    if target.kind == "Secret":
        return "Secrets are never read, not even to see whether they are there"
    if target.kind not in BY_KIND:
        return "this kind of thing is not known here"
    if not is_name(target.name) or (target.kind not in NO_NAMESPACE and not is_namespace(target.namespace)):
        return "it has no name that an object can have; it may be known only when the step runs"
    return ""
