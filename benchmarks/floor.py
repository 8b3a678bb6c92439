"""The floor: one bare client that makes the API writes of the system by itself. No bus, no log, no audit, no watch.

It knows when a step has ended because it writes that itself. Objects and the number of each kind of write are those of
the system in the same run of the benchmark; only the order within a run of a workflow is its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from benchmarks.figures import share
from benchmarks.sample import Sample
from benchmarks.system import FLOOR_NAMESPACE
from runtime.kinds import EVENTS, EXECUTIONS, WORKFLOWS
from runtime.ports import Cluster, Object, Resource
from schemas.names import FINALIZER

CREATE_WORKFLOW: Final = "POST workflowexecutions"
CREATE_EXECUTION: Final = "POST kubernetesexecutions"
EXECUTION_STATUS: Final = "PUT kubernetesexecutions/status"
EXECUTION_PATCH: Final = "PATCH kubernetesexecutions"
WORKFLOW_STATUS: Final = "PUT workflowexecutions/status"
WORKFLOW_PATCH: Final = "PATCH workflowexecutions"
CREATE_EVENT: Final = "POST events"
KINDS: Final = (
    CREATE_WORKFLOW,
    CREATE_EXECUTION,
    EXECUTION_STATUS,
    EXECUTION_PATCH,
    WORKFLOW_STATUS,
    WORKFLOW_PATCH,
    CREATE_EVENT,
)
"""The writes that it makes, named as in `api.Requests`."""
_SIDE_KINDS: Final = (WORKFLOW_PATCH, EXECUTION_PATCH, CREATE_EVENT, WORKFLOW_STATUS)
"""Those that no step waits for; one after the other in each run, because they are about one object."""

WIDTH: Final = 24
"""Requests in flight at once. Fewer leave the server idle at times, more only wait in its queue (tried: 8 to 64)."""

Acknowledged = Callable[[str, int], None]
"""Told the workflow and the step when the status that ends the step was answered."""


class Writes(msgspec.Struct, frozen=True, kw_only=True):
    """How many writes of each kind one run makes."""

    execution_statuses: int
    side: Mapping[str, int]


def writes_of(counted: Counter[str], runs: int, place: int, steps: int) -> Writes:
    """Return what falls to one run (from 0) of what the system wrote in `runs` runs of `steps` steps."""
    return Writes(
        execution_statuses=max(steps, share(counted[EXECUTION_STATUS], runs, place)),
        side={kind: share(counted[kind], runs, place) for kind in _SIDE_KINDS},
    )


def moments(writes: int, steps: int) -> list[int]:
    """Return after how many ended steps each write is made: the first at the start, the last at the end."""
    if writes == 1:
        return [steps]
    return [place * steps // (writes - 1) for place in range(writes)]


def _due(kind: str, writes: int, steps: int) -> list[int]:
    found = moments(writes, steps)
    return [max(1, moment) for moment in found] if kind == EXECUTION_PATCH else found  # before, there is none


class Lane:
    """The bare client's way to the API server: so many requests at a time that it is busy and none waits for long."""

    def __init__(self, cluster: Cluster, width: int = WIDTH) -> None:
        self._cluster = cluster
        self._room = asyncio.Semaphore(width)

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create an object in the floor's namespace."""
        async with self._room:
            return await self._cluster.create(resource, FLOOR_NAMESPACE, body)

    async def patch(self, resource: Resource, name: str, body: Object) -> Object:
        """Patch an object in the floor's namespace."""
        async with self._room:
            return await self._cluster.patch(resource, FLOOR_NAMESPACE, name, body)

    async def put_status(self, resource: Resource, found: Object, status: Object) -> Object:
        """Replace the status of an object that was found."""
        meta = found["metadata"]
        body = {
            "apiVersion": found["apiVersion"],
            "kind": found["kind"],
            "metadata": {name: meta[name] for name in ("name", "namespace", "uid", "resourceVersion")},
            "status": status,
        }
        async with self._room:
            return await self._cluster.replace_status(resource, FLOOR_NAMESPACE, meta["name"], body)


class Run:
    """One workflow, driven by the bare client."""

    def __init__(
        self,
        lane: Lane,
        sample: Sample,
        graph: Mapping[int, tuple[int, ...]],
        writes: Writes,
        *,
        name: str,
        limit: int,
        acknowledged: Acknowledged,
    ) -> None:
        """`limit`: executions in flight at once."""
        self._lane = lane
        self._sample = sample
        self._graph = graph
        self._writes = writes
        self._name = name
        self._room = asyncio.Semaphore(limit)
        self._acknowledged = acknowledged
        self._ended = {step: asyncio.Event() for step in graph}
        self._executions: dict[int, Object] = {}
        self._queue: asyncio.Queue[None] = asyncio.Queue()
        self._workflow: Object = {}
        self._made: Counter[str] = Counter()
        self.ended_at = 0.0
        """When the status that ends the workflow was answered, on the monotonic clock."""

    async def run(self) -> None:
        """Do all of it."""
        body = {name: value for name, value in self._sample.workflow.items() if name != "status"}
        metadata = {"name": self._name, "namespace": FLOOR_NAMESPACE}
        self._workflow = await self._lane.create(WORKFLOWS, body | {"metadata": metadata})
        async with asyncio.TaskGroup() as group:
            for step in self._graph:
                group.create_task(self._step(step))
            group.create_task(self._side_writes())

    async def _step(self, step: int) -> None:
        for before in self._graph[step]:
            await self._ended[before].wait()
        async with self._room:
            body = self._sample.execution(step, self._workflow)
            status = body.pop("status")
            found = await self._lane.create(EXECUTIONS, body)
            place = list(self._graph).index(step)
            times = share(self._writes.execution_statuses, len(self._graph), place)
            for left in reversed(range(times)):
                phase = "executing" if left else status["phase"]
                found = await self._lane.put_status(EXECUTIONS, found, status | {"phase": phase})
            self._acknowledged(self._name, step)
        self._executions[len(self._executions) + 1] = found
        self._ended[step].set()
        self._queue.put_nowait(None)

    async def _side_writes(self) -> None:
        steps = len(self._graph)
        due = {kind: _due(kind, times, steps) for kind, times in self._writes.side.items()}
        for ended in range(steps + 1):
            if ended:
                await self._queue.get()
            for kind in _SIDE_KINDS:
                for _ in range(due[kind].count(ended)):
                    await self._side_write(kind, last=self._made[kind] + 1 == len(due[kind]))

    async def _side_write(self, kind: str, *, last: bool) -> None:
        self._made[kind] += 1
        number, meta = self._made[kind], self._workflow["metadata"]
        if kind == WORKFLOW_STATUS:
            status = self._sample.status(phase="completed" if last else "executing", sequence=number)
            self._workflow = await self._lane.put_status(WORKFLOWS, self._workflow, status)
            self.ended_at = time.perf_counter()
        elif kind == WORKFLOW_PATCH:
            finalizers = {"finalizers": [FINALIZER] if number % 2 else []}
            body: Object = {"metadata": finalizers}
            self._workflow = await self._lane.patch(WORKFLOWS, meta["name"], body)
        elif kind == CREATE_EVENT:
            await self._lane.create(EVENTS, self._sample.event_on(self._workflow, number))
        else:
            execution = self._executions[1 + (number - 1) % len(self._executions)]
            body = {"metadata": {"annotations": {"released": str(number)}}}
            await self._lane.patch(EXECUTIONS, execution["metadata"]["name"], body)
