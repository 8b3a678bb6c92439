"""What a person approves: the plan with its actions and targets, the checks, the dry run. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kubernaut.cli.steering import Body, SteeringError, digest_of, part
from kubernaut.cli.table import columns
from kubernaut.cli.view import view_of
from scheduler.recommend import expand
from schemas.targets import target_of
from schemas.workflow import WorkflowSpec


def what_is_approved(body: Body) -> list[str]:
    """Return the lines about the plan of a run that waits for a person's word. Raises SteeringError."""
    try:
        body = _expanded(body)
    except (msgspec.ValidationError, ValueError) as error:
        raise SteeringError(
            f"the spec cannot be read, so that nobody could know what is decided on: {error}"
        ) from error
    view = view_of(body)
    facts = [
        ["workflow", f"{view.namespace}/{view.name}, {view.definition}"],
        ["plan", f"{view.strategy}, typically {view.estimate}, at most {view.limit} steps at once"],
        ["digest", digest_of(body)],
        ["rollback", str(part(body, "status", "executionPlan").get("rollbackStrategy", ""))],
        *_checks(body),
        *_dry_run(body),
    ]
    width = max(len(name) for name, _ in facts)
    return [*(f"{name:<{width}}  {value or '-'}" for name, value in facts), "", *columns(_steps(body))]


def _steps(body: Body) -> list[list[str]]:
    rows = [["WAVE", "STEP", "NAME", "ACTION", "TARGET", "PARAMETERS"]]
    asked = {one["stepNumber"]: one for one in part(body, "spec", "workflowDefinition").get("steps", ())}
    for place, wave in enumerate(view_of(body).waves, start=1):
        for step in wave:
            parameters = part(asked.get(step.number, {}), "parameters")
            target = target_of(step.action, dict(parameters))
            name = "/".join(word for word in str(target).split("/") if word) if target else ""
            told = ", ".join(f"{key}={value}" for key, value in parameters.items())
            rows.append([str(place), str(step.number), step.name, step.action, name, told])
    return rows


def _expanded(body: Body) -> Body:
    """Return the object with the steps that its recommendations become: what is approved must be shown whole."""
    spec = expand(msgspec.convert(part(body, "spec"), WorkflowSpec))
    return {**body, "spec": msgspec.to_builtins(spec)}


def _checks(body: Body) -> Iterator[list[str]]:
    asked = part(body, "spec", "executionStrategy").get("safetyChecks") or ()
    told = part(body, "status", "validationResults").get("checks") or ()
    for one in told:
        word = "passed" if one.get("passed") else "FAILED" if one.get("required", True) else "failed, not required"
        yield [f"check {one.get('type', '')}", f"{word}{_because(one.get('message'))}"]
    for one in asked[len(told) :]:
        yield [f"check {one.get('type', '')}", "has not ended yet"]
    if not asked and not told:
        yield ["checks", "none were asked for"]


def _dry_run(body: Body) -> Iterator[list[str]]:
    results = part(body, "status", "validationResults", "dryRunResults")
    if not results:
        wanted = part(body, "spec", "executionStrategy").get("dryRunFirst")
        yield ["dry run", "has not ended yet" if wanted else "none was asked for"]
        return
    yield ["dry run", "passed" if results.get("overallSuccess") else "FAILED"]
    for one in results.get("stepResults") or ():
        if not one.get("success"):
            yield ["", f"step {one.get('stepNumber')} failed{_because(one.get('message'))}"]
    for what in results.get("resourceChanges") or ():
        yield ["would change", str(what)]
    for what in results.get("potentialIssues") or ():
        yield ["may go wrong", str(what)]


def _because(message: Any) -> str:
    return f": {message}" if message else ""
