"""Planning: from a definition to what the phases run on, or every reason why it cannot be run. Pure.

A plan is made once a run and then kept beside its state; the same definition, with the same figures of earlier runs,
always gives the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from scheduler import graph
from scheduler.adapt import adjust, durations_of, used
from scheduler.definition import Definition
from scheduler.limits import LONGEST_SECONDS, default_workflow_timeout
from scheduler.recommend import expand
from scheduler.recommend import problems as recommendation_problems
from scheduler.rules import broken, edges
from schemas import durations
from schemas.names import digest
from schemas.run_state import Adjustment, LearnedAction, PlanState
from schemas.workflow import DEFAULT_STEP_TIMEOUT, DEFAULT_TTL, ExecutionStrategy, Monitoring, Step, WorkflowSpec
from schemas.workflow_status import Strategy

_CANONICAL = msgspec.json.Encoder(order="deterministic")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the phases need of a definition. Steps are addressed by their place in rising order of numbers."""

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
    strategy: ExecutionStrategy = ExecutionStrategy()
    """With what the risk of recommendations asks for."""
    variables: dict[str, str] = {}
    timeouts: dict[int, int] = {}
    """Longest time of one attempt of each step, in ms."""
    budgets: dict[int, int] = {}
    """Retries of each step."""
    workflow_ms: int = 0
    window_ms: int = 0
    """How long the targets must stay healthy; 0 skips monitoring."""
    monitor_ms: int = 0
    ttl_ms: int
    """How long the finished object is kept."""
    learned: dict[str, LearnedAction] = {}
    """What earlier runs showed of the actions, where that was asked for."""
    adjustments: tuple[Adjustment, ...] = ()
    """What was moved because of it; `at` is left open."""
    state: PlanState | None = None
    """What users see of it."""

    def step(self, number: int) -> Step:
        """Return the step with that number."""
        return self.steps[self.place[number]]


def make(definition: Definition, learned: Mapping[str, LearnedAction] | None = None) -> Plan:
    """Plan a definition with what earlier runs showed of the actions; never raises."""
    if definition.spec is None:
        return Plan(definition=definition, errors=definition.errors, ttl_ms=_ms(DEFAULT_TTL))
    spec, errors = _expanded(definition.spec)
    if errors:
        return Plan(definition=definition, errors=errors, ttl_ms=_ttl(spec))
    known = used(spec, learned or {})
    return _plan(definition, spec, known, adjust(spec, known))


def _expanded(written: WorkflowSpec) -> tuple[WorkflowSpec, tuple[str, ...]]:
    """Return the spec with what its recommendations bring, and every reason why it cannot be run.

    Where the recommendations make no sense themselves it is as it was written.
    """
    wrong = tuple(recommendation_problems(written))
    if not wrong:
        spec = expand(written)
        return spec, broken(spec)
    # Steps that only recommendations would bring are no error of the written ones.
    return written, (*wrong, *(broken(written) if written.workflow_definition.steps else ()))


def _plan(
    definition: Definition,
    spec: WorkflowSpec,
    learned: dict[str, LearnedAction],
    adjustments: tuple[Adjustment, ...],
) -> Plan:
    before = edges(spec)
    seconds = durations_of(spec, learned)
    strategy, adaptive = spec.execution_strategy, spec.adaptive_orchestration
    steps = tuple(sorted(spec.workflow_definition.steps, key=lambda step: step.step_number))
    monitoring = strategy.monitoring or Monitoring()
    return Plan(
        definition=definition,
        errors=(),
        limit=strategy.parallelism_limit,
        longest_first=adaptive.optimization_enabled,
        steps=steps,
        place={step.step_number: place for place, step in enumerate(steps)},
        before=before,
        after=graph.dependents(before),
        remaining=graph.remaining(before, seconds),
        strategy=strategy,
        variables=spec.workflow_definition.variables,
        timeouts={s.step_number: _ms(s.timeout or DEFAULT_STEP_TIMEOUT) for s in steps}
        | {a.step: round(a.timeout * 1000) for a in adjustments if a.timeout},
        budgets={s.step_number: strategy.max_retries if s.max_retries is None else s.max_retries for s in steps}
        | {a.step: a.retries for a in adjustments if a.retries >= 0},
        workflow_ms=_ms(strategy.workflow_timeout or default_workflow_timeout(len(steps))),
        window_ms=_ms(monitoring.window),
        monitor_ms=_ms(monitoring.timeout),
        ttl_ms=_ms(strategy.ttl_after_finished),
        learned=learned,
        adjustments=adjustments,
        state=_state(definition, spec, before, seconds, learned),
    )


def _state(
    definition: Definition,
    spec: WorkflowSpec,
    before: dict[int, frozenset[int]],
    seconds: dict[int, float],
    learned: dict[str, LearnedAction],
) -> PlanState:
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
        digest=digest("plan", definition.spec_hash, _CANONICAL.encode(learned).decode()),
    )


def _strategy(levels: tuple[tuple[int, ...], ...]) -> Strategy:
    if all(len(level) == 1 for level in levels):
        return "sequential"
    return "parallel" if len(levels) == 1 else "sequential-with-parallel"


def _ttl(spec: WorkflowSpec) -> int:
    """How long an object is kept whose run is refused: as it asks, where that can be read."""
    longest = round(LONGEST_SECONDS * 1000)  # what is longer may not fit the times of a state
    try:
        return min(_ms(spec.execution_strategy.ttl_after_finished), longest)
    except ValueError:
        return _ms(DEFAULT_TTL)


def _ms(duration: str) -> int:
    return round(durations.parse(duration) * 1000)
