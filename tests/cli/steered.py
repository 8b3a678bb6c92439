"""Runs that people steer, and an in-memory API with a scheduler behind it, for the tests of the control commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubernaut.cli.steering_write import SELF_REVIEWS
from runtime.kinds import WORKFLOWS
from runtime.ports import Object, Patch, Resource
from schemas.names import ANNOTATION_APPROVAL, ANNOTATION_APPROVED_PLAN, ANNOTATION_APPROVER
from tests.cli.builders import PLAN, a_step, a_told_step, a_workflow
from tests.fakes.cluster import FakeCluster

USER = "alice@example.com"
DIGEST = "0123456789abcdef"
STEPS = [
    a_step(1, name="drain", action="drain_node", parameters={"node": "worker-1"}),
    a_step(2, 1, action="scale_deployment", parameters={"deployment": "web", "namespace": "shop", "replicas": 3}),
    a_step(3, 1),
    a_step(4, 2, 3),
]
Status = dict[str, Any]
Scheduler = Callable[[Object], Status]


def a_condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    """Return a condition as the bridge writes it."""
    when = "2026-01-01T00:00:01Z"
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": when}


def a_run(phase: str = "executing", *, control: Status | None = None, **status: Any) -> dict[str, Any]:
    """Return a run of four steps in a phase, with a plan where the phase has one."""
    planned = {} if phase in {"", "queued", "planning"} else {"executionPlan": PLAN | {"digest": DIGEST}}
    shown = {"phase": phase, "observedGeneration": 1, "progress": "1/4"} if phase else {}
    body = a_workflow(steps=STEPS, **(shown | planned | status))
    if control is not None:
        body["spec"]["control"] = control
    return body


def a_waiting_run(**status: Any) -> dict[str, Any]:
    """Return a run that waits for an approval, its checks and its dry run done."""
    body = a_run(
        "validating",
        progress="0/4",
        waitingFor="Approval.",
        conditions=[a_condition("Approved", "Unknown", "Waiting")],
        **status,
    )
    body["spec"]["executionStrategy"] = {
        "approvalRequired": True,
        "dryRunFirst": True,
        "safetyChecks": [{"type": "rbac"}],
    }
    return body


def told(*states: str, reason: str = "") -> list[dict[str, Any]]:
    """Return the statuses of steps 1, 2 and so on."""
    more = {"reason": reason} if reason else {}
    return [
        a_told_step(number, state, **(more if state == "skipped" else {})) for number, state in enumerate(states, 1)
    ]


class SteeredCluster(FakeCluster):
    """An API that knows who asks, with a scheduler that answers each write of a workflow; None: nobody answers."""

    def __init__(self, scheduler: Scheduler | None = None) -> None:
        super().__init__()
        self.scheduler = scheduler
        self.meddle: Callable[[], None] | None = None
        """What somebody else does just before the next write."""

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """See `Cluster.create`; a review of oneself is answered and not stored."""
        if resource == SELF_REVIEWS:
            return body | {"status": {"userInfo": {"username": USER}}}
        return await super().create(resource, namespace, body)

    async def patch(self, resource: Resource, namespace: str, name: str, body: Any, *, kind: Patch = "merge") -> Object:
        """See `Cluster.patch`; then the scheduler takes it in."""
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        written = await super().patch(resource, namespace, name, body, kind=kind)
        if self.scheduler is not None:
            seen = {"observedGeneration": written["metadata"]["generation"]}
            self.set_status(resource, namespace, name, **(seen | self.scheduler(written)))
        return written

    def run(self) -> Object:
        """Return the run as it is now."""
        (body,) = self.of(WORKFLOWS)
        return body

    def control(self) -> Any:
        """Return what people asked of the run."""
        return self.run()["spec"].get("control")

    def decision(self) -> tuple[Any, ...]:
        """Return what the annotations say: verdict, by whom, about which plan."""
        written = self.run()["metadata"].get("annotations", {})
        names = (ANNOTATION_APPROVAL, ANNOTATION_APPROVER, ANNOTATION_APPROVED_PLAN)
        return tuple(written.get(name) for name in names)
