"""Builders of what the scheduler takes in: `a_workflow(steps=3)`, `seen(...)`. Every default is the plainest one."""

from __future__ import annotations

from typing import Any

import msgspec

from scheduler.decide import decide
from scheduler.definition import Definition, read
from scheduler.inputs import Execution, Input, read_execution
from scheduler.plan import Plan, make
from schemas.messages import (
    TYPE_OF,
    Cause,
    CommandRefused,
    CreateExecution,
    Decision,
    ExecutionChanged,
    WorkflowChanged,
)

UID = "5f8f8a52-0000-4000-8000-000000000001"
NOW = 1_700_000_000_000
"""An arbitrary broker time in ms."""


def a_step(number: int, *, after: tuple[int, ...] = (), **fields: Any) -> dict[str, Any]:
    """A step that scales a deployment."""
    return {
        "stepNumber": number,
        "action": "scale_deployment",
        "parameters": {"deployment": "checkout", "namespace": "shop", "replicas": 3},
        "dependsOn": list(after),
    } | fields


def a_workflow(
    *steps: dict[str, Any], version: int = 5, metadata: Any = None, status: Any = None, **spec: Any
) -> dict[str, Any]:
    """A workflow object of these steps; one step when none is named."""
    definition = {"name": "memory-leak", "version": "1", "steps": list(steps) or [a_step(1)]}
    definition |= spec.pop("definition", {})
    found: dict[str, Any] = {
        "metadata": {
            "name": "leak",
            "namespace": "shop",
            "uid": UID,
            "resourceVersion": str(version),
            "generation": 1,
        }
        | (metadata or {}),
        "spec": {"workflowDefinition": definition} | spec,
    }
    return found | ({"status": status} if status else {})


def ten_steps(**spec: Any) -> dict[str, Any]:
    """1, then 2 to 6 side by side, then 7, then 8 and 9, then 10."""
    return a_workflow(
        a_step(1),
        *(a_step(n, after=(1,)) for n in range(2, 7)),
        a_step(7, after=(2, 3, 4, 5, 6)),
        a_step(8, after=(7,)),
        a_step(9, after=(7,)),
        a_step(10, after=(8, 9)),
        **spec,
    )


def definition_of(
    workflow: dict[str, Any], *, sequence: int = 1, deleted: bool = False, oversized: int = 0
) -> Definition:
    """Read a workflow object as the scheduler does."""
    body = WorkflowChanged(
        resource_version=workflow["metadata"]["resourceVersion"],
        deleted=deleted,
        oversized=oversized,
        object=msgspec.Raw(msgspec.json.encode(workflow)),
    )
    return read(body, uid=UID, namespace="shop", sequence=sequence)


def plan_of(workflow: dict[str, Any]) -> Plan:
    """Plan a workflow object."""
    return make(definition_of(workflow))


class Run:
    """A run that is fed facts one by one; keeps the chain of decisions."""

    def __init__(self, workflow: dict[str, Any]) -> None:
        self.plan = plan_of(workflow)
        self.decisions: list[Decision] = []
        self.sequence = 0
        self.version = 100
        self.take(self.plan.definition)

    @property
    def last(self) -> Decision:
        """The newest decision."""
        return self.decisions[-1]

    def input(self, fact: Definition | Execution | CommandRefused) -> Input:
        """A message that says `fact`, stored a second after the one before."""
        self.sequence += 1
        cause = Cause(f"message-{self.sequence}", self.sequence, TYPE_OF[ExecutionChanged])
        return Input(cause=cause, time_ms=NOW + 1000 * self.sequence, fact=fact)

    def take(self, *facts: Definition | Execution | CommandRefused) -> Decision | None:
        """Decide on the facts in one go."""
        verdict = decide(self.plan, self.decisions[-1] if self.decisions else None, [self.input(f) for f in facts])
        if verdict.decision is not None:
            self.decisions.append(verdict.decision)
        return verdict.decision

    def creates(self) -> list[CreateExecution]:
        """All executions commanded so far, in order."""
        return [c for d in self.decisions for c in d.commands if isinstance(c, CreateExecution)]

    def create_of(self, step: int) -> CreateExecution:
        """The newest command to create an execution of the step."""
        return [c for c in self.creates() if c.step == step][-1]

    def execution(self, step: int, phase: str = "", **change: Any) -> Execution:
        """A newer version of the step's execution, in a phase of the executor."""
        self.version += 1
        return an_execution(self.create_of(step), phase, version=self.version, **change)

    def end(self, step: int, phase: str = "completed", **change: Any) -> Decision | None:
        """The step's execution is seen in a final phase."""
        return self.take(self.execution(step, phase, **change))

    def phases(self) -> dict[int, str]:
        """How far each step is."""
        return {step.number: step.phase for step in self.last.state.steps}

    def told(self) -> list[str]:
        """All transitions so far, as `what` or `step what`."""
        return [f"{t.step} {t.what}" if t.step else t.what for d in self.decisions for t in d.transitions]


def an_execution(
    create: CreateExecution,
    phase: str = "",
    *,
    version: int,
    deleted: bool = False,
    uid: str = "",
    metadata: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    status: Any = None,
) -> Execution:
    """The execution that a command creates, as the watcher reports it."""
    found = {
        "metadata": {
            "name": create.name,
            "namespace": "shop",
            "uid": uid or f"execution-{create.step}-{create.attempt}",
        }
        | (metadata or {}),
        "spec": {
            "workflowExecutionRef": {"name": "leak", "namespace": "shop", "uid": UID},
            "stepNumber": create.step,
            "attempt": create.attempt,
            "action": create.action,
            "idempotencyKey": create.idempotency_key,
        }
        | (spec or {}),
        "status": status if status is not None else ({"phase": phase} if phase else {}),
    }
    raw = msgspec.Raw(msgspec.json.encode(found))
    return read_execution(ExecutionChanged(resource_version=str(version), deleted=deleted, object=raw))
