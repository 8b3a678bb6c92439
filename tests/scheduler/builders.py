"""Builders of what the scheduler takes in: `a_workflow(steps=3)`, `seen(...)`. Every default is the plainest one."""

from __future__ import annotations

from typing import Any

import msgspec

from scheduler.decide import decide
from scheduler.definition import Definition, read
from scheduler.inputs import Execution, Fact, Input, Place, read_execution
from scheduler.plan import Plan, make
from schemas.messages import (
    TYPE_OF,
    Cause,
    CheckReported,
    Command,
    CreateExecution,
    Decision,
    DeleteExecution,
    ExecutionChanged,
    RunCheck,
    TimerDue,
    WorkflowChanged,
)
from schemas.run_state import LearnedAction, RunState

UID = "5f8f8a52-0000-4000-8000-000000000001"
NOW = 1_700_000_000_000
"""An arbitrary broker time in ms."""
_WORD = {"execute": "execution", "dry_run": "dry-run", "rollback": "rollback"}


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
    """A workflow object of these steps; one step when none is named. Not monitored, unless its strategy says so."""
    strategy = dict(spec.pop("executionStrategy", {}))
    strategy.setdefault("monitoring", {"window": "0s"})
    spec["executionStrategy"] = strategy
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


def plan_of(workflow: dict[str, Any], learned: dict[str, LearnedAction] | None = None) -> Plan:
    """Plan a workflow object."""
    return make(definition_of(workflow), learned)


class Run:
    """A run that is fed facts one by one, a tick apart; keeps the chain of decisions."""

    def __init__(
        self,
        workflow: dict[str, Any],
        *,
        admitted: bool = True,
        learned: dict[str, LearnedAction] | None = None,
        facts: tuple[Fact, ...] = (),
        tick: int = 1000,
    ) -> None:
        """`tick`: milliseconds from one message to the next."""
        self.workflow = workflow
        self.plan = plan_of(workflow, learned)
        self.decisions: list[Decision] = []
        self.wakes: list[int] = []
        """Wake-ups that were to be armed."""
        self.sequence = 0
        self.version = 100
        self.time = NOW
        self.tick = tick
        self.take(self.plan.definition, Place(admitted=admitted), *facts)

    @property
    def last(self) -> Decision:
        """The newest decision."""
        return self.decisions[-1]

    @property
    def state(self) -> RunState:
        """The state after it."""
        return self.last.state

    def input(self, fact: Fact) -> Input:
        """A message that says `fact`, stored a tick after the one before."""
        self.sequence += 1
        self.time += self.tick
        cause = Cause(f"message-{self.sequence}", self.sequence, TYPE_OF[ExecutionChanged])
        return Input(cause=cause, time_ms=self.time, fact=fact)

    def take(self, *facts: Fact) -> Decision | None:
        """Decide on the facts in one go."""
        return self.decide([self.input(fact) for fact in facts])

    def decide(self, inputs: list[Input]) -> Decision | None:
        """Decide on inputs in one go."""
        verdict = decide(self.plan, self.decisions[-1] if self.decisions else None, inputs)
        if verdict.wake_at:
            self.wakes.append(verdict.wake_at)
        if verdict.decision is not None:
            self.decisions.append(verdict.decision)
        return verdict.decision

    def wait(self, seconds: float) -> Decision | None:
        """Time passes, and a wake-up comes at its end."""
        self.time += round(seconds * 1000) - self.tick
        return self.take(TimerDue(workflow_uid=UID, due_at=self.time))

    def wait_for(self, timer: str) -> Decision | None:
        """Time passes until a timer of the state is due."""
        return self.wait((self.state.timers[timer] - self.time) / 1000)

    def lose(self, step: int, timer: str = "step") -> Decision | None:
        """The time of a step's execution that nobody has seen is over, and it does not show up for long after that."""
        self.wait_for(f"{timer}:{step}")
        return self.wait_for(f"{timer}:{step}")

    def ask(self, *, generation: int = 2, metadata: dict[str, Any] | None = None, **control: Any) -> Decision | None:
        """A newer version of the object comes, with this control and metadata."""
        self.version += 1
        changed = self.workflow["metadata"] | {"resourceVersion": str(self.version), "generation": generation}
        spec = self.workflow["spec"] | ({"control": control} if control else {})
        self.workflow = self.workflow | {"metadata": changed | (metadata or {}), "spec": spec}
        return self.take(definition_of(self.workflow, sequence=self.version))

    def say(self, verdict: str, *, by: str = "alice", reason: str = "", plan: str = "") -> Decision | None:
        """A person approves or rejects."""
        group = "workflowexecution.kubernaut.io"
        said = {f"{group}/approval": verdict, f"{group}/approver": by, f"{group}/approval-reason": reason}
        return self.ask(metadata={"annotations": said | ({f"{group}/approved-plan": plan} if plan else {})})

    def found(self, check: str, *, passed: bool = True, message: str = "", **fields: Any) -> CheckReported:
        """The result of a check, as a fact."""
        return CheckReported(
            workflow=self.last.workflow,
            command_id="command",
            check=check,
            type=self.check_of(check).type,
            passed=passed,
            message=message,
            **fields,
        )

    def report(self, check: str, *, passed: bool = True, message: str = "", **fields: Any) -> Decision | None:
        """The result of a check comes."""
        return self.take(self.found(check, passed=passed, message=message, **fields))

    def check_of(self, check: str) -> RunCheck:
        """The newest command of a check."""
        return [c for c in self.commands() if isinstance(c, RunCheck) and c.check == check][-1]

    def commands(self) -> list[Command]:
        """All commands so far, in order."""
        return [command for decision in self.decisions for command in decision.commands]

    def deletes(self) -> list[DeleteExecution]:
        """All executions whose deletion was commanded, in order."""
        return [command for command in self.commands() if isinstance(command, DeleteExecution)]

    def creates(self) -> list[CreateExecution]:
        """All executions commanded so far, in order."""
        return [c for d in self.decisions for c in d.commands if isinstance(c, CreateExecution)]

    def create_of(self, step: int, purpose: str = "execute") -> CreateExecution:
        """The newest command to create an execution of the step."""
        return [c for c in self.creates() if c.step == step and c.purpose == purpose][-1]

    def execution(self, step: int, phase: str = "", *, purpose: str = "execute", **change: Any) -> Execution:
        """A newer version of the step's execution, in a phase of the executor."""
        self.version += 1
        return an_execution(self.create_of(step, purpose), phase, version=self.version, **change)

    def see(self, step: int, **change: Any) -> Decision | None:
        """The step's execution is seen for the first time."""
        return self.take(self.execution(step, **change))

    def end(self, step: int, phase: str = "completed", **change: Any) -> Decision | None:
        """The step's execution is seen in a final phase."""
        return self.take(self.execution(step, phase, **change))

    def fail(self, step: int, *, executed: bool | None = None, retryable: bool | None = None, **change: Any) -> Any:
        """The step's execution is seen failed."""
        failure = {"reason": "broken", "message": "it broke", "executed": executed, "retryable": retryable}
        told = {name: value for name, value in failure.items() if value is not None}
        return self.end(step, status={"phase": "failed", "failure": told}, **change)

    def phases(self) -> dict[int, str]:
        """How far each step is."""
        return {step.number: step.phase for step in self.last.state.steps}

    def told(self) -> list[str]:
        """All transitions so far, as `what` or `step what`."""
        told = [t for d in self.decisions for t in d.transitions if t.what]
        return [f"{t.step} {t.what}" if t.step else t.what for t in told]


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
            "uid": uid or f"{_WORD[create.purpose]}-{create.step}-{create.attempt}",
        }
        | (metadata or {}),
        "spec": {
            "workflowExecutionRef": {"name": "leak", "namespace": "shop", "uid": UID},
            "stepNumber": create.step,
            "attempt": create.attempt,
            "purpose": create.purpose,
            "action": create.action,
            "idempotencyKey": create.idempotency_key,
        }
        | (spec or {}),
        "status": status if status is not None else ({"phase": phase} if phase else {}),
    }
    raw = msgspec.Raw(msgspec.json.encode(found))
    return read_execution(ExecutionChanged(resource_version=str(version), deleted=deleted, object=raw))
