"""Builders of decisions and workflows for the tests of the bridge."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas import subjects
from schemas.cloudevents import Event, traceparent
from schemas.messages import (
    TYPE_OF,
    Command,
    CreateExecution,
    Decision,
    ExecutionChanged,
    Refusal,
    Transition,
    WorkflowChanged,
    WorkflowRef,
    encode,
)
from schemas.names import execution_name, idempotency_key
from schemas.run_state import PlanState, RunState, SideState, StepState

UID = "5f0c7d5e-0000-4000-8000-000000000001"
WORKFLOW = WorkflowRef(namespace="shop", name="restart-web", uid=UID)
START = 1_767_225_600_000
"""2026-01-01T00:00:00Z in milliseconds."""
PLAN = PlanState(
    strategy="sequential-with-parallel", waves=((1, 2), (3,)), critical_path=(1, 3), estimated_seconds=45.0
)


def a_workflow(uid: str = UID, **step_parameters: dict[str, Any]) -> dict[str, Any]:
    """A workflow of three steps, 3 after 1 and 2; `step_1={...}` gives parameters."""
    steps = [
        {
            "stepNumber": number,
            "name": f"name-{number}",
            "action": "restart_pod" if number == 2 else "scale_deployment",
            "parameters": step_parameters.get(f"step_{number}", {"namespace": "shop"}),
        }
        for number in (1, 2, 3)
    ]
    return {
        "apiVersion": "workflowexecution.kubernaut.io/v1",
        "kind": "WorkflowExecution",
        "metadata": {"name": WORKFLOW.name, "namespace": WORKFLOW.namespace, "uid": uid},
        "spec": {"workflowDefinition": {"name": "restart", "version": "1", "steps": steps}},
    }


def a_step(number: int, phase: str = "pending", **fields: Any) -> StepState:
    """A step; one that started has its first attempt and a start."""
    if phase not in {"pending", "skipped"}:
        fields = {"attempt": 1, "started_at": START + number} | fields
    return StepState(number=number, phase=phase, **fields)  # type: ignore[arg-type]


def a_side(number: int, phase: str = "executing", **fields: Any) -> SideState:
    """A dry run or a rollback, in its first attempt."""
    return SideState(number=number, phase=phase, **({"attempt": 1} | fields))  # type: ignore[arg-type]


def a_state(*steps: StepState, phase: str = "executing", **fields: Any) -> RunState:
    """The state of a run that has begun to execute."""
    defaults: dict[str, Any] = {
        "generation": 1,
        "plan": PLAN,
        "started_at": START,
        "phase_times": {"planning": START, "validating": START + 5, "executing": START + 10},
        "held": True,
    }
    return RunState(phase=phase, steps=steps, **(defaults | fields))  # type: ignore[arg-type]


def a_decision(
    version: int,
    state: RunState,
    *commands: Command,
    transitions: tuple[Transition, ...] = (),
    refusals: tuple[Refusal, ...] = (),
    workflow: WorkflowRef = WORKFLOW,
) -> Decision:
    """A decision, a second after the one before."""
    return Decision(
        workflow=workflow,
        correlation_id="web-is-down",
        version=version,
        now=START + version * 1000,
        causes=(),
        transitions=transitions,
        refusals=refusals,
        commands=commands,
        state=state,
    )


def a_create(step: int, *, attempt: int = 1, hold: bool = False, **fields: Any) -> CreateExecution:
    """A command to create a step's execution."""
    return CreateExecution(
        name=execution_name(WORKFLOW.name, step, attempt, fields.get("purpose", "execute")),
        step=step,
        attempt=attempt,
        action="restart_pod" if hold else "scale_deployment",
        timeout="5m",
        idempotency_key=idempotency_key(fields.pop("uid", UID), step, attempt, fields.get("purpose", "execute")),
        hold=hold,
        **({"parameters": {"namespace": "shop"}} | fields),
    )


def on_the_log(decision: Decision) -> Event:
    """The message of a decision."""
    uid = decision.workflow.uid
    identity = f"{uid}/{decision.version}"
    return Event(
        subject=subjects.decision(uid),
        id=identity,
        type=TYPE_OF[Decision],
        source="/kubernaut/scheduler",
        data=encode(decision),
        correlation_id=decision.correlation_id,
        traceparent=traceparent(uid, identity),
    )


def execution_change(execution: dict[str, Any]) -> Event:
    """The message of an execution as the watcher saw it."""
    meta, owner = execution["metadata"], execution["spec"]["workflowExecutionRef"]
    body = ExecutionChanged(
        resource_version=meta["resourceVersion"], object=msgspec.Raw(msgspec.json.encode(execution))
    )
    return Event(
        subject=subjects.execution_change(meta["namespace"], owner["uid"], meta["uid"]),
        id=f"change/{meta['uid']}",
        type=TYPE_OF[ExecutionChanged],
        source="/kubernaut/watcher",
        data=encode(body),
    )


def change_of(workflow: dict[str, Any]) -> Event:
    """The message of a workflow as the watcher saw it."""
    meta = workflow["metadata"]
    body = WorkflowChanged(
        resource_version=meta.get("resourceVersion", "1"), object=msgspec.Raw(msgspec.json.encode(workflow))
    )
    return Event(
        subject=subjects.workflow_change(meta["namespace"], meta["uid"]),
        id=f"change/{meta['uid']}",
        type=TYPE_OF[WorkflowChanged],
        source="/kubernaut/watcher",
        data=encode(body),
    )
