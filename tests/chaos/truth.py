"""What must hold of the objects, looked at with every write that etcd keeps: never by what a service says of itself.

Pure: takes changes in order, keeps what is wrong as sentences. Knows no server.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec

from schemas.actions import ACTIONS
from schemas.execution import TERMINAL_PHASES as ENDED_EXECUTION
from schemas.names import EXECUTION_GROUP, WORKFLOW_GROUP
from schemas.workflow_status import TERMINAL_PHASES
from tests.chaos.journal import Change

DEFAULT_LIMIT: Final = 5
BRIEF: Final = frozenset({"0s", "5s"})
"""Times to live that a run waits for."""
Identity = tuple[str, int, int, str]
"""Workflow uid, step, attempt, purpose: what may be created once."""


class Run(msgspec.Struct, kw_only=True):
    """One workflow."""

    name: str
    limit: int
    dependencies: dict[int, tuple[int, ...]]
    exists: bool = True
    shown: int = 0
    """status.sequence."""
    phase: str = ""
    waiting_for: str = ""
    """status.waitingFor."""
    expires: bool = False
    """It is to be deleted a few seconds after its end."""

    @property
    def ended(self) -> bool:
        """Whether nothing of it is to come: it has ended, or it is gone."""
        return not self.exists or self.phase in TERMINAL_PHASES


class Truth:
    """Everything that was in the cluster, and what of it must not have been."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        """By uid."""
        self.problems: list[str] = []
        self.created: Counter[Identity] = Counter()
        self.executions = 0
        """How many were created."""
        self.names: Counter[str] = Counter()
        """How often each name of an execution was created."""
        self.again = 0
        """Created once more because somebody had deleted it before anybody saw it: that is no duplicate."""
        self.most: Counter[str] = Counter()
        """The most that were in flight at once, by workflow uid."""
        self.versions: dict[str, int] = {}
        """Of every living object the version, by uid."""
        self.gone: set[str] = set()
        """Uids of objects that are no more."""
        self._objects: dict[str, dict[str, Any]] = {}
        self._flying: dict[str, dict[str, tuple[str, int]]] = {}

    @property
    def running(self) -> list[Run]:
        """Runs that have not ended."""
        return [run for run in self.runs.values() if not run.ended]

    @property
    def in_flight(self) -> int:
        """Executions that exist and have not ended."""
        return sum(map(len, self._flying.values()))

    @property
    def leaving(self) -> list[str]:
        """Names of objects that are being deleted, and of executions whose workflow is gone, which are collected."""
        return [
            body["metadata"]["name"]
            for body in self._objects.values()
            if "deletionTimestamp" in body["metadata"]
            or (body["spec"].get("workflowExecutionRef") or {}).get("uid") in self.gone
        ]

    @property
    def overdue(self) -> list[Run]:
        """Runs that have not ended, but for those that wait in vain for the end of an execution that is not there.

        Its creation was commanded and its fate unknown when its time was over: a request may still be on its way, so
        that it keeps its place for two minutes (`scheduler.commanding.UNSEEN_MS`) rather than let one too many fly.
        """
        return [
            run
            for uid, run in self.runs.items()
            if not run.ended and (self._flying.get(uid) or not run.waiting_for.startswith("The end of "))
        ]

    def has(self, name: str) -> bool:
        """Whether there is a workflow of that name."""
        return any(run.exists and run.name == name for run in self.runs.values())

    def name(self, uid: str) -> str:
        """Return what a workflow is called."""
        return self.runs[uid].name if uid in self.runs else uid

    def take(self, change: Change) -> None:
        """Look at a write."""
        before = self._objects.pop(change.key, None)
        if change.body is not None:
            self._objects[change.key] = change.body
            self.versions[change.body["metadata"]["uid"]] = change.revision
        elif before is not None:
            self.gone.add(before["metadata"]["uid"])
            self.versions.pop(before["metadata"]["uid"], None)
        if f"/{WORKFLOW_GROUP}/" in change.key:
            self._workflow(before, change.body)
        elif f"/{EXECUTION_GROUP}/" in change.key:
            self._execution(before, change.body)

    def _workflow(self, before: dict[str, Any] | None, body: dict[str, Any] | None) -> None:
        if body is None:
            if before is not None:
                self.runs[before["metadata"]["uid"]].exists = False
            return
        meta, status = body["metadata"], body.get("status") or {}
        run = self.runs.setdefault(meta["uid"], _run_of(body))
        shown = status.get("sequence", 0)
        if shown < run.shown:
            self.problems.append(f"G7: the status of {run.name} goes back from {run.shown} to {shown}")
        run.shown, run.phase, run.waiting_for = shown, status.get("phase", ""), status.get("waitingFor", "")

    def _execution(self, before: dict[str, Any] | None, body: dict[str, Any] | None) -> None:
        found = body or before
        if found is None:
            return
        identity = _identity(found)
        flying = self._flying.setdefault(identity[0], {})
        name = found["metadata"]["name"]
        if body is not None and before is None:
            self._created(identity, body, flying)
        if body is None or _is_over(body):
            flying.pop(name, None)
            return
        flying[name] = (identity[3], identity[1])
        run = self.runs.get(identity[0])
        self.most[identity[0]] = max(self.most[identity[0]], len(flying))
        if run is not None and len(flying) > run.limit:
            self.problems.append(f"G6: {len(flying)} of {run.name} are in flight, {run.limit} may be: {sorted(flying)}")

    def _created(self, identity: Identity, body: dict[str, Any], flying: dict[str, tuple[str, int]]) -> None:
        name = body["metadata"]["name"]
        self.names[name] += 1
        self.created[identity] += 1
        self.executions += 1
        if self.created[identity] > 1:
            # The one before is gone, else its name would not be free. What is not idempotent is held by a finalizer
            # until its end is in the log, so that it never comes a second time.
            if ACTIONS[body["spec"]["action"]].idempotent:
                self.again += 1
            else:
                self.problems.append(f"G5: {name} is created for the {self.created[identity]}. time")
        run = self.runs.get(identity[0])
        if run is None or identity[3] != "execute":
            return
        early = [
            step for purpose, step in flying.values() if purpose == "execute" and step in run.dependencies[identity[1]]
        ]
        if early:
            self.problems.append(f"order: step {identity[1]} of {run.name} begins before {early} have ended")


def _run_of(body: dict[str, Any]) -> Run:
    spec = body["spec"]
    strategy = spec.get("executionStrategy") or {}
    merged = spec["workflowDefinition"].get("dependencies") or {}
    return Run(
        name=body["metadata"]["name"],
        limit=strategy.get("parallelismLimit", DEFAULT_LIMIT),
        expires=strategy.get("ttlAfterFinished", "24h") in BRIEF,
        dependencies={
            step["stepNumber"]: (*(step.get("dependsOn") or ()), *merged.get(str(step["stepNumber"]), ()))
            for step in spec["workflowDefinition"]["steps"]
        },
    )


def _identity(body: dict[str, Any]) -> Identity:
    spec = body["spec"]
    return (
        spec["workflowExecutionRef"]["uid"],
        spec["stepNumber"],
        spec.get("attempt", 1),
        spec.get("purpose", "execute"),
    )


def _is_over(body: dict[str, Any]) -> bool:
    """Ended, or on its way out: nobody carries out what is being deleted."""
    return (body.get("status") or {}).get("phase") in ENDED_EXECUTION or "deletionTimestamp" in body["metadata"]
