"""The rules that a workflow must keep beyond what types and limits say, as a tuple of small checks. Pure.

Each check is total by itself: it looks at the whole spec and returns every error it finds, with the field path, what is
wrong and what to do. Their order is the order of the list that a person reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from scheduler import graph, rules_expressions, rules_times
from scheduler.rule_paths import DEPENDENCIES, STEPS, Check, steps_of
from schemas import actions
from schemas.workflow import WorkflowSpec

ERROR_CHARACTERS = 1024
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
    for path, step in steps_of(spec):
        yield from actions.check_at(path, step.action, step.parameters)


def rollbacks_fit_their_parameters(spec: WorkflowSpec) -> Iterator[str]:
    """So is every action that undoes a step."""
    for path, step in steps_of(spec):
        if (undo := step.rollback_spec) is not None:
            yield from actions.check_at(f"{path}.rollbackSpec", undo.action, undo.parameters)


def parameters_are_small(spec: WorkflowSpec) -> Iterator[str]:
    """All that one decision commands must fit into one message of the log."""
    for path, step in steps_of(spec):
        written = {"parameters": step.parameters}
        if step.rollback_spec is not None:
            written["rollbackSpec.parameters"] = step.rollback_spec.parameters
        for field, parameters in written.items():
            size = len(msgspec.json.encode(parameters))
            if size > PARAMETERS_LIMIT:
                yield (
                    f"{path}.{field}: {size} bytes are more than {PARAMETERS_LIMIT}; put large content in a"
                    " ConfigMap and name it"
                )


RULES: tuple[Check, ...] = (
    there_are_steps,
    step_numbers_are_unique,
    dependencies_exist,
    there_is_no_cycle,
    actions_fit_their_parameters,
    rollbacks_fit_their_parameters,
    parameters_are_small,
    *rules_expressions.RULES,
    *rules_times.RULES,
)


def broken(spec: WorkflowSpec, checks: tuple[Check, ...] = RULES) -> tuple[str, ...]:
    """Return every error of every check, at most `ERRORS_LIMIT` and then how many more there are."""
    errors = [error[:ERROR_CHARACTERS] for check in checks for error in check(spec)]
    if len(errors) <= ERRORS_LIMIT:
        return tuple(errors)
    return (*errors[:ERRORS_LIMIT], f"and {len(errors) - ERRORS_LIMIT} more errors")


def _number(key: str) -> int | None:
    return int(key) if key.isascii() and key.isdecimal() and len(key) < 10 else None  # noqa: PLR2004 - a step number fits


def _the_steps(known: set[int]) -> str:
    shown = sorted(known)
    more = f" … {shown[-1]}" if len(shown) > 12 else ""  # noqa: PLR2004 - what a person can still read
    return f"the steps are {', '.join(str(n) for n in shown[:12])}{more}"
