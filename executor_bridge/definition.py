"""The few words of a workflow's definition that a status shows: names and actions of steps, the strategy. Pure.

Must never refuse a definition for what it does not show: a run that failed in planning still gets its status.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class StepWords(msgspec.Struct, frozen=True, rename="camel"):
    """What a person calls a step."""

    step_number: int
    name: str = ""
    action: str = ""


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a status shows of a definition."""

    steps: dict[int, StepWords]
    """By step number."""
    rollback_strategy: Literal["automatic", "manual", "none"] = "manual"
    safety_checks: tuple[str, ...] = ()
    """Types of the checks asked for."""


class _Check(msgspec.Struct, frozen=True):
    type: str


class _Strategy(msgspec.Struct, frozen=True, rename="camel"):
    rollback_strategy: Literal["automatic", "manual", "none"] = "manual"
    safety_checks: tuple[_Check, ...] = ()


class _Steps(msgspec.Struct, frozen=True):
    steps: tuple[StepWords, ...]


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
    return Definition(
        steps={step.step_number: step for step in spec.workflow_definition.steps},
        rollback_strategy=spec.execution_strategy.rollback_strategy,
        safety_checks=tuple(check.type for check in spec.execution_strategy.safety_checks),
    )
