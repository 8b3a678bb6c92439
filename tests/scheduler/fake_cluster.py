"""A cluster without any I/O: carries out the commands of decisions, changes by people, by the executor, by itself.

Everything that happens to an object is an event that a watch would tell; when it is told is the world's affair.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from executor_bridge.decide import is_wanted
from scheduler.inputs import Execution
from schemas.messages import (
    CheckFinding,
    CheckReported,
    Command,
    CommandRefused,
    CreateExecution,
    Decision,
    DeleteExecution,
    DeleteWorkflow,
    HoldWorkflow,
    ReleaseExecution,
    ReleaseWorkflow,
    RunCheck,
)
from schemas.names import FINALIZER, REQUEST_GROUP, REQUEST_KIND
from schemas.run_state import RunState
from tests.scheduler.builders import an_execution

GOING = "2026-01-01T00:00:00Z"
STATUSES: dict[str, dict[str, Any]] = {
    "executing": {"phase": "executing"},
    "meditating": {"phase": "meditating"},
    "ok 1": {"phase": "completed", "executionResults": {"success": True, "n": 1}},
    "ok 0": {
        "phase": "completed",
        "executionResults": {"success": True, "n": 0},
        "rollbackInformation": {"preImage": {"replicas": 1, "unschedulable": False}},
    },
    "broken": {"phase": "failed", "failure": {"reason": "maybe_done", "message": "it broke"}},
    "broken, nothing done": {"phase": "failed", "failure": {"reason": "not_done", "executed": False}},
    "broken for ever": {"phase": "failed", "failure": {"reason": "hopeless", "retryable": False}},
    "broken for ever, nothing done": {
        "phase": "failed",
        "failure": {"reason": "hopeless", "retryable": False, "executed": False},
    },
    "no success": {"phase": "completed", "executionResults": {"success": False}},
}
"""What the executor may write, by the model's word for it."""
AGAIN = {"maybe_done": (True, False), "not_done": (True, True), "hopeless": (False, False)}
"""Of each reason in them: whether it may be tried again for an idempotent action, and for any other."""


@dataclass
class Made:
    """An execution in the cluster."""

    create: CreateExecution
    uid: str
    held: bool
    stubborn: bool
    """Another finalizer keeps it for a while once it is deleted."""
    word: str = ""
    """What the executor wrote last."""
    deleting: bool = False
    gone: bool = False
    kept: bool = False
    """Its deletion was refused: nobody can end it."""

    @property
    def ended(self) -> bool:
        """Whether it has a final phase."""
        return STATUSES.get(self.word, {}).get("phase") in {"completed", "failed"}

    @property
    def running(self) -> bool:
        """Whether it counts against the limit."""
        return not (self.ended or self.deleting or self.gone)


@dataclass(frozen=True)
class Pending:
    """A command that was not carried out yet."""

    decision: Decision
    index: int

    @property
    def command(self) -> Command:
        """The command."""
        return self.decision.commands[self.index]

    @property
    def id(self) -> str:
        """As the bridge names it."""
        return f"{self.decision.workflow.uid}/{self.decision.version}/{self.index}"


@dataclass
class Cluster:
    """All objects of one run, and what happened to them that nobody told yet."""

    workflow: dict[str, Any]
    version: int = 10
    made: dict[str, Made] = field(default_factory=dict)
    deleting: bool = False
    gone: bool = False
    events: list[tuple[str, Any]] = field(default_factory=list)
    """Name of the object, and its version: a fact of an execution, or (object, deleted) of the workflow."""
    releases: list[str] = field(default_factory=list)
    """Uids of executions whose finalizer was taken off."""

    def __post_init__(self) -> None:
        """The workflow was created."""
        self.change_workflow()

    # What people do

    def change_workflow(self, *, annotations: dict[str, str] | None = None, **control: Any) -> None:
        """A newer version of the workflow, with more control or annotations."""
        if self.gone:
            return
        self.version += 1
        metadata, spec = dict(self.workflow["metadata"]), dict(self.workflow["spec"])
        if control:
            metadata["generation"] += 1
            spec["control"] = spec.get("control", {}) | control
        if annotations is not None:
            metadata["annotations"] = annotations
        metadata["resourceVersion"] = str(self.version)
        self.workflow = self.workflow | {"metadata": metadata, "spec": spec}
        self.events.append(("workflow", (self.workflow, False)))

    def own(self) -> None:
        """A RemediationRequest takes the workflow."""
        owners = [{"apiVersion": f"{REQUEST_GROUP}/v1", "kind": REQUEST_KIND, "name": "leak"}]
        self.workflow = self.workflow | {"metadata": self.workflow["metadata"] | {"ownerReferences": owners}}
        self.change_workflow()

    @property
    def owned(self) -> bool:
        """Whether one has it."""
        return bool(self.workflow["metadata"].get("ownerReferences"))

    def finalizer(self, *, on: bool) -> None:
        """Our finalizer is put on the workflow or taken off."""
        if self.gone or (on and self.deleting) or on == self.held:
            return
        metadata = self.workflow["metadata"]
        self.workflow = self.workflow | {"metadata": metadata | {"finalizers": [FINALIZER] if on else []}}
        if self.deleting:
            self._workflow_gone()
        else:
            self.change_workflow()

    @property
    def held(self) -> bool:
        """Whether the workflow carries our finalizer."""
        return bool(self.workflow["metadata"].get("finalizers"))

    def delete_workflow(self) -> None:
        """Somebody deletes the workflow."""
        if self.gone or self.deleting:
            return
        if not self.held:
            self._workflow_gone()
            return
        self.deleting = True
        self.workflow = self.workflow | {"metadata": self.workflow["metadata"] | {"deletionTimestamp": GOING}}
        self.change_workflow()

    def _workflow_gone(self) -> None:
        self.change_workflow()
        self.events[-1] = ("workflow", (self.workflow, True))
        self.gone = True

    def collect(self) -> None:
        """The garbage collector deletes the executions of a workflow that is gone."""
        if self.gone:
            for made in self.made.values():
                self.delete(made)

    # What the executor and others do to an execution

    def write(self, made: Made, word: str) -> None:
        """The executor writes a status; never after a final one."""
        if not made.gone and not made.ended:
            made.word = word
            self._tell(made)

    def meet(self, made: Made, fate: str) -> None:
        """An execution meets its fate: a status, or to be deleted by somebody."""
        if fate == "deleted":
            self.delete(made)
        else:
            self.write(made, fate)

    def delete(self, made: Made, *, release: bool = False) -> None:
        """An execution is deleted; `release`: and our finalizer taken off."""
        if made.gone:
            return
        first = not made.deleting
        made.deleting = True
        if first and (made.held or made.stubborn):
            self._tell(made)
        if release:
            self.release(made)
        elif first and not (made.held or made.stubborn):
            self._gone(made)

    def release(self, made: Made) -> None:
        """Our finalizer is taken off an execution."""
        if made.gone or not made.held:
            if made.deleting and not made.stubborn and not made.gone:
                self._gone(made)
            return
        made.held = False
        self.releases.append(made.uid)
        if made.deleting and not made.stubborn:
            self._gone(made)
        else:
            self._tell(made)

    def let_go(self, made: Made) -> None:
        """The other finalizer goes."""
        made.stubborn = False
        if made.deleting and not made.held and not made.gone:
            self._gone(made)

    def _gone(self, made: Made) -> None:
        made.gone = True
        self._tell(made)

    def _tell(self, made: Made) -> None:
        self.version += 1
        self.events.append((made.create.name, self.fact(made)))

    def fact(self, made: Made) -> Execution:
        """The newest version of an execution as the scheduler reads it."""
        metadata = {"deletionTimestamp": GOING} if made.deleting else {}
        status = STATUSES.get(made.word, {})
        return an_execution(
            made.create, version=self.version, deleted=made.gone, uid=made.uid, metadata=metadata, status=status
        )

    # What the bridge does

    def carry_out(self, pending: Pending, last: RunState, *, stubborn: bool = False) -> None:
        """Carry out a command that is none of a check; one that is not wanted any more is void."""
        command = pending.command
        if not is_wanted(command, last):
            return
        match command:
            case CreateExecution():
                self._create(command, stubborn=stubborn)
            case DeleteExecution():
                for made in self._with(command.uid):
                    self.delete(made, release=command.hold)
            case ReleaseExecution():
                for made in self._with(command.uid):
                    self.release(made)
            case HoldWorkflow():
                self.finalizer(on=True)
            case ReleaseWorkflow():
                self.finalizer(on=False)
            case DeleteWorkflow():
                self.delete_workflow()

    def _create(self, command: CreateExecution, *, stubborn: bool) -> None:
        if command.name in self.made or self.gone:
            return
        uid = f"uid-{command.name}"
        self.made[command.name] = Made(create=command, uid=uid, held=command.hold, stubborn=stubborn)
        self._tell(self.made[command.name])

    def _with(self, uid: str) -> list[Made]:
        return [made for made in self.made.values() if made.uid == uid]

    def refuse(self, pending: Pending) -> CommandRefused:
        """Refuse a create or a delete for good."""
        command = pending.command
        about: dict[str, Any] = {"step": getattr(command, "step", 0), "purpose": getattr(command, "purpose", "execute")}
        if isinstance(command, CreateExecution):
            about["attempt"] = command.attempt
        elif isinstance(command, DeleteExecution):
            about["uid"] = command.uid
            for made in self._with(command.uid):
                made.kept = True
        return CommandRefused(
            workflow=pending.decision.workflow,
            command_id=pending.id,
            command=str(command.__struct_config__.tag),
            reason="forbidden",
            message="not allowed",
            **about,
        )

    def answer(self, pending: Pending, *, passed: bool) -> CheckReported:
        """Tell what a check found."""
        check = pending.command
        assert isinstance(check, RunCheck)
        state: Literal["passed", "failed"] = "passed" if passed else "failed"
        return CheckReported(
            workflow=pending.decision.workflow,
            command_id=pending.id,
            check=check.check,
            type=check.type,
            passed=passed,
            message="" if passed else "not well",
            findings=tuple(CheckFinding(subject=t.resource, state=state) for t in check.targets if t.resource),
        )
