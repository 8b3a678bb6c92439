"""The bridge's own writes to one object, where many run at once and the API server is slow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from executor_bridge.api import Api
from executor_bridge.clusters import Clusters
from executor_bridge.context import Context, Limits, Order
from executor_bridge.forbidden import Forbidden
from executor_bridge.gather import Definitions
from executor_bridge.handlers.hold import hold
from executor_bridge.handlers.show_status import Board
from executor_bridge.metrics import CONFLICTS
from runtime.health import Dependency
from runtime.kinds import WORKFLOWS
from runtime.logs import get_logger
from schemas.messages import HoldWorkflow
from schemas.names import FINALIZER
from tests.executor_bridge.builders import UID, WORKFLOW, a_decision, a_state, a_step, a_workflow
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from runtime.ports import Object
    from schemas.messages import Decision

LONG_QUEUE = 10_000


class SlowCluster(FakeCluster):
    """A cluster that takes its time for a patch."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def patch(self, *arguments: Any, **more: Any) -> Object:
        """See `Cluster.patch`."""
        self.asked.set()
        await self.answer.wait()
        return await super().patch(*arguments, **more)


def a_board(cluster: FakeCluster) -> tuple[Context, Board]:
    """The board of a bridge on this cluster."""
    log, api = FakeLog(), Api(cluster, Dependency("kubernetes"))
    context = Context(log, api, Forbidden(Dependency("rights")), get_logger("test"), Limits(), clusters=Clusters(api))
    return context, Board(context, Definitions(log))


def an_order(decision: Decision, until: float) -> Order:
    """The order to carry out its first command."""
    return Order(
        decision=decision,
        index=0,
        cause="d/1",
        sequence=1,
        correlation_id=decision.correlation_id,
        traceparent="",
        until=until,
        looked_at=0.0,
    )


def conflicts() -> float:
    """How many writes of a bridge were refused so far."""
    return sum(CONFLICTS.labels(write)._value.get() for write in ("status", "finalizer"))  # noqa: SLF001


async def test_a_status_waits_for_the_finalizer_of_the_same_object_and_neither_is_refused() -> None:
    """Both expect the version that the bridge knows; at once, the second would be refused and done anew."""
    cluster = SlowCluster()
    cluster.put(WORKFLOWS, a_workflow())
    context, board = a_board(cluster)
    board.note(UID, await cluster.get(WORKFLOWS, WORKFLOW.namespace, WORKFLOW.name))
    until, before = asyncio.get_running_loop().time() + 30.0, conflicts()
    decision = a_decision(3, a_state(a_step(1)))

    holding = asyncio.create_task(hold(context, board, an_order(decision, until), HoldWorkflow()))
    await cluster.asked.wait()
    showing = asyncio.create_task(board.show(decision, until))
    await asyncio.wait({showing}, timeout=0.2)  # long enough for a status that does not wait to be written
    cluster.answer.set()
    await asyncio.gather(holding, showing)

    assert before == conflicts()
    assert [(3, [FINALIZER])] == [
        (found["status"]["sequence"], found["metadata"]["finalizers"]) for found in cluster.of(WORKFLOWS)
    ]


async def test_the_objects_of_a_long_queue_are_all_remembered() -> None:
    """One that was forgotten costs a refused write and a read, just when there is most to do."""
    _, board = a_board(FakeCluster())
    for number in range(LONG_QUEUE):
        board.note(f"u{number}", {"metadata": {"uid": f"u{number}", "resourceVersion": str(number + 1)}})

    assert [number + 1 for number in range(LONG_QUEUE)] == [
        seen.version if (seen := board.seen(f"u{number}")) else 0 for number in range(LONG_QUEUE)
    ]
