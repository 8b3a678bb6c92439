"""A plan as a reader sees it, made from the scheduler's own: the one place of the command line that knows its fields.

Pure. Must decide nothing anew: waves, path, estimate, limits and retries are what the scheduler will go by.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec

from scheduler.plan import Plan
from schemas import durations
from schemas.actions import ACTIONS, INVERTIBLE
from schemas.workflow import Step, WorkflowSpec

_ONLY_LOOK: Final = frozenset({"audit_logs", "backup_data", "collect_diagnostics", "create_heap_dump", "notify_only"})
"""Actions that change nothing that a rollback would have to put back."""


class Undo(enum.Enum):
    """How a step is undone."""

    SPEC = "spec"
    """By its rollbackSpec."""
    DERIVED = "derived"
    """By the inverse of its action, from what the executor reports was there before."""
    NOTHING = "nothing to undo"
    NONE = "none"


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One step of a plan."""

    number: int
    name: str
    action: str
    cluster: str
    """Empty: the cluster that the workflow is in."""
    wave: int
    """Which wave, counted from 1."""
    needs: tuple[int, ...]
    """Numbers of the steps that it waits for."""
    on_critical_path: bool
    critical: bool
    """Whether its failure ends the run."""
    conditional: bool
    """Whether an expression or a condition decides about it."""
    recommended: bool
    """It comes from a recommendation."""
    typical_seconds: float
    timeout_seconds: float
    retries: int
    rollback: str
    """spec, derived, nothing to undo or none."""
    rollback_action: str
    """Action of the rollbackSpec."""


class PlanView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A plan."""

    name: str
    definition: str
    version: str
    strategy: str
    waves: tuple[tuple[int, ...], ...]
    critical_path: tuple[int, ...]
    critical_path_seconds: float
    estimated_seconds: float
    parallelism_limit: int
    longest_path_first: bool
    priority: str
    approval_required: bool
    dry_run_first: bool
    safety_checks: tuple[str, ...]
    rollback_strategy: str
    workflow_timeout_seconds: float
    monitoring_window_seconds: float
    monitoring_timeout_seconds: float
    kept_seconds: float
    """How long the finished object is kept."""
    steps: tuple[PlannedStep, ...]

    def edges(self) -> list[tuple[int, int]]:
        """Return every dependency as (what is waited for, what waits), in rising order."""
        return sorted((need, step.number) for step in self.steps for need in step.needs)

    def critical_edges(self) -> frozenset[tuple[int, int]]:
        """Return the edges of the critical path."""
        return frozenset(zip(self.critical_path, self.critical_path[1:], strict=False))


def undo_of(step: Step) -> Undo:
    """Return how a step is undone."""
    if step.rollback_spec is not None:
        return Undo.SPEC
    if step.action in INVERTIBLE:
        return Undo.DERIVED
    return Undo.NOTHING if step.action in _ONLY_LOOK else Undo.NONE


def view_of(name: str, plan: Plan) -> PlanView:
    """Return a plan without errors for readers. Raises ValueError for one with errors."""
    spec, state = plan.definition.spec, plan.state
    if spec is None or state is None:
        raise ValueError(f"the plan has errors: {'; '.join(plan.errors)}")
    strategy = plan.strategy
    return PlanView(
        name=name,
        definition=spec.workflow_definition.name,
        version=spec.workflow_definition.version,
        strategy=state.strategy,
        waves=state.waves,
        critical_path=state.critical_path,
        critical_path_seconds=max(plan.remaining.values(), default=0.0),
        estimated_seconds=state.estimated_seconds,
        parallelism_limit=plan.limit,
        longest_path_first=plan.longest_first,
        priority=strategy.priority,
        approval_required=strategy.approval_required,
        dry_run_first=strategy.dry_run_first,
        safety_checks=tuple(
            each.type + ("" if each.required else " (not required)") for each in strategy.safety_checks
        ),
        rollback_strategy=strategy.rollback_strategy,
        workflow_timeout_seconds=plan.workflow_ms / 1000,
        monitoring_window_seconds=plan.window_ms / 1000,
        monitoring_timeout_seconds=plan.monitor_ms / 1000,
        kept_seconds=plan.ttl_ms / 1000,
        steps=_steps(plan, spec),
    )


def as_json(view: PlanView) -> dict[str, Any]:
    """Return a plan as JSON values."""
    told: dict[str, Any] = msgspec.to_builtins(view)
    return told


def seconds(value: float) -> str:
    """Return seconds as people write them in a workflow."""
    return durations.render(value)


def _steps(plan: Plan, spec: WorkflowSpec) -> tuple[PlannedStep, ...]:
    waves = plan.state.waves if plan.state else ()
    path = plan.state.critical_path if plan.state else ()
    wave = {number: place for place, level in enumerate(waves, start=1) for number in level}
    written = {step.step_number for step in spec.workflow_definition.steps}
    return tuple(
        PlannedStep(
            number=step.step_number,
            name=step.name,
            action=step.action,
            cluster=step.target_cluster,
            wave=wave[step.step_number],
            needs=tuple(sorted(plan.before[step.step_number])),
            on_critical_path=step.step_number in path,
            critical=step.critical_step,
            conditional=bool(step.run_if or step.skip_if or step.pre_conditions or step.post_conditions),
            recommended=step.step_number not in written,
            typical_seconds=ACTIONS[step.action].typical_seconds,
            timeout_seconds=plan.timeouts[step.step_number] / 1000,
            retries=plan.budgets[step.step_number],
            rollback=undo_of(step).value,
            rollback_action=step.rollback_spec.action if step.rollback_spec else "",
        )
        for step in plan.steps
    )
