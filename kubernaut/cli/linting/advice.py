"""What is allowed and yet probably not meant, as a tuple of small checks on a workflow that can be planned. Pure.

Each check is total by itself and tells the field, what will happen, and what to do. None of them stops a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from kubernaut.cli.linting.expressions import about_others
from kubernaut.cli.linting.located import Finding, Located, joined, node_at, place_of
from kubernaut.cli.planned import Undo, undo_of
from scheduler.plan import Plan
from schemas import durations
from schemas.actions import ACTIONS
from schemas.workflow import Step

_STEPS: Final = ("spec", "workflowDefinition", "steps")
_RECOMMENDED: Final = "recommendations"
_STRATEGY: Final = ("spec", "executionStrategy")
_SHOWN: Final = 8
"""Steps that one warning names."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as a check sees it."""

    root: Located
    plan: Plan
    ways: dict[int, tuple[str | int, ...]]
    """Where each step is written, by its number: as a step or as a recommendation."""

    def warn(self, way: tuple[str | int, ...], message: str) -> Finding:
        """Return a warning about a field, or about what is nearest around it."""
        path = ""
        for key in way:
            path = joined(path, key)
        return Finding(severity="warning", at=place_of(self.root, *way), path=path, message=message)

    def way(self, step: Step, *fields: str | int) -> tuple[str | int, ...]:
        """Return the way to a field of a step; a recommendation has other fields and is named as a whole."""
        base = self.ways[step.step_number]
        return base if _RECOMMENDED in base else (*base, *fields)

    def has(self, *way: str | int) -> bool:
        """Whether somebody wrote the field, and not to say no."""
        node = node_at(self.root, *way)
        return node is not None and node.value not in (None, False)


Check = Callable[[Subject], Iterator[Finding]]


def results_are_there(subject: Subject) -> Iterator[Finding]:
    """An expression sees the results of the steps that its own step waits for; of others by chance only."""
    for step, way, other, later in about_others(subject.root, subject.plan, subject.ways):
        if later:
            whose = "the step's own" if step == other else f"step {other} waits for step {step}, so its"
            yield subject.warn(way, f"{whose} result is never there yet when this is looked at; take it out")
        else:
            said = f"step {step} does not depend on step {other}, whose result may not be there yet"
            yield subject.warn(way, f"{said}; add {other} to dependsOn")


def attempts_fit(subject: Subject) -> Iterator[Finding]:
    """An attempt has the time that its action typically takes, and not more than the run has."""
    plan = subject.plan
    for step in plan.steps:
        limit, typical = plan.timeouts[step.step_number], ACTIONS[step.action].typical_seconds
        way = subject.way(step, "timeout")
        if limit < typical * 1000:
            said = f"{step.action} typically takes {durations.render(typical)} and is ended after {_ms(limit)}"
            yield subject.warn(way, f"{said}; give the step a longer timeout")
        if step.timeout is not None and limit > plan.workflow_ms:
            said = f"{_ms(limit)} are more than the whole run may take ({_ms(plan.workflow_ms)})"
            yield subject.warn(way, f"{said}; make it shorter, or workflowTimeout longer")


def the_run_fits(subject: Subject) -> Iterator[Finding]:
    """The whole run has the time that it typically takes."""
    plan = subject.plan
    state = plan.state
    if state is None or state.estimated_seconds * 1000 <= plan.workflow_ms:
        return
    longest = max(plan.remaining.values(), default=0.0)
    path = _some(list(state.critical_path), " → ")
    said = f"the steps typically take {durations.render(state.estimated_seconds)}"
    said += (
        f" (longest path {path}: {durations.render(longest)}), more than the {_ms(plan.workflow_ms)} that the run has"
    )
    yield subject.warn((*_STRATEGY, "workflowTimeout"), f"{said}; give it a longer workflowTimeout")


def retries_repeat_safely(subject: Subject) -> Iterator[Finding]:
    """An action that may not be done twice is retried only when nothing was done."""
    why = "may not be done twice: a retry happens only when nothing was executed"
    inherited = []
    for step in subject.plan.steps:
        if ACTIONS[step.action].idempotent:
            continue
        if step.max_retries:
            message = f"{step.action} {why}; leave the retries out, or expect few of them"
            yield subject.warn(subject.way(step, "maxRetries"), message)
        elif step.max_retries is None and subject.plan.strategy.max_retries:
            inherited.append(step)
    if inherited:
        told = _some([f"{step.step_number} ({step.action})" for step in inherited])
        message = f"the actions of {_steps(inherited)} {told} {why}; set maxRetries: 0 there if that is not wanted"
        yield subject.warn((*_STRATEGY, "maxRetries"), message)


def retry_policies_count(subject: Subject) -> Iterator[Finding]:
    """A retry policy is for a step that is retried."""
    for step in subject.plan.steps:
        if step.retry_policy is not None and not subject.plan.budgets[step.step_number]:
            way = subject.way(step, "retryPolicy")
            yield subject.warn(way, "the step is never retried, so this does nothing; set maxRetries, too")


def rollback_has_a_way(subject: Subject) -> Iterator[Finding]:
    """Automatic rollback undoes what has a rollbackSpec or an inverse; the rest stays as it is."""
    strategy = subject.plan.strategy.rollback_strategy
    stuck = [step for step in subject.plan.steps if undo_of(step) is Undo.NONE]
    if strategy == "automatic" and stuck:
        told = _some([f"{step.step_number} ({step.action})" for step in stuck])
        message = f"{_steps(stuck)} {told} cannot be undone: no rollbackSpec, and no inverse that could be derived"
        yield subject.warn((*_STRATEGY, "rollbackStrategy"), f"{message}; write one where there is a way back")
    for step in subject.plan.steps:
        if strategy == "none" and step.rollback_spec is not None:
            way = subject.way(step, "rollbackSpec")
            yield subject.warn(way, "rollbackStrategy is none, so this is never used; choose automatic or manual")


def urgent_runs_wait_for_nobody(subject: Subject) -> Iterator[Finding]:
    """A critical run that waits for a person is stopped by the limit of validating."""
    strategy = subject.plan.strategy
    if strategy.approval_required and strategy.priority == "critical":
        message = "a critical run waits for a person here, and fails when nobody approves within 5m; is somebody awake?"
        yield subject.warn((*_STRATEGY, "approvalRequired"), message)


def dependencies_are_said_once(subject: Subject) -> Iterator[Finding]:
    """Naming a dependency twice does nothing."""
    for step in subject.plan.steps:
        for place, other in enumerate(step.depends_on):
            if other in step.depends_on[:place]:
                yield subject.warn(
                    subject.way(step, "dependsOn", place), f"step {other} is named twice; once is enough"
                )


def nothing_is_asked_before_the_start(subject: Subject) -> Iterator[Finding]:
    """What control says from the start holds from the start."""
    for field, happens in (
        ("paused", "the run starts paused and waits for `kubernaut resume`"),
        ("cancel", "the run is cancelled before it begins"),
        ("rollback", "a rollback is asked for before anything was done, which is refused"),
    ):
        way = ("spec", "control", field)
        if subject.has(*way):
            yield subject.warn(way, f"{happens}; leave it out if that is not meant")


CHECKS: Final[tuple[Check, ...]] = (
    results_are_there,
    attempts_fit,
    the_run_fits,
    retries_repeat_safely,
    retry_policies_count,
    rollback_has_a_way,
    urgent_runs_wait_for_nobody,
    dependencies_are_said_once,
    nothing_is_asked_before_the_start,
)


def advice(root: Located, plan: Plan) -> Iterator[Finding]:
    """Return every warning about a workflow that can be planned."""
    subject = Subject(root=root, plan=plan, ways=_ways(root, plan))
    for check in CHECKS:
        yield from check(subject)


def _ways(root: Located, plan: Plan) -> dict[int, tuple[str | int, ...]]:
    written = node_at(root, *_STEPS)
    places = written.inner if written is not None else {}
    ways: dict[int, tuple[str | int, ...]] = {
        int(step.value["stepNumber"]): (*_STEPS, place) for place, step in places.items()
    }
    made = [step.step_number for step in plan.steps if step.step_number not in ways]
    recommendations = ("spec", "workflowDefinition", "aiRecommendations", _RECOMMENDED)
    return ways | {number: (*recommendations, place) for place, number in enumerate(made)}


def _ms(milliseconds: int) -> str:
    return durations.render(milliseconds / 1000)


def _steps(steps: list[Step]) -> str:
    return "step" if len(steps) == 1 else "steps"


def _some(entries: list[Any], gap: str = ", ") -> str:
    more = f"{gap}… ({len(entries)} in all)" if len(entries) > _SHOWN else ""
    return gap.join(map(str, entries[:_SHOWN])) + more
