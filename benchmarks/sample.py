"""What the system wrote for one run, as a pattern: the floor writes the same objects, of the same size."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import msgspec

from benchmarks.runs import WrongError, all_of
from benchmarks.system import SYSTEM_NAMESPACE
from runtime.kinds import EVENTS, EXECUTIONS, WORKFLOWS
from runtime.ports import Cluster, Object

_SERVERS_OWN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The objects of one completed run, without what the API server adds."""

    workflow: Object
    """With its final status."""
    executions: Mapping[int, Object]
    """By step number, each with its final status."""
    event: Object
    """A Kubernetes Event on the workflow."""

    def execution(self, step: int, workflow: Object) -> Object:
        """Return the execution of a step for another workflow, with its status."""
        meta = workflow["metadata"]
        body = copy.deepcopy(self.executions[step])
        body["metadata"] |= {"name": f"{meta['name']}-step-{step}", "namespace": meta["namespace"]}
        for owner in body["metadata"].get("ownerReferences", ()):
            owner |= {"name": meta["name"], "uid": meta["uid"]}
        body["spec"]["workflowExecutionRef"] = {n: meta[n] for n in ("name", "namespace", "uid")}
        return body

    def status(self, *, phase: str, sequence: int) -> dict[str, Any]:
        """Return a status of the workflow that is as long as a real one."""
        return {**self.workflow["status"], "phase": phase, "sequence": sequence}

    def event_on(self, workflow: Object, number: int) -> Object:
        """Return a Kubernetes Event on another workflow."""
        meta = workflow["metadata"]
        body = copy.deepcopy(self.event)
        body["metadata"] |= {"name": f"{meta['name']}.{number}", "namespace": meta["namespace"]}
        body["involvedObject"] |= {n: meta[n] for n in ("name", "namespace", "uid")}
        return body


async def take(cluster: Cluster, name: str) -> Sample:
    """Read back what the system wrote for one completed run."""
    workflow = await cluster.get(WORKFLOWS, SYSTEM_NAMESPACE, name)
    uid = workflow["metadata"]["uid"]
    executions = [
        body
        for body in await all_of(cluster, EXECUTIONS, SYSTEM_NAMESPACE)
        if body["spec"]["workflowExecutionRef"]["uid"] == uid
    ]
    events = [
        body for body in await all_of(cluster, EVENTS, SYSTEM_NAMESPACE) if body["involvedObject"].get("uid") == uid
    ]
    if not executions or not events or "status" not in workflow:
        raise WrongError(f"{name} has {len(executions)} executions and {len(events)} Events: it is no pattern")
    return Sample(
        workflow=_bare(workflow),
        executions={body["spec"]["stepNumber"]: _bare(body) for body in executions},
        event=_bare(events[0]),
    )


def _bare(body: Object) -> Object:
    metadata = {name: value for name, value in body["metadata"].items() if name not in _SERVERS_OWN}
    return body | {"metadata": metadata}
