"""A WorkflowExecution as people look at it: spec and status joined, step by step. Pure.

Reads loosely: an object that a newer version wrote is shown as far as it is understood, never refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from kubernaut.cli.findings import Findings, findings_of, mapping, mappings, structs
from kubernaut.cli.times import milliseconds
from schemas.workflow_status import TERMINAL_PHASES, TERMINAL_STEP_PHASES

DEFAULT_LIMIT: Final = 5
_WAITS_SHOWN: Final = 6
_UNDOING: Final = frozenset({"rolling_back", "rollback_failed"})
"""Reasons of a completed step that say how undoing it goes."""


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step. Times are ms since 1970, 0 for none."""

    number: int
    name: str
    action: str
    critical: bool = True
    state: str = "pending"
    reason: str = ""
    error: str = ""
    waits: str = ""
    """What a pending step waits for."""
    started: int = 0
    ended: int = 0
    retries: int = 0
    execution: str = ""
    """Name of its KubernetesExecution."""

    @property
    def label(self) -> str:
        """Its state, or how undoing it goes, which a completed step says by its reason."""
        return self.reason if self.state == "completed" and self.reason in _UNDOING else self.state

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in TERMINAL_STEP_PHASES

    def seconds(self, now: int) -> float | None:
        """How long it took, or has taken until `now` (ms); None when it has not started."""
        if not self.started:
            return None
        return max((self.ended or now) - self.started, 0) / 1000


class ConditionView(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of the status."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Times are ms since 1970, 0 for none."""

    namespace: str
    name: str
    uid: str
    phase: str
    """Empty until somebody has decided on it."""
    progress: str
    done: int
    total: int
    outcome: str = ""
    created: int = 0
    started: int = 0
    ended: int = 0
    current: int = 0
    waiting: str = ""
    failure: str = ""
    remediation: str = ""
    definition: str = ""
    estimate: str = ""
    strategy: str = ""
    critical_path: tuple[int, ...] = ()
    limit: int = DEFAULT_LIMIT
    errors: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    """What a person should do next, as the status says."""
    affected: int = 0
    conditions: tuple[ConditionView, ...] = ()
    findings: Findings = Findings()
    waves: tuple[tuple[StepView, ...], ...] = ()
    """The steps by wave; all in one before there is a plan."""

    @property
    def has_ended(self) -> bool:
        """Whether the run is over."""
        return self.phase in TERMINAL_PHASES

    @property
    def waiting_idle(self) -> str:
        """What the run waits for while no step is in flight; with one in flight the steps themselves show it.

        A run that has ended waits for its deletion, which nobody waits for with it.
        """
        return "" if self.has_ended or any(step.state == "executing" for step in self.steps) else self.waiting

    @property
    def waits_for_approval(self) -> bool:
        """Whether a person's word on the plan would let it go on."""
        return self.phase == "validating" and self._is("Approved", "Unknown", "Waiting", "Refused")

    @property
    def is_paused(self) -> bool:
        """Whether no new step starts until a person says so."""
        return not self.has_ended and self._is("Paused", "True")

    def _is(self, type_: str, *words: str) -> bool:
        """Whether a condition has one of these words as its status or its reason."""
        return any(one.type == type_ and {one.status, one.reason} & {*words} for one in self.conditions)

    @property
    def steps(self) -> tuple[StepView, ...]:
        """The steps in the order of their numbers."""
        return tuple(sorted((step for wave in self.waves for step in wave), key=lambda step: step.number))

    def seconds(self, now: int) -> float:
        """How long the run took, or has taken until `now` (ms)."""
        begin = self.started or self.created
        return max((self.ended or now) - begin, 0) / 1000 if begin else 0.0


def view_of(body: Mapping[str, Any]) -> RunView:
    """Return the view of a WorkflowExecution as the API gives it."""
    metadata, status = mapping(body, "metadata"), mapping(body, "status")
    spec = mapping(body, "spec")
    definition, plan = mapping(spec, "workflowDefinition"), mapping(status, "executionPlan")
    limit = mapping(spec, "executionStrategy").get("parallelismLimit", DEFAULT_LIMIT)
    steps = _steps(definition, status, limit)
    done = sum(step.has_ended for step in steps.values())
    return RunView(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        phase=str(status.get("phase", "")),
        progress=str(status.get("progress") or f"{done}/{len(steps)}"),
        done=done,
        total=len(steps),
        outcome=str(mapping(status, "workflowResult").get("outcome", "")),
        created=milliseconds(metadata.get("creationTimestamp")),
        started=milliseconds(status.get("startTime")),
        ended=milliseconds(status.get("completionTime")),
        current=status.get("currentStep", 0),
        waiting=str(status.get("waitingFor", "")),
        failure=str(status.get("failureReason", "")),
        remediation=str(mapping(spec, "remediationRequestRef").get("name", "")),
        definition=f"{definition.get('name', '')} {definition.get('version', '')}".strip(),
        estimate=str(plan.get("estimatedDuration", "")),
        strategy=str(plan.get("strategy", "")),
        critical_path=tuple(plan.get("criticalPath", ())),
        limit=limit,
        errors=tuple(map(str, mapping(status, "validationResults").get("validationErrors", ()))),
        advice=tuple(map(str, mapping(status, "workflowResult").get("recommendedActions", ()))),
        affected=mapping(status, "executionMetrics").get("resourcesAffected", 0),
        conditions=structs(status, "conditions", ConditionView),
        findings=findings_of(status),
        waves=_waves(steps, plan),
    )


def _steps(definition: Mapping[str, Any], status: Mapping[str, Any], limit: int) -> dict[int, StepView]:
    told = {one["stepNumber"]: one for one in status.get("stepStatuses", ()) if "stepNumber" in one}
    states = {number: str(one.get("status", "pending")) for number, one in told.items()}
    in_flight = sum(state == "executing" for state in states.values())
    merged = mapping(definition, "dependencies")
    steps = {}
    for asked in _asked(definition):
        number = asked.get("stepNumber", 0)
        needed = {*asked.get("dependsOn", ()), *merged.get(str(number), ())}
        open_ = sorted(other for other in needed if states.get(other, "pending") not in TERMINAL_STEP_PHASES)
        waits = _waits(open_, full=in_flight >= limit, limit=limit)
        steps[number] = _step(asked, told.get(number, {}), waits)
    # Steps that planning made of recommendations are in the status only.
    return steps | {number: _step(one, one, "") for number, one in told.items() if number not in steps}


def _asked(definition: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return the steps: those that are written out, then one for each recommendation, numbered after them."""
    written = list(definition.get("steps", ()))
    yield from written
    first = max((one.get("stepNumber", 0) for one in written), default=0) + 1
    recommended = list(mappings(mapping(definition, "aiRecommendations"), "recommendations"))
    numbers = {one.get("id"): number for number, one in enumerate(recommended, first)}
    for number, one in enumerate(recommended, first):
        needed = [numbers[other] for other in one.get("dependsOn", ()) if other in numbers]
        yield {"stepNumber": number, "name": one.get("id", ""), "action": one.get("action", ""), "dependsOn": needed}


def _step(asked: Mapping[str, Any], told: Mapping[str, Any], waits: str) -> StepView:
    state = str(told.get("status", "pending"))
    return StepView(
        number=asked.get("stepNumber", 0),
        name=str(asked.get("name", "")),
        action=str(asked.get("action", "")),
        critical=asked.get("criticalStep", True),
        state=state,
        reason=str(told.get("reason", "")),
        error=str(told.get("errorMessage", "")),
        waits=waits if state == "pending" else "",
        started=milliseconds(told.get("startTime")),
        ended=milliseconds(told.get("endTime")),
        retries=told.get("retriesAttempted", 0),
        execution=str(mapping(told, "k8sExecutionRef").get("name", "")),
    )


def _waits(needed: list[int], *, full: bool, limit: int) -> str:
    if needed:
        more = f" and {len(needed) - _WAITS_SHOWN} more" if len(needed) > _WAITS_SHOWN else ""
        noun = "step" if len(needed) == 1 else "steps"
        return f"waits for {noun} {', '.join(map(str, needed[:_WAITS_SHOWN]))}{more}"
    return f"waits for a free place ({limit} steps may be in flight)" if full else ""


def _waves(steps: Mapping[int, StepView], plan: Mapping[str, Any]) -> tuple[tuple[StepView, ...], ...]:
    planned = [tuple(steps[number] for number in wave if number in steps) for wave in plan.get("waves", ())]
    placed = {step.number for wave in planned for step in wave}
    rest = tuple(step for number, step in sorted(steps.items()) if number not in placed)
    return tuple(wave for wave in (*planned, rest) if wave)
