"""Take our finalizer off what was held: its end is in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor_bridge.handlers.finalizers import Target, take_off, take_off_alone
from executor_bridge.patience import persist
from runtime.kinds import EXECUTIONS, WORKFLOWS

if TYPE_CHECKING:
    from executor_bridge.context import Context, Order
    from executor_bridge.handlers.show_status import Board


async def release_workflow(context: Context, board: Board, order: Order) -> None:
    """Release the workflow. Raises TimeUpError, ForbiddenError, RefusedError."""
    workflow = order.decision.workflow
    target = Target(WORKFLOWS, workflow.namespace, workflow.name, workflow.uid)

    async def attempt(tries: int) -> None:
        async with board.writing(workflow.uid):
            board.note(workflow.uid, await take_off(context, target, None if tries else board.seen(workflow.uid)))

    await persist(context.limits, order.until, attempt)


async def release_execution(context: Context, order: Order, name: str, uid: str) -> None:
    """Release an execution of the workflow. Raises as `release_workflow`."""
    target = Target(EXECUTIONS, order.decision.workflow.namespace, name, uid)

    async def attempt(_tries: int) -> None:
        if not await take_off_alone(context, target):
            await take_off(context, target, None)

    await persist(context.limits, order.until, attempt)
