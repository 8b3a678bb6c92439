"""The messages of one run as the log would hold them, made by the scheduler's own code. No server takes part."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from benchmarks.graphs import workflow
from runtime.ports import Stored
from scheduler.decide import decide
from scheduler.decision_messages import decision_event, queue_event
from scheduler.gather import read_input
from scheduler.inputs import Input, Place
from scheduler.lifecycle import turn_of
from scheduler.plan import Plan, make
from scheduler.queueing import Request, decide_queue
from schemas import subjects
from schemas.cloudevents import Event, to_headers
from schemas.messages import TYPE_OF, Cause, CreateExecution, Decision, ExecutionChanged, WorkflowChanged, encode
from schemas.names import EXECUTION_GROUP, EXECUTION_KIND, VERSION

NAMESPACE: Final = "bench-system"
_NOW_MS: Final = 1_700_000_000_000
"""An arbitrary broker time."""


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What one decision was made of."""

    plan: Plan
    previous: Decision | None
    inputs: tuple[Input, ...]


class Story:
    """One run from its first message to its last: each execution is created, and ends well, one after the other."""

    def __init__(self, graph: Mapping[int, Sequence[int]], *, number: int = 0, limit: int = 5) -> None:
        """`number` tells runs of the same graph apart."""
        self.uid = str(uuid.uuid5(uuid.NAMESPACE_OID, f"workflow {number}"))
        self.name = f"story-{number}"
        self.events: list[Event] = []
        """All messages but the public events, in the order in which they would be stored."""
        self.stored: list[Stored] = []
        """The same as the log holds them."""
        self.situations: list[Situation] = []
        self.decisions: list[Decision] = []
        self._version = 100
        self._tell(workflow(self.name, {n: tuple(b) for n, b in graph.items()}, namespace=NAMESPACE, limit=limit))

    def _tell(self, body: dict[str, Any]) -> None:
        waiting = self._decide(self._workflow_changed(body))
        while waiting:
            command = waiting.pop(0)
            waiting += self._decide(self._execution_changed(command, {}))
            waiting += self._decide(self._execution_changed(command, {"phase": "completed", **_RESULTS}))
        end = self.decisions[-1].state
        if end.phase != "completed":
            message = f"the run did not complete but {end.phase}: {end.failure_reason}"
            raise AssertionError(message)

    def _decide(self, event: Event) -> list[CreateExecution]:
        seen = read_input(self._store(event))
        if seen is None:
            message = f"the scheduler does not take {event.type} in"
            raise AssertionError(message)
        previous = self.decisions[-1] if self.decisions else None
        plan = self.situations[-1].plan if self.situations else make(seen.fact)  # type: ignore[arg-type]
        place = () if previous else (self._place(plan, seen),)
        situation = Situation(plan=plan, previous=previous, inputs=(seen, *place))
        decision = decide(situation.plan, situation.previous, situation.inputs).decision
        self.situations.append(situation)
        if decision is None:
            return []
        self.decisions.append(decision)
        self._store(decision_event(decision))
        return [command for command in decision.commands if isinstance(command, CreateExecution)]

    def _place(self, plan: Plan, seen: Input) -> Input:
        """The queue gives the run a place."""
        request = Request(turn_of(plan.definition), seen.cause)
        decided = decide_queue(None, [request], [], None, limit=1, now=seen.time_ms)
        if decided is None:
            message = "the queue decides nothing"
            raise AssertionError(message)
        event = queue_event(decided)
        cause = Cause(event.id, self._store(event).sequence, event.type)
        return Input(cause=cause, time_ms=0, fact=Place(admitted=True))

    def _store(self, event: Event) -> Stored:
        self.events.append(event)
        stored = Stored(
            stream=subjects.LOG.name,
            sequence=len(self.events),
            time_ms=_NOW_MS + len(self.events),
            subject=event.subject,
            headers=to_headers(event),
            data=event.data,
        )
        self.stored.append(stored)
        return stored

    def _workflow_changed(self, body: dict[str, Any]) -> Event:
        metadata = body["metadata"] | {"uid": self.uid, "resourceVersion": "1", "generation": 1}
        return self._change(
            subjects.workflow_change(NAMESPACE, self.uid),
            WorkflowChanged(resource_version="1", object=_raw(body | {"metadata": metadata})),
            uid=self.uid,
            version=1,
        )

    def _execution_changed(self, command: CreateExecution, status: dict[str, Any]) -> Event:
        self._version += 1
        uid = str(uuid.uuid5(uuid.NAMESPACE_OID, command.idempotency_key))
        body = {
            "apiVersion": f"{EXECUTION_GROUP}/{VERSION}",
            "kind": EXECUTION_KIND,
            "metadata": {
                "name": command.name,
                "namespace": NAMESPACE,
                "uid": uid,
                "resourceVersion": str(self._version),
                "ownerReferences": [{"kind": "WorkflowExecution", "name": self.name, "uid": self.uid}],
            },
            "spec": {
                "workflowExecutionRef": {"name": self.name, "namespace": NAMESPACE, "uid": self.uid},
                "stepNumber": command.step,
                "attempt": command.attempt,
                "action": command.action,
                "parameters": command.parameters,
                "timeout": command.timeout,
                "idempotencyKey": command.idempotency_key,
            },
            "status": status,
        }
        return self._change(
            subjects.execution_change(NAMESPACE, self.uid, uid),
            ExecutionChanged(resource_version=str(self._version), object=_raw(body)),
            uid=uid,
            version=self._version,
        )

    def _change(self, subject: str, body: WorkflowChanged | ExecutionChanged, *, uid: str, version: int) -> Event:
        return Event(
            subject=subject,
            id=f"{uid}/{version}",
            type=TYPE_OF[type(body)],
            source="/kubernaut/watcher",
            data=encode(body),
            correlation_id=self.uid,
        )


_RESULTS: Final = {"executionResults": {"success": True, "executionTime": "1s", "resourcesAffected": []}}


def _raw(body: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(body))
