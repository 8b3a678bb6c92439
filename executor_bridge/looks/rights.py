"""The check `rbac`: whether the ServiceAccount of each action may do what it needs, by the API server's own word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor_bridge.checks.rights import NEEDED, Question, account_of, missing_sentence, questions_of, review_of
from executor_bridge.checks.values import at, is_name, is_namespace
from executor_bridge.checks.verdict import Found
from executor_bridge.looks.survey import Survey, label, meant
from runtime.kinds import ACCESS_REVIEWS
from schemas.messages import CheckFinding
from schemas.targets import target_of

if TYPE_CHECKING:
    from schemas.messages import CheckTarget

Key = tuple[str, str, str, str]
"""Cluster, action, namespace and name of the target."""


async def rbac(survey: Survey) -> Found:
    """Ask for every right of every action, once for each target. `custom` and `notify_only` need none that we know."""
    inputs: dict[str, str] = {}

    async def look(key: Key) -> list[CheckFinding]:
        subject = label(f"ServiceAccount/{survey.order.decision.workflow.namespace}/{account_of(key[1])}", key[0])
        return await meant(subject, _asked(survey, key, subject, inputs))

    keys = [_key(each) for each in survey.command.targets if NEEDED.get(each.action)]
    return Found(tuple(await survey.each(keys, look)), inputs)


def _key(target: CheckTarget) -> Key:
    namespace = target.parameters.get("namespace")
    about = target_of(target.action, target.parameters)
    name = about.name if about is not None and is_name(about.name) else ""
    return target.target_cluster, target.action, namespace if isinstance(namespace, str) else "", name


async def _asked(survey: Survey, key: Key, subject: str, inputs: dict[str, str]) -> list[CheckFinding]:
    cluster, action, namespace, name = key
    questions = questions_of(action, survey.order.decision.workflow.namespace, namespace, name)
    if any(not question.right.wide for question in questions) and not is_namespace(namespace):
        message = f"{action}: the namespace is not known before the step runs"
        return [CheckFinding(subject=subject, state="unknown", message=message)]
    missing: list[Question] = []
    for question in questions:
        answer = await survey.reader(cluster).create(ACCESS_REVIEWS, review_of(question))
        allowed = at(answer, "status", "allowed") is True
        inputs[f"{subject} {question}"] = "allowed" if allowed else "not allowed"
        if not allowed:
            missing.append(question)
    if missing:
        return [CheckFinding(subject=subject, state="failed", message=missing_sentence(missing))]
    return [CheckFinding(subject=subject, state="passed")]
