"""The check `network`: whether the API of each target cluster answers."""

from __future__ import annotations

from executor_bridge.checks.values import words
from executor_bridge.checks.verdict import Found
from executor_bridge.looks.survey import Survey, meant
from executor_bridge.reading import NotLetInError, UnreadableHereError
from schemas.messages import CheckFinding


async def network(survey: Survey) -> Found:
    """Ask each cluster for its version. An answer is an answer, also one that we may not read the version."""
    inputs: dict[str, str] = {}

    async def look(cluster: str) -> list[CheckFinding]:
        subject = f"Cluster/{cluster}" if cluster else "this cluster"
        return await meant(subject, _asked(survey, cluster, subject, inputs))

    return Found(tuple(await survey.each([each.target_cluster for each in survey.command.targets], look)), inputs)


async def _asked(survey: Survey, cluster: str, subject: str, inputs: dict[str, str]) -> list[CheckFinding]:
    try:
        inputs[subject] = words(await survey.reader(cluster).version(), "gitVersion") or "it answers"
    except NotLetInError as error:
        return [CheckFinding(subject=subject, state="failed", message=f"{error}; renew them")]
    except UnreadableHereError as error:
        inputs[subject] = str(error)
    return [CheckFinding(subject=subject, state="passed")]
