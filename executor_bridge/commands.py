"""One command of a decision: the verb that it asks for, and what its errors mean. Never raises for the cluster's sake.

A command ends as done, void, refused (told on the log) or given back, to be tried again with its whole decision.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from executor_bridge import decide, metrics
from executor_bridge.context import Context, Order, Refused
from executor_bridge.handlers.check import check
from executor_bridge.handlers.create import create
from executor_bridge.handlers.delete import delete
from executor_bridge.handlers.delete_workflow import delete_workflow
from executor_bridge.handlers.hold import hold
from executor_bridge.handlers.release import release_execution, release_workflow
from executor_bridge.handlers.tell_refusal import kind_of, tell_refusal
from executor_bridge.patience import TimeUpError
from runtime.errors import ForbiddenError, KubernautError, RefusedError
from schemas.messages import (
    CreateExecution,
    Decision,
    DeleteExecution,
    DeleteWorkflow,
    HoldWorkflow,
    ReleaseExecution,
    ReleaseWorkflow,
    RunCheck,
)

if TYPE_CHECKING:
    from executor_bridge.handlers.show_status import Board


async def carry_out(context: Context, board: Board, order: Order, newest: Decision) -> bool:
    """Carry out a command, or tell that it is refused; False when it must be tried again later.

    `newest`: the last decision of the workflow that is known, which says whether the command is still wanted.
    """
    try:
        refused = await _verb(context, board, order, newest)
        if refused is not None:
            await tell_refusal(context, order, refused)
    except TimeUpError as error:
        return _later(context, order, error)
    except ForbiddenError as error:
        return await _forbidden(context, order, error)
    except RefusedError as error:
        return await _refused(context, order, Refused(decide.refusal_reason(error.reason, str(error)), str(error)))
    context.forbidden.settled(order.command_id)
    metrics.COMMANDS.labels(kind_of(order), "refused" if refused else "done").inc()
    return True


async def _forbidden(context: Context, order: Order, error: ForbiddenError) -> bool:
    """Rights may be given back: refuse only after a while."""
    now, limit = asyncio.get_running_loop().time(), context.limits.forbidden
    if context.forbidden.hopeful(order.command_id, _right(order), now, limit, str(error)):
        return _later(context, order, error)
    return await _refused(context, order, Refused("forbidden", str(error)))


def _right(order: Order) -> str:
    """Return one word for what the command needs: the same kind of command needs the same in a namespace."""
    return f"{kind_of(order)} in {order.decision.workflow.namespace}"


async def _refused(context: Context, order: Order, refused: Refused) -> bool:
    try:
        await tell_refusal(context, order, refused)
    except TimeUpError as error:
        return _later(context, order, error)
    context.forbidden.settled(order.command_id)
    metrics.COMMANDS.labels(kind_of(order), "refused").inc()
    return True


def _later(context: Context, order: Order, error: KubernautError) -> bool:
    metrics.COMMANDS.labels(kind_of(order), "given_back").inc()
    context.logger.warning(
        "command_delayed",
        workflow=order.decision.workflow.uid,
        command=order.command_id,
        kind=kind_of(order),
        error=str(error),
    )
    return False


async def _verb(context: Context, board: Board, order: Order, newest: Decision) -> Refused | None:
    command = order.command
    if not decide.is_wanted(command, newest.state):
        await _void(context, board, order, newest)
        return None
    match command:
        case CreateExecution():
            if (refused := await create(context, order, command)) is not None:
                return refused
        case DeleteExecution():
            await delete(context, order, command)
        case ReleaseExecution():
            await release_execution(context, order, command.name, command.uid)
        case HoldWorkflow():
            await hold(context, board, order, command)
        case ReleaseWorkflow():
            await release_workflow(context, board, order)
        case RunCheck():
            await check(context, order, command)
        case DeleteWorkflow():
            await delete_workflow(context, order)
    context.forbidden.granted(_right(order))
    return None


async def _void(context: Context, board: Board, order: Order, newest: Decision) -> None:
    metrics.VOID.labels(kind_of(order)).inc()
    if isinstance(order.command, HoldWorkflow) and not newest.state.held and not newest.state.gone:
        # A process that died between putting the finalizer on and acknowledging may have left it there.
        await release_workflow(context, board, order)
