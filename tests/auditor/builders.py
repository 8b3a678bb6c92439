"""Messages of the log as the auditor's tests need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from auditor.ports import Entry
from auditor.reports import Definition, StepDefinition, finished, report
from auditor.rows import read
from runtime.ports import Stored
from schemas import subjects
from schemas.cloudevents import Event, to_headers
from schemas.messages import TYPE_OF, Decision, ExecutionChanged, StatusChanged, WorkflowChanged, WorkflowRef, encode
from schemas.run_state import RunState, StepState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.workflow_status import StepPhase

TIME_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
UID = "0c9e7a52-6f0e-4d6b-9f1c-000000000001"
WORKFLOW = WorkflowRef(namespace="shop", name="fix-checkout", uid=UID)


def an_event(body: msgspec.Struct, subject: str, *, event_id: str = "an-id", correlation_id: str = "rr-7") -> Event:
    """Return an event of that body."""
    return Event(
        subject=subject,
        id=event_id,
        type=TYPE_OF[type(body)],
        source="/kubernaut/test",
        data=encode(body),
        correlation_id=correlation_id,
        causation_id="what-led-to-it",
    )


def stored(event: Event, sequence: int = 1, time_ms: int = TIME_MS) -> Stored:
    """Return an event as the stream holds it."""
    return Stored(
        stream="KUBERNAUT",
        sequence=sequence,
        time_ms=time_ms,
        subject=event.subject,
        headers=to_headers(event),
        data=event.data,
    )


def poison(
    data: bytes, sequence: int = 1, *, headers: Mapping[str, str] | None = None, subject: str = "kubernaut.signal.x.y"
) -> Stored:
    """Return a message that somebody put into the stream by hand."""
    return Stored(
        stream="KUBERNAUT", sequence=sequence, time_ms=TIME_MS, subject=subject, headers=headers or {}, data=data
    )


def a_workflow_change(uid: str = UID, *, event_id: str = "", version: str = "3") -> Event:
    """Return the change of a workflow with two steps."""
    steps = [
        {"stepNumber": 1, "name": "scale up", "action": "scale_deployment"},
        {"stepNumber": 2, "name": "tell", "action": "notify_only", "criticalStep": False},
    ]
    workflow = {
        "metadata": {"name": "fix-checkout", "namespace": "shop", "uid": uid},
        "spec": {"workflowDefinition": {"name": "memory-leak", "version": version, "steps": steps}},
    }
    body = WorkflowChanged(resource_version="41", object=msgspec.Raw(msgspec.json.encode(workflow)))
    event_id = event_id or f"workflowexecutions/{uid}/41"
    return an_event(body, subjects.workflow_change("shop", uid), event_id=event_id)


def a_status_change(number: int, uid: str = UID) -> Event:
    """Return a small event whose id differs with the number."""
    body = StatusChanged(resource_version=str(number), phase="executing", sequence=number)
    return an_event(body, subjects.status_change("shop", uid), event_id=f"workflowexecutions/{uid}/{number}")


def an_execution_change(uid: str = UID, **spec: Any) -> Event:
    """Return the change of a completed execution of step 2."""
    execution = {
        "metadata": {"name": "fix-checkout-step-2", "namespace": "shop", "uid": "e-2"},
        "spec": {
            "workflowExecutionRef": {"name": "fix-checkout", "namespace": "shop", "uid": uid},
            "stepNumber": 2,
            "attempt": 1,
            "action": "notify_only",
            **spec,
        },
        "status": {"phase": "completed"},
    }
    body = ExecutionChanged(resource_version="52", object=msgspec.Raw(msgspec.json.encode(execution)))
    return an_event(body, subjects.execution_change("shop", uid, "e-2"), event_id="kubernetesexecutions/e-2/52")


def a_decision(version: int = 4, *, uid: str = UID, state: RunState | None = None, subject: str = "") -> Event:
    """Return a decision, by default one after which the run is over."""
    body = Decision(
        workflow=WorkflowRef(namespace="shop", name="fix-checkout", uid=uid),
        correlation_id="rr-7",
        version=version,
        now=TIME_MS,
        causes=(),
        state=state or a_finished_state(),
    )
    return an_event(body, subject or subjects.decision(uid), event_id=f"{uid}/{version}")


def a_finished_state(**changes: Any) -> RunState:
    """Return the state of a run whose second step failed."""
    steps = (
        StepState(1, "completed", 2, 0, "e-1", 50, TIME_MS, TIME_MS + 30_000, affected=1),
        StepState(2, "failed", 1, 0, "e-2", 52, TIME_MS, TIME_MS + 1_000, "timed_out", "no answer"),
    )
    finished = RunState(
        phase="completed",
        steps=steps,
        outcome="partial_success",
        started_at=TIME_MS,
        ended_at=TIME_MS + 31_000,
    )
    return msgspec.structs.replace(finished, **changes)


def entries(*messages: Stored) -> list[Entry]:
    """Return what is written of these messages."""
    return [Entry(read(message)) for message in messages]


def a_step(
    number: int = 1, seconds: float = 1.0, phase: StepPhase = "completed", *, attempts: int = 1, at: int = TIME_MS
) -> StepState:
    """Return a step that ended `at`, in ms, after so many seconds; 0 for one that never started."""
    started = at - round(seconds * 1000) if seconds else 0
    return StepState(number, phase, attempts, started_at=started, ended_at=at)


def a_run(uid: str, *steps: StepState, action: str = "restart_pod", version: int = 4) -> Entry:
    """Return what is written of a finished run whose steps all have that action."""
    row = read(stored(a_decision(version, uid=uid, state=a_finished_state(steps=steps)), sequence=version))
    decision = finished(row)
    assert decision is not None
    defined = tuple(StepDefinition(step.number, f"step {step.number}", action) for step in steps)
    return Entry(row, report(decision, version, Definition("a-run", "1", defined)))
