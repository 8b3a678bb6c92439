"""Statuses of one workflow, shown while other work of the same bridge learns of newer ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from executor_bridge.api import Api
from executor_bridge.clusters import Clusters
from executor_bridge.context import Context, Limits
from executor_bridge.forbidden import Forbidden
from executor_bridge.gather import Definitions
from executor_bridge.handlers.show_status import Board
from runtime.health import Dependency
from runtime.kinds import WORKFLOWS
from runtime.logs import get_logger
from tests.executor_bridge import virtual
from tests.executor_bridge.builders import UID, WORKFLOW, a_decision, a_state, a_step, a_workflow
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from executor_bridge.definition import Definition
    from runtime.ports import Object, Resource
    from schemas.messages import Decision


METADATA = a_workflow()["metadata"]


class SlowDefinitions(Definitions):
    """Definitions on a log that takes its time."""

    def __init__(self, log: FakeLog) -> None:
        super().__init__(log)
        self.asked = asyncio.Event()
        self.answered = asyncio.Event()

    async def of(self, decision: Decision) -> Definition | None:
        """See `Definitions.of`."""
        self.asked.set()
        await self.answered.wait()
        return await super().of(decision)


class Edited(FakeCluster):
    """Somebody writes to the workflow whenever any time has passed since it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_at = -1.0
        self.edits = 0

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Cluster.get`."""
        self.read_at = asyncio.get_running_loop().time()
        return await super().get(resource, namespace, name)

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """See `Cluster.replace_status`."""
        if self.read_at != asyncio.get_running_loop().time():
            self.edits += 1
            self.put(WORKFLOWS, a_workflow() | {"metadata": METADATA | {"labels": {"edit": str(self.edits)}}})
        return await super().replace_status(resource, namespace, name, body)


def test_a_status_is_shown_although_somebody_writes_to_the_object_all_the_time() -> None:
    """(F20) After a conflict it is read and written at once: after a pause the version would be old again."""

    async def play() -> Edited:
        cluster, log = Edited(), FakeLog()
        cluster.put(WORKFLOWS, a_workflow())
        api = Api(cluster, Dependency("kubernetes"))
        rights = Forbidden(Dependency("rights"))
        context = Context(log, api, rights, get_logger("test"), Limits(), clusters=Clusters(api))
        board = Board(context, Definitions(log))
        for version in (3, 4):
            await board.show(a_decision(version, a_state(a_step(1))), asyncio.get_running_loop().time() + 30.0)
            await asyncio.sleep(1)
        return cluster

    cluster = virtual.run(play())

    assert [(4, str(cluster.edits))] == [
        (found["status"]["sequence"], found["metadata"]["labels"]["edit"]) for found in cluster.of(WORKFLOWS)
    ]
    assert cluster.edits >= 1


async def test_a_newer_status_that_is_learnt_of_while_one_is_prepared_is_not_replaced() -> None:
    """The answer to the finalizer gives this bridge the newest resourceVersion, and with it what another has shown."""
    cluster, log = FakeCluster(), FakeLog()
    cluster.put(WORKFLOWS, a_workflow())
    api = Api(cluster, Dependency("kubernetes"))
    rights = Forbidden(Dependency("rights"))
    context = Context(log, api, rights, get_logger("test"), Limits(), clusters=Clusters(api))
    board = Board(context, definitions := SlowDefinitions(log))
    until = asyncio.get_running_loop().time() + 5.0
    showing = asyncio.create_task(board.show(a_decision(3, a_state(a_step(1))), until))
    await definitions.asked.wait()

    cluster.set_status(WORKFLOWS, WORKFLOW.namespace, WORKFLOW.name, phase="executing", sequence=4)
    board.note(UID, await cluster.get(WORKFLOWS, WORKFLOW.namespace, WORKFLOW.name))
    definitions.answered.set()
    await showing

    assert [4] == [found["status"]["sequence"] for found in cluster.of(WORKFLOWS)]
