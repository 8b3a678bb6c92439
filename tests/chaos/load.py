"""Keeps many workflows running, of every shape that the simulation draws, and people who meddle with them.

Knows nothing of faults: where the API does not answer, whoever wants something tries again, as people do.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from kubernaut.simulator.behaviour import PREFIX
from runtime.errors import KubernautError, UnavailableError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.ports import Resource
from schemas.names import ANNOTATION_APPROVAL, ANNOTATION_APPROVER
from tests.simulation.workflows import NAMESPACE, a_workflow

if TYPE_CHECKING:
    from runtime.cluster import ClusterClient
    from runtime.ports import Object
    from tests.chaos.truth import Truth

_AGAIN_SECONDS: Final = 0.5
_PACE_SECONDS: Final = 0.05
_ACTS: Final = {
    "pause": 4,
    "cancel": 4,
    "delete": 3,
    "apply_again": 2,
    "skip": 3,
    "retry": 3,
    "rollback": 2,
    "edit": 2,
    "delete_execution": 2,
}


def a_brief_workflow(rng: random.Random, name: str) -> Object:
    """Draw a workflow that ends within a minute, whatever its executor does, once people let it go on."""
    body = a_workflow(rng, name)
    strategy = body["spec"]["executionStrategy"]
    strategy["workflowTimeout"] = rng.choice(("15s", "30s", "40s", "40s"))
    if rng.random() < 0.6:
        strategy.pop("safetyChecks", None)  # most of them find nothing here, and the run ends before it began
    if rng.random() < 0.5:
        body["metadata"]["annotations"].clear()  # its executor does well
    strategy["ttlAfterFinished"] = rng.choice(("0s", "5s", "24h", "24h"))
    if strategy["monitoring"]["window"] != "0s":
        strategy["monitoring"] = {"window": "1s", "timeout": "4s"}
    for step in body["spec"]["workflowDefinition"]["steps"]:
        step["timeout"] = rng.choice(("8s", "15s"))
        if "rollbackSpec" in step:
            step["rollbackSpec"]["timeout"] = "4s"
        else:  # an undoing that is derived has five minutes
            body["metadata"]["annotations"].pop(f"{PREFIX}step-{step['stepNumber']}.rollback", None)
    return body


class Load:
    """The workflows and the people."""

    def __init__(self, cluster: ClusterClient, truth: Truth, *, seed: int, many: int) -> None:
        """`many`: how many are to run at once."""
        self._cluster = cluster
        self._truth = truth
        self._rng = random.Random(f"load/{seed}")  # noqa: S311 - no secret
        self._prefix = f"c{seed}"
        self._many = many
        self._people: set[asyncio.Task[None]] = set()
        self._unborn: set[str] = set()
        """Applied, and not seen in the cluster yet."""
        self.applied: set[str] = set()
        """Uids of what the API server has accepted."""
        self.there = asyncio.Event()
        """Set once it has accepted as many as are to run at once."""
        self.acts: Counter[str] = Counter()

    @property
    def busy(self) -> bool:
        """Whether people still have something in mind."""
        return bool(self._people)

    async def run(self, stop: asyncio.Event) -> None:
        """Apply a new one for each that has ended, until `stop`; then wait for the people to be done."""
        number = 0
        while not stop.is_set():
            self._unborn -= self._truth.runs.keys()
            if len(self._truth.running) + len(self._unborn) >= self._many:
                await asyncio.sleep(_PACE_SECONDS)
                continue
            await self._apply(a_brief_workflow(self._rng, f"{self._prefix}-{number}"))
            number += 1
        await asyncio.gather(*self._people)

    async def let_go_on(self) -> None:
        """Resume what is paused and approve what waits: nothing else may hold a run for ever."""
        for run in self._truth.running:
            await self._approve(run.name, "approved")
            await self._control(run.name, {"paused": False})

    async def _apply(self, body: Object) -> None:
        try:
            made = await self._cluster.create(WORKFLOWS, NAMESPACE, body)
        except KubernautError:  # its fate is unknown; where it took place the journal tells
            await asyncio.sleep(_AGAIN_SECONDS)
            return
        uid = made["metadata"]["uid"]
        self.applied.add(uid)
        if len(self.applied) >= self._many:
            self.there.set()
        if uid not in self._truth.runs:
            self._unborn.add(uid)
        meddling = asyncio.create_task(self._meddle(body, random.Random(self._rng.random())))  # noqa: S311
        self._people.add(meddling)
        meddling.add_done_callback(self._people.discard)

    async def _meddle(self, body: Object, rng: random.Random) -> None:
        """What people do with one workflow while it runs."""
        name, steps = body["metadata"]["name"], len(body["spec"]["workflowDefinition"]["steps"])
        if body["spec"]["executionStrategy"].get("approvalRequired"):
            await asyncio.sleep(rng.uniform(0.0, 5.0))
            await self._approve(name, "rejected" if rng.random() < 0.2 else "approved")
        if rng.random() < 0.35:
            await asyncio.sleep(rng.uniform(0.0, 6.0))
            act = rng.choices(list(_ACTS), list(_ACTS.values()))[0]
            self.acts[act] += 1
            await self._act(act, body, rng.randint(1, steps), rng)
        if (body["spec"].get("control") or {}).get("paused"):
            await asyncio.sleep(rng.uniform(1.0, 5.0))
            await self._control(name, {"paused": False})

    async def _act(self, act: str, body: Object, step: int, rng: random.Random) -> None:
        name = body["metadata"]["name"]
        if act == "pause":
            await self._control(name, {"paused": True})
            await asyncio.sleep(rng.uniform(1.0, 5.0))
            await self._control(name, {"paused": False})
        elif act == "cancel":
            mode = rng.choice(("stop", "rollback", "terminate"))
            await self._control(name, {"cancel": {"mode": mode, "reason": "enough"}})
        elif act in ("skip", "retry"):
            await self._control(name, {"overrides": [{"stepNumber": step, "operation": act, "reason": "so"}]})
        elif act == "rollback":
            await self._control(name, {"rollback": {"reason": "undo"}})
        elif act == "edit":
            await self._patch(name, {"metadata": {"annotations": {"example.com/note": str(step)}}})
        elif act == "delete_execution":
            await self._delete(EXECUTIONS, f"{name}-step-{step}")
        else:
            await self._delete(WORKFLOWS, name)
            if act == "apply_again":
                await self._apply_again(body)

    async def _apply_again(self, body: Object) -> None:
        """Apply it under the same name as soon as that is free (F17)."""
        while self._truth.has(body["metadata"]["name"]):  # noqa: ASYNC110 - the journal tells nobody
            await asyncio.sleep(_AGAIN_SECONDS)
        made = await self._persist(lambda: self._cluster.create(WORKFLOWS, NAMESPACE, body))
        if made is not None:
            self.applied.add(made["metadata"]["uid"])

    async def _approve(self, name: str, word: str) -> None:
        await self._patch(
            name, {"metadata": {"annotations": {ANNOTATION_APPROVAL: word, ANNOTATION_APPROVER: "admin"}}}
        )

    async def _control(self, name: str, changes: dict[str, Any]) -> None:
        await self._patch(name, {"spec": {"control": changes}})

    async def _patch(self, name: str, body: Object) -> None:
        await self._persist(lambda: self._cluster.patch(WORKFLOWS, NAMESPACE, name, body))

    async def _delete(self, resource: Resource, name: str) -> None:
        found = await self._persist(lambda: self._cluster.get(resource, NAMESPACE, name))
        if found is not None:
            uid = found["metadata"]["uid"]
            await self._persist(lambda: self._cluster.delete(resource, NAMESPACE, name, uid=uid))

    async def _persist(self, call: Any) -> Any:
        """Try until the API answers; None for what it refuses for good."""
        while True:
            try:
                return await call()
            except UnavailableError:
                await asyncio.sleep(_AGAIN_SECONDS)
            except KubernautError:  # refused, gone, or somebody was first: asking again changes nothing
                return None


async def make_namespace(cluster: ClusterClient) -> None:
    """Make the namespace that the workflows are in."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    await cluster.create(Resource("", "v1", "namespaces"), "", body)
