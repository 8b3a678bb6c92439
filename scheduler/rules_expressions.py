"""The rules about expressions: conditions of steps and `{{ }}` in parameters. Pure, each total by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scheduler import templates
from scheduler.expressions import problem
from scheduler.rule_paths import STEPS, STRATEGY, Check, steps_of
from schemas.texts import texts
from schemas.workflow import Step, WorkflowSpec

MOST_CHARACTERS: Final = 64 * 1024
"""Of all expressions of a workflow: planning compiles each, at about 6 us a character."""


def expressions_are_few(spec: WorkflowSpec) -> Iterator[str]:
    """Compiling takes time, which planning has little of."""
    if _too_many(spec):
        yield (
            f"{STEPS}: its expressions have {_characters(spec)} characters together; the limit is {MOST_CHARACTERS}, so"
            " make them shorter or the workflow smaller"
        )


def conditions_are_right(spec: WorkflowSpec) -> Iterator[str]:
    """Every condition is an expression that makes sense and gives true or false."""
    if _too_many(spec):
        return
    numbers, variables = _known(spec)
    for path, step in steps_of(spec):
        for field, text in _conditions(step):
            if wrong := problem(text, steps=numbers, boolean=True, variables=variables):
                yield f"{path}.{field}: {wrong}"


def templates_are_right(spec: WorkflowSpec) -> Iterator[str]:
    """Every `{{ }}` in parameters holds an expression that makes sense."""
    if _too_many(spec):
        return
    numbers, variables = _known(spec)
    for path, step in steps_of(spec):
        for place, wrong in templates.problems(step.parameters, numbers, variables):
            yield f"{path}.{place}: {wrong}"
        if step.rollback_spec is not None:
            for place, wrong in templates.problems(step.rollback_spec.parameters, numbers, variables):
                yield f"{path}.rollbackSpec.{place}: {wrong}"


def conditions_can_roll_back(spec: WorkflowSpec) -> Iterator[str]:
    """A condition cannot ask for a rollback in a workflow that has none."""
    if spec.execution_strategy.rollback_strategy != "none":
        return
    for path, step in steps_of(spec):
        for field, conditions in (("preConditions", step.pre_conditions), ("postConditions", step.post_conditions)):
            for place, condition in enumerate(conditions):
                if condition.on_failure == "rollback":
                    yield (
                        f"{path}.{field}[{place}].onFailure: asks for a rollback, but {STRATEGY}.rollbackStrategy is"
                        " none; choose fail here, or automatic or manual there"
                    )


RULES: Final[tuple[Check, ...]] = (
    expressions_are_few,
    conditions_are_right,
    templates_are_right,
    conditions_can_roll_back,
)


def _conditions(step: Step) -> Iterator[tuple[str, str]]:
    if step.run_if is not None:
        yield "runIf", step.run_if
    if step.skip_if is not None:
        yield "skipIf", step.skip_if
    for field, conditions in (("preConditions", step.pre_conditions), ("postConditions", step.post_conditions)):
        for place, condition in enumerate(conditions):
            yield f"{field}[{place}].expression", condition.expression


def _known(spec: WorkflowSpec) -> tuple[frozenset[int], frozenset[str]]:
    numbers = frozenset(step.step_number for step in spec.workflow_definition.steps)
    return numbers, frozenset(spec.workflow_definition.variables)


def _too_many(spec: WorkflowSpec) -> bool:
    return _characters(spec) > MOST_CHARACTERS


def _characters(spec: WorkflowSpec) -> int:
    found = 0
    for step in spec.workflow_definition.steps:
        found += sum(len(text) for _, text in _conditions(step))
        for parameters in (step.parameters, step.rollback_spec.parameters if step.rollback_spec else {}):
            found += sum(len(each) for text in texts(parameters) for each in templates.expressions_in(text))
    return found
