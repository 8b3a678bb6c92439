"""The rules that a workflow must keep beyond what types and limits say, as a tuple of small checks. Pure.

Each check is total by itself: it looks at the whole spec and returns every error it finds, with the field path, what is
wrong and what to do. Their order is the order of the list that a person reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from scheduler import graph
from schemas import actions, durations
from schemas.workflow import Step, WorkflowSpec

ERROR_CHARACTERS = 1024
Check = Callable[[WorkflowSpec], Iterator[str]]

STEPS = "spec.workflowDefinition.steps"
DEPENDENCIES = "spec.workflowDefinition.dependencies"
PARAMETERS_LIMIT = 32 * 1024
"""Bytes of a step's parameters: ten steps at once, with the state, stay under NATS's default max_payload of 1 MiB."""
ERRORS_LIMIT = 100
"""More errors than that are counted, not listed: nobody reads them, and the status has a limit."""


def edges(spec: WorkflowSpec) -> dict[int, frozenset[int]]:
    """Return the graph: dependsOn merged with `dependencies`, without references to steps that are not there."""
    merged: dict[int, set[int]] = {step.step_number: set() for step in spec.workflow_definition.steps}
    for step in spec.workflow_definition.steps:
        merged[step.step_number].update(d for d in step.depends_on if d in merged)
    for key, listed in spec.workflow_definition.dependencies.items():
        number = _number(key)
        if number in merged:
            merged[number].update(d for d in listed if d in merged)
    return {number: frozenset(found) for number, found in merged.items()}


def there_are_steps(spec: WorkflowSpec) -> Iterator[str]:
    """A workflow without steps does nothing."""
    if not spec.workflow_definition.steps:
        yield f"{STEPS}: there is no step; write at least one"


def step_numbers_are_unique(spec: WorkflowSpec) -> Iterator[str]:
    """Two steps of one number cannot be told apart."""
    counts = Counter(step.step_number for step in spec.workflow_definition.steps)
    for number, count in sorted(counts.items()):
        if count > 1:
            places = [str(i) for i, s in enumerate(spec.workflow_definition.steps) if s.step_number == number]
            yield f"{STEPS}: step number {number} is used by entries {', '.join(places)}; give each step its own"


def dependencies_exist(spec: WorkflowSpec) -> Iterator[str]:
    """Every dependency names a step of the workflow."""
    known = {step.step_number for step in spec.workflow_definition.steps}
    for index, step in enumerate(spec.workflow_definition.steps):
        for place, dependency in enumerate(step.depends_on):
            if dependency not in known:
                yield f"{STEPS}[{index}].dependsOn[{place}]: there is no step {dependency}; {_the_steps(known)}"
    for key, listed in spec.workflow_definition.dependencies.items():
        if _number(key) not in known:
            yield f"{DEPENDENCIES}[{key[:32]!r}]: the key names no step; {_the_steps(known)}"
        for place, dependency in enumerate(listed):
            if dependency not in known:
                yield f"{DEPENDENCIES}[{key[:32]!r}][{place}]: there is no step {dependency}; {_the_steps(known)}"


def there_is_no_cycle(spec: WorkflowSpec) -> Iterator[str]:
    """No step waits for itself, however long the way round."""
    for cycle in graph.cycles(edges(spec)):
        way = " -> ".join(str(number) for number in (*cycle, cycle[0]))
        yield f"{STEPS}: steps depend on each other in a cycle: {way}; take one of these dependencies out"


def actions_fit_their_parameters(spec: WorkflowSpec) -> Iterator[str]:
    """Every action is known and has the parameters that it needs."""
    for index, step in enumerate(spec.workflow_definition.steps):
        yield from actions.check_at(f"{STEPS}[{index}]", step.action, step.parameters)


def parameters_are_small(spec: WorkflowSpec) -> Iterator[str]:
    """All that one decision commands must fit into one message of the log."""
    for index, step in enumerate(spec.workflow_definition.steps):
        size = len(msgspec.json.encode(step.parameters))
        if size > PARAMETERS_LIMIT:
            yield (
                f"{STEPS}[{index}].parameters: {size} bytes are more than {PARAMETERS_LIMIT}; put large content in a"
                " ConfigMap and name it"
            )


def durations_can_be_read(spec: WorkflowSpec) -> Iterator[str]:
    """Every duration is one."""
    strategy = spec.execution_strategy
    written: list[tuple[str, str | None]] = [
        ("spec.executionStrategy.workflowTimeout", strategy.workflow_timeout),
        ("spec.executionStrategy.ttlAfterFinished", strategy.ttl_after_finished),
    ]
    written += [(f"{STEPS}[{i}].timeout", step.timeout) for i, step in enumerate(spec.workflow_definition.steps)]
    for path, text in written:
        if text is not None:
            try:
                durations.parse(text)
            except ValueError as error:
                yield f"{path}: {error}"


RULES: tuple[Check, ...] = (
    there_are_steps,
    step_numbers_are_unique,
    dependencies_exist,
    there_is_no_cycle,
    actions_fit_their_parameters,
    parameters_are_small,
    durations_can_be_read,
)


def broken(spec: WorkflowSpec, checks: tuple[Check, ...] = RULES) -> tuple[str, ...]:
    """Return every error of every check, at most `ERRORS_LIMIT` and then how many more there are."""
    errors = [error[:ERROR_CHARACTERS] for check in checks for error in check(spec)]
    if len(errors) <= ERRORS_LIMIT:
        return tuple(errors)
    return (*errors[:ERRORS_LIMIT], f"and {len(errors) - ERRORS_LIMIT} more errors")


def templates(step: Step) -> Iterator[str]:
    """Return the paths of the parameters that hold a `{{ expression }}`, relative to the step."""
    waiting: list[tuple[str, Any]] = [("parameters", step.parameters)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend((f"{path}.{key}", inner) for key, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((f"{path}[{place}]", inner) for place, inner in enumerate(value))
        elif actions.has_template(value):
            yield path


def _number(key: str) -> int | None:
    return int(key) if key.isascii() and key.isdecimal() and len(key) < 10 else None  # noqa: PLR2004 - a step number fits


def _the_steps(known: set[int]) -> str:
    shown = sorted(known)
    more = f" … {shown[-1]}" if len(shown) > 12 else ""  # noqa: PLR2004 - what a person can still read
    return f"the steps are {', '.join(str(n) for n in shown[:12])}{more}"
