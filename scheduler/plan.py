"""Planning: from a definition to what the engine runs on, or every reason why it cannot be run. Pure.

A plan is made once a run and then kept beside its state; the same definition always gives the same plan.
"""

from __future__ import annotations

import msgspec

from scheduler import graph
from scheduler.definition import Definition
from scheduler.rules import RULES, broken, edges
from scheduler.unsupported import UNSUPPORTED
from schemas.actions import ACTIONS
from schemas.run_state import PlanState
from schemas.workflow import Step, WorkflowSpec
from schemas.workflow_status import Strategy


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine needs of a definition. Steps are addressed by their place in rising order of numbers."""

    definition: Definition
    errors: tuple[str, ...]
    """Why the workflow cannot be run; the rest is empty then."""
    limit: int = 0
    longest_first: bool = False
    steps: tuple[Step, ...] = ()
    place: dict[int, int] = {}
    """Place of each step number."""
    before: dict[int, frozenset[int]] = {}
    """Numbers that each step depends on."""
    after: dict[int, tuple[int, ...]] = {}
    """Numbers that depend on each step."""
    remaining: dict[int, float] = {}
    """Longest path from the start of each step to the end, in seconds."""
    state: PlanState | None = None
    """What users see of it."""

    def step(self, number: int) -> Step:
        """Return the step with that number."""
        return self.steps[self.place[number]]


def make(definition: Definition) -> Plan:
    """Plan a definition; never raises."""
    spec = definition.spec
    errors = definition.errors or (broken(spec, RULES + UNSUPPORTED) if spec else ())
    if errors or spec is None:
        return Plan(definition=definition, errors=errors)
    before = edges(spec)
    seconds = {s.step_number: ACTIONS[s.action].typical_seconds for s in spec.workflow_definition.steps}
    steps = tuple(sorted(spec.workflow_definition.steps, key=lambda step: step.step_number))
    return Plan(
        definition=definition,
        errors=(),
        limit=spec.execution_strategy.parallelism_limit,
        longest_first=spec.adaptive_orchestration.optimization_enabled,
        steps=steps,
        place={step.step_number: place for place, step in enumerate(steps)},
        before=before,
        after=graph.dependents(before),
        remaining=graph.remaining(before, seconds),
        state=_state(spec, before, seconds),
    )


def _state(spec: WorkflowSpec, before: dict[int, frozenset[int]], seconds: dict[int, float]) -> PlanState:
    levels = graph.waves(before)
    return PlanState(
        strategy=_strategy(levels),
        waves=levels,
        critical_path=graph.critical_path(before, seconds),
        estimated_seconds=graph.makespan(
            before,
            seconds,
            spec.execution_strategy.parallelism_limit,
            longest_first=spec.adaptive_orchestration.optimization_enabled,
        ),
    )


def _strategy(levels: tuple[tuple[int, ...], ...]) -> Strategy:
    if all(len(level) == 1 for level in levels):
        return "sequential"
    return "parallel" if len(levels) == 1 else "sequential-with-parallel"
