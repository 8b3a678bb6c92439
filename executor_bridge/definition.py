"""The few words of a workflow's definition that a status shows: what steps are called, what was asked for. Pure.

Must never refuse a definition for what it does not show: a run that failed in planning still gets its status.
"""

from __future__ import annotations

import msgspec

from schemas import durations
from schemas.workflow import RETRIES_OF, Monitoring, RollbackStrategy


class StepWords(msgspec.Struct, frozen=True):
    """What a person calls a step, and what was asked for it."""

    number: int
    name: str = ""
    action: str = ""
    retries: int = 0
    """How often it may be tried again, before anything was adjusted."""
    has_rollback: bool = False
    """Whether its rollbackSpec says how it is undone."""


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a status shows of a definition, with what structured recommendations ask for."""

    steps: dict[int, StepWords]
    """By step number; recommendations come after the highest number that is written out."""
    rollback_strategy: RollbackStrategy = "manual"
    safety_checks: tuple[str, ...] = ()
    """Types of the checks asked for."""
    approval_required: bool = False
    priority: str = "normal"
    window: float = 30.0
    """Seconds for which the targets must stay healthy."""


class _Rollback(msgspec.Struct, frozen=True):
    action: str = ""


class _Step(msgspec.Struct, frozen=True, rename="camel"):
    step_number: int
    name: str = ""
    action: str = ""
    max_retries: int | None = None
    rollback_spec: _Rollback | None = None


class _Recommendation(msgspec.Struct, frozen=True, rename="camel"):
    id: str = ""
    action: str = ""
    priority: str = "medium"
    risk: str = "low"
    rollback_spec: _Rollback | None = None


class _Recommendations(msgspec.Struct, frozen=True):
    recommendations: tuple[_Recommendation, ...] = ()


class _Check(msgspec.Struct, frozen=True):
    type: str


class _Monitoring(msgspec.Struct, frozen=True):
    window: str = Monitoring().window


class _Strategy(msgspec.Struct, frozen=True, rename="camel"):
    rollback_strategy: RollbackStrategy = "manual"
    safety_checks: tuple[_Check, ...] = ()
    approval_required: bool = False
    max_retries: int = 0
    priority: str = "normal"
    monitoring: _Monitoring | None = None


class _Steps(msgspec.Struct, frozen=True, rename="camel"):
    steps: tuple[_Step, ...] = ()
    ai_recommendations: _Recommendations | None = None


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    workflow_definition: _Steps
    execution_strategy: _Strategy = _Strategy()


class _Workflow(msgspec.Struct, frozen=True):
    spec: _Spec


_DECODER = msgspec.json.Decoder(_Workflow)


def read(workflow: bytes | msgspec.Raw) -> Definition | None:
    """Read a WorkflowExecution as JSON; None when it holds no definition that makes sense."""
    try:
        spec = _DECODER.decode(workflow).spec
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    strategy = spec.execution_strategy
    recommended = spec.workflow_definition.ai_recommendations
    recommendations = recommended.recommendations if recommended else ()
    risky = any(one.risk == "high" for one in recommendations)
    return Definition(
        steps=_written(spec) | _recommended(recommendations, _highest(spec)),
        rollback_strategy="automatic" if risky else strategy.rollback_strategy,
        safety_checks=tuple(check.type for check in strategy.safety_checks),
        approval_required=strategy.approval_required or risky,
        priority=strategy.priority,
        window=_seconds((strategy.monitoring or _Monitoring()).window),
    )


def _highest(spec: _Spec) -> int:
    return max((step.step_number for step in spec.workflow_definition.steps), default=0)


def _written(spec: _Spec) -> dict[int, StepWords]:
    default = spec.execution_strategy.max_retries
    return {
        step.step_number: StepWords(
            number=step.step_number,
            name=step.name,
            action=step.action,
            retries=default if step.max_retries is None else step.max_retries,
            has_rollback=step.rollback_spec is not None,
        )
        for step in spec.workflow_definition.steps
    }


def _recommended(recommendations: tuple[_Recommendation, ...], after: int) -> dict[int, StepWords]:
    return {
        number: StepWords(
            number=number,
            name=one.id,
            action=one.action,
            retries=RETRIES_OF.get(one.priority, 0),
            has_rollback=one.rollback_spec is not None,
        )
        for number, one in enumerate(recommendations, after + 1)
    }


def _seconds(text: str) -> float:
    try:
        return durations.parse(text)
    except ValueError:
        return durations.parse(Monitoring().window)
