"""What expressions see of a run: variables, the steps so far, the workflow, the time of the decision. Pure."""

from __future__ import annotations

from typing import Any

from scheduler.draft import Draft
from scheduler.expressions import Scope
from schemas.run_state import StepState


def scope_of(draft: Draft, steps: frozenset[int] | None, *, ended: int = 0) -> Scope:
    """Return the scope as it is now, with those steps only; None for all.

    `ended`: a step whose postconditions are asked, which counts as completed.
    """
    place = draft.plan.place
    wanted = draft.steps if steps is None else [draft.step(number) for number in sorted(steps) if number in place]
    definition = draft.plan.definition
    return Scope(
        variables=draft.plan.variables,
        steps={step.number: _step(draft, step, done=step.number == ended) for step in wanted},
        workflow={
            "name": definition.ref.name,
            "namespace": definition.ref.namespace,
            "uid": definition.ref.uid,
            "phase": draft.phase,
            "startedAt": draft.get("started_at"),
        },
        now=draft.now,
    )


def _step(draft: Draft, step: StepState, *, done: bool) -> dict[str, Any]:
    # A step that a person skipped counts as completed for its dependents (spec.md section 3).
    completed = done or (step.phase == "skipped" and step.reason == "skipped_by_person")
    return {
        "status": "completed" if completed else step.phase,
        "result": step.result or {},
        "error": step.error,
        "attempts": step.attempt,
        "name": draft.plan.step(step.number).name,
    }
