"""What earlier runs and an analysis change in a plan: durations, timeouts, retry budgets. Pure; every change is said.

Only where a run asks for it. Of history only what the user left open is moved, and only upwards: a limit that somebody
wrote is a decision, and a shorter one could end an action in the middle. An analysis knows the case and has the word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from scheduler.recommend import optimizations
from schemas import durations
from schemas.actions import ACTIONS
from schemas.run_state import Adjustment, LearnedAction
from schemas.workflow import DEFAULT_STEP_TIMEOUT, Step, WorkflowSpec

ENOUGH_RUNS: Final = 5
"""Executions from which on a figure is believed for an estimate."""
SURE_RUNS: Final = 20
"""Executions from which on a timeout or a budget is moved."""
SLOW_FACTOR: Final = 2.0
"""A timeout is raised to this many times the 95th percentile, so that a usual slow one is not ended."""
LONGEST_FACTOR: Final = 4.0
"""A raised timeout is at most this many times the default."""
SHAKY: Final = 0.9
"""Below this success rate an idempotent action gets one retry more."""
MOST_RETRIES: Final = 3


def used(spec: WorkflowSpec, learned: Mapping[str, LearnedAction]) -> dict[str, LearnedAction]:
    """Return the figures that this plan is made with; none when the workflow does not ask for them."""
    asked = spec.adaptive_orchestration
    if not (asked.learning_from_history or asked.dynamic_step_adjustment):
        return {}
    actions = {step.action for step in spec.workflow_definition.steps}
    return {action: learned[action] for action in sorted(actions & learned.keys())}


def durations_of(spec: WorkflowSpec, learned: Mapping[str, LearnedAction]) -> dict[int, float]:
    """Return the seconds that each step is expected to take: typical, or the median of enough earlier runs."""
    learning = spec.adaptive_orchestration.learning_from_history
    found = {}
    for step in spec.workflow_definition.steps:
        known = learned.get(step.action) if learning else None
        if known is None or known.runs < ENOUGH_RUNS:
            found[step.step_number] = ACTIONS[step.action].typical_seconds
        else:
            found[step.step_number] = known.p50
    return found


def adjust(spec: WorkflowSpec, learned: Mapping[str, LearnedAction]) -> tuple[Adjustment, ...]:
    """Return what is moved, in order of step numbers; where two would move the same, the analysis has the word."""
    adaptive = spec.adaptive_orchestration
    moved: list[Adjustment] = []
    if adaptive.dynamic_step_adjustment:
        moved += _from_history(spec, learned)
    if adaptive.optimization_enabled:
        moved += _from_analysis(spec)
    return tuple(sorted(moved, key=lambda each: each.step))


def _from_history(spec: WorkflowSpec, learned: Mapping[str, LearnedAction]) -> Iterator[Adjustment]:
    for step in spec.workflow_definition.steps:
        known = learned.get(step.action)
        if known is not None and known.runs >= SURE_RUNS:
            yield from _slow(step, known)
            yield from _shaky(spec, step, known)


def _slow(step: Step, known: LearnedAction) -> Iterator[Adjustment]:
    default = durations.parse(DEFAULT_STEP_TIMEOUT)
    wanted = min(known.p95 * SLOW_FACTOR, default * LONGEST_FACTOR)
    if step.timeout is None and wanted > default:
        yield Adjustment(
            at=0,
            step=step.step_number,
            adjustment=f"timeout of step {step.step_number} from {DEFAULT_STEP_TIMEOUT} to {durations.render(wanted)}",
            reason=f"95 % of the last {known.runs} {step.action} took up to {durations.render(known.p95)}",
            timeout=wanted,
        )


def _shaky(spec: WorkflowSpec, step: Step, known: LearnedAction) -> Iterator[Adjustment]:
    budget = spec.execution_strategy.max_retries
    shaky = known.success_rate < SHAKY and ACTIONS[step.action].idempotent
    if step.max_retries is None and shaky and budget < MOST_RETRIES:
        yield Adjustment(
            at=0,
            step=step.step_number,
            adjustment=f"retries of step {step.step_number} from {budget} to {budget + 1}",
            reason=f"{known.success_rate:.0%} of the last {known.runs} {step.action} succeeded",
            retries=budget + 1,
        )


def _from_analysis(spec: WorkflowSpec) -> Iterator[Adjustment]:
    for number, timeout, retries, reason in optimizations(spec):
        changes = []
        if timeout is not None:
            changes.append(f"timeout of step {number} to {durations.render(timeout)}")
        if retries is not None:
            changes.append(f"retries of step {number} to {retries}")
        if changes:
            yield Adjustment(
                at=0,
                step=number,
                adjustment=" and ".join(changes),
                reason=reason or "recommended by the analysis",
                timeout=timeout or 0.0,
                retries=-1 if retries is None else retries,
            )
