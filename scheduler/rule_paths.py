"""Where things stand in a spec, as errors name them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from scheduler.recommend import RECOMMENDATIONS, made_of_recommendations
from schemas.workflow import Step, WorkflowSpec

STEPS: Final = "spec.workflowDefinition.steps"
DEPENDENCIES: Final = "spec.workflowDefinition.dependencies"
STRATEGY: Final = "spec.executionStrategy"

Check = Callable[[WorkflowSpec], Iterator[str]]
"""Finds one kind of error in a whole spec, total by itself."""


def steps_of(spec: WorkflowSpec) -> Iterator[tuple[str, Step]]:
    """Yield each step with the path of what the user wrote: of a step, or of the recommendation that became one."""
    steps = spec.workflow_definition.steps
    written = len(steps) - made_of_recommendations(spec)
    for index, step in enumerate(steps):
        yield f"{STEPS}[{index}]" if index < written else f"{RECOMMENDATIONS}[{index - written}]", step
