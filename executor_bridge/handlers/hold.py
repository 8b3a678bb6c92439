"""Put our finalizer on the workflow, so that its end is recorded before it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor_bridge import decide, gather
from executor_bridge.handlers.finalizers import Target, put_on
from executor_bridge.handlers.release import release_workflow
from executor_bridge.patience import persist
from runtime.kinds import WORKFLOWS

if TYPE_CHECKING:
    from executor_bridge.context import Context, Order
    from executor_bridge.handlers.show_status import Board
    from schemas.messages import HoldWorkflow


async def hold(context: Context, board: Board, order: Order, command: HoldWorkflow) -> None:
    """Hold the workflow, which the last decision asks for. Raises TimeUpError, ForbiddenError, RefusedError."""
    workflow = order.decision.workflow
    target = Target(WORKFLOWS, workflow.namespace, workflow.name, workflow.uid)

    async def attempt(tries: int) -> None:
        if tries and not await _wanted(context, order, command):
            return
        async with board.writing(workflow.uid):
            board.note(workflow.uid, await put_on(context, target, None if tries else board.seen(workflow.uid)))

    await persist(context.limits, order.until, attempt)
    if not await persist(context.limits, order.until, lambda _tries: _wanted(context, order, command)):
        # Released meanwhile: a process that was frozen before the write would else hold the object for ever.
        await release_workflow(context, board, order)


async def _wanted(context: Context, order: Order, command: HoldWorkflow) -> bool:
    last = await gather.last_decision(context.log, order.decision.workflow.uid)
    return last is None or decide.is_wanted(command, last.state)
