"""Recommendations of an analysis: structured ones become steps, optimizations become their settings. Pure, total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, TypeGuard

import msgspec

from scheduler import graph
from scheduler.limits import LONGEST_SECONDS
from schemas import durations
from schemas.actions import check_at
from schemas.workflow import (
    RETRIES_LIMIT,
    RETRIES_OF,
    STEPS_LIMIT,
    ExecutionStrategy,
    Recommendation,
    Step,
    WorkflowSpec,
)

RECOMMENDATIONS: Final = "spec.workflowDefinition.aiRecommendations.recommendations"
OPTIMIZATIONS: Final = "spec.workflowDefinition.aiRecommendations.stepOptimizations"
HIGHEST_STEP: Final = 1_000_000

_RISKS: Final = ("low", "medium", "high")
_FIELDS: Final = ("stepNumber", "timeout", "maxRetries", "reason")
_LONGEST_REASON: Final = 1024

Optimization = tuple[int, float | None, int | None, str]
"""Step, timeout in seconds, retries, reason."""


def recommendations_of(spec: WorkflowSpec) -> tuple[Recommendation, ...]:
    """Return the structured recommendations of a workflow."""
    found = spec.workflow_definition.ai_recommendations
    return found.recommendations if found is not None else ()


def expand(spec: WorkflowSpec) -> WorkflowSpec:
    """Return the spec with a step for each recommendation, behind those that are written, in order.

    The same object when there is none. The spec must have no `problems`. What the user asked for is never weakened:
    risk only adds dry run, approval and rollback.
    """
    recommended = recommendations_of(spec)
    if not recommended:
        return spec
    written = spec.workflow_definition.steps
    first = _first_number(written)
    numbers = {each.id: first + place for place, each in enumerate(recommended)}
    made = tuple(_step(each, numbers) for each in recommended)
    definition = msgspec.structs.replace(spec.workflow_definition, steps=written + made)
    risk = max((each.risk for each in recommended), key=_RISKS.index)
    strategy = _careful(spec.execution_strategy, risk)
    return msgspec.structs.replace(spec, workflow_definition=definition, execution_strategy=strategy)


def made_of_recommendations(spec: WorkflowSpec) -> int:
    """Return how many of the last steps `expand` made; 0 for a spec that was not expanded."""
    ids = [each.id for each in recommendations_of(spec)]
    last = spec.workflow_definition.steps[-len(ids) :] if ids else ()
    return len(ids) if ids == [step.name for step in last] else 0


def problems(spec: WorkflowSpec) -> Iterator[str]:
    """Yield everything that is wrong with recommendations and optimizations, each with its field path."""
    recommended = recommendations_of(spec)
    yield from _doubled(recommended)
    yield from _unknown(recommended)
    yield from _cycles(recommended)
    for place, each in enumerate(recommended):
        yield from check_at(f"{RECOMMENDATIONS}[{place}]", each.action, each.parameters)
    steps = spec.workflow_definition.steps
    total = len(steps) + len(recommended)
    if total > STEPS_LIMIT:
        yield f"{RECOMMENDATIONS}: with them there are {total} steps; the limit is {STEPS_LIMIT}, so leave some out"
    if recommended and _first_number(steps) + len(recommended) - 1 > HIGHEST_STEP:
        yield f"{RECOMMENDATIONS}: their steps would be numbered past {HIGHEST_STEP}; give written steps lower numbers"
    yield from _malformed(spec)


def optimizations(spec: WorkflowSpec) -> tuple[Optimization, ...]:
    """Return the changes to single steps that are asked for and make sense, in order."""
    return tuple(found for _, found in _read_optimizations(spec) if not isinstance(found, list))


def _first_number(written: tuple[Step, ...]) -> int:
    return max((step.step_number for step in written), default=0) + 1


def _step(recommended: Recommendation, numbers: dict[str, int]) -> Step:
    return Step(
        step_number=numbers[recommended.id],
        name=recommended.id,
        description=recommended.reasoning,
        action=recommended.action,
        parameters=recommended.parameters,
        target_cluster=recommended.target_cluster,
        depends_on=tuple(dict.fromkeys(numbers[each] for each in recommended.depends_on)),
        max_retries=RETRIES_OF[recommended.priority],
        rollback_spec=recommended.rollback_spec,
    )


def _careful(strategy: ExecutionStrategy, risk: str) -> ExecutionStrategy:
    if risk == "low":
        return strategy
    strategy = msgspec.structs.replace(strategy, dry_run_first=True)
    if risk == "medium":
        return strategy
    return msgspec.structs.replace(strategy, approval_required=True, rollback_strategy="automatic")


def _doubled(recommended: tuple[Recommendation, ...]) -> Iterator[str]:
    counts = Counter(each.id for each in recommended)
    for name, count in counts.items():
        if count > 1:
            places = ", ".join(str(place) for place, each in enumerate(recommended) if each.id == name)
            yield f"{RECOMMENDATIONS}: the id {name!r} is used by entries {places}; give each its own"


def _unknown(recommended: tuple[Recommendation, ...]) -> Iterator[str]:
    known = {each.id for each in recommended}
    for place, each in enumerate(recommended):
        for position, name in enumerate(each.depends_on):
            if name not in known:
                path = f"{RECOMMENDATIONS}[{place}].dependsOn[{position}]"
                yield f"{path}: there is no recommendation {name!r}; the ids are {', '.join(sorted(known)[:12])}"


def _cycles(recommended: tuple[Recommendation, ...]) -> Iterator[str]:
    place_of = {each.id: place for place, each in enumerate(recommended)}
    edges = {
        place: frozenset(place_of[name] for name in each.depends_on if name in place_of)
        for place, each in enumerate(recommended)
    }
    for cycle in graph.cycles(edges):
        way = " -> ".join(recommended[place].id for place in (*cycle, cycle[0]))
        path = f"{RECOMMENDATIONS}[{cycle[0]}].dependsOn"
        yield f"{path}: recommendations depend on each other in a cycle: {way}; take one of these dependencies out"


def _malformed(spec: WorkflowSpec) -> Iterator[str]:
    for path, found in _read_optimizations(spec):
        if isinstance(found, list):
            yield from (f"{path}{wrong}" for wrong in found)


def _read_optimizations(spec: WorkflowSpec) -> Iterator[tuple[str, Optimization | list[str]]]:
    """Yield the path of each entry and what it says, or what is wrong with it."""
    recommendations = spec.workflow_definition.ai_recommendations
    written = spec.workflow_definition.steps
    numbers = {step.step_number for step in written}
    if not made_of_recommendations(spec):
        first = _first_number(written)
        numbers |= set(range(first, first + len(recommendations_of(spec))))
    seen: set[int] = set()
    for place, entry in enumerate(recommendations.step_optimizations if recommendations else ()):
        yield f"{OPTIMIZATIONS}[{place}]", _optimization(entry, numbers, seen)


def _optimization(entry: dict[str, Any], numbers: set[int], seen: set[int]) -> Optimization | list[str]:
    number, retries, reason = entry.get("stepNumber"), entry.get("maxRetries"), entry.get("reason", "")
    fields = ", ".join(_FIELDS)
    wrong = [f": {name[:32]!r} is not known; the fields are {fields}" for name in entry if name not in _FIELDS]
    if not _is_whole(number) or number not in numbers:
        wrong.append(".stepNumber: must be the number of a step")
        number = 0
    elif number in seen:
        wrong.append(f".stepNumber: step {number} is in an earlier entry already; put both into one")
    else:
        seen.add(number)
    timeout = _seconds(entry.get("timeout"))
    if entry.get("timeout") is not None and timeout is None:
        wrong.append(".timeout: must be a duration of more than 0 and at most a year, such as 90s or 1h30m")
    if retries is not None and not (_is_whole(retries) and 0 <= retries <= RETRIES_LIMIT):
        retries = None
        wrong.append(f".maxRetries: must be a whole number from 0 to {RETRIES_LIMIT}")
    if not isinstance(reason, str) or len(reason) > _LONGEST_REASON:
        wrong.append(f".reason: must be text of at most {_LONGEST_REASON} characters")
    if entry.get("timeout") is None and entry.get("maxRetries") is None:
        wrong.append(": changes nothing; give timeout, maxRetries or both")
    return wrong or (number, timeout, retries, str(reason))


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _seconds(text: Any) -> float | None:
    try:
        seconds = durations.parse(text) if isinstance(text, str) else 0.0
    except ValueError:
        return None
    return seconds if 0 < seconds <= LONGEST_SECONDS else None
