"""The check `audit`: whether the audit holds everything of the run, up to the decision that asks."""

from __future__ import annotations

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
    log, wanted = survey.context.log, survey.order.sequence
    inputs = {"decision": str(wanted)}
    try:
        done = await persist(survey.context.limits, survey.order.until, lambda _tries: log.acknowledged(AUDITOR))
    except NotFoundError as error:
        return Found((CheckFinding(subject="audit", state="failed", message=str(error)),), inputs)
    inputs["acknowledged"] = str(done)
    if done >= wanted:
        return Found((CheckFinding(subject="audit", state="passed"),), inputs)
    message = f"it holds everything up to message {done} of the log, and not yet up to {wanted}; is the auditor well?"
    return Found((CheckFinding(subject="audit", state="failed", message=message),), inputs)
