"""The check `audit`: whether the audit holds everything of the run, up to the decision that asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from executor_bridge.checks.verdict import Found
from executor_bridge.patience import persist
from runtime.errors import NotFoundError
from schemas.messages import CheckFinding
from schemas.subjects import AUDITOR

if TYPE_CHECKING:
    from executor_bridge.looks.survey import Survey


async def audit(survey: Survey) -> Found:
    """Compare how far the auditor has acknowledged, which it does after its commit, with where the decision is."""
    wanted = survey.order.sequence
    inputs = {"decision": str(wanted)}
    try:
        done = await _caught_up(survey, wanted)
    except NotFoundError as error:
        return Found((CheckFinding(subject="audit", state="failed", message=str(error)),), inputs)
    inputs["acknowledged"] = str(done)
    if done >= wanted:
        return Found((CheckFinding(subject="audit", state="passed"),), inputs)
    message = f"it holds everything up to message {done} of the log, and not yet up to {wanted}; is the auditor well?"
    return Found((CheckFinding(subject="audit", state="failed", message=message),), inputs)


async def _caught_up(survey: Survey, wanted: int) -> int:
    """Return how far the auditor is, as soon as it is far enough or its moment is over."""
    limits, log, now = survey.context.limits, survey.context.log, asyncio.get_running_loop().time
    until = min(survey.order.until, now() + limits.audit)
    while True:
        done = await persist(limits, survey.order.until, lambda _tries: log.acknowledged(AUDITOR))
        if done >= wanted or now() + limits.retry_first > until:
            return done
        await asyncio.sleep(limits.retry_first)
