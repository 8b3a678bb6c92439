"""Delete an execution whose creation was observed: by its uid, so that no other of its name is hit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor_bridge.handlers.release import release_execution
from executor_bridge.patience import persist
from runtime.errors import ConflictError, NotFoundError
from runtime.kinds import EXECUTIONS

if TYPE_CHECKING:
    from executor_bridge.context import Context, Order
    from schemas.messages import DeleteExecution


async def delete(context: Context, order: Order, command: DeleteExecution) -> None:
    """Delete it and let it go. Raises TimeUpError, ForbiddenError, RefusedError."""
    namespace = order.decision.workflow.namespace

    async def attempt(_tries: int) -> None:
        try:
            await context.api.delete(EXECUTIONS, namespace, command.name, uid=command.uid)
        except (NotFoundError, ConflictError):
            return  # it is gone already, and another may have its name

    await persist(context.limits, order.until, attempt)
    if command.hold:
        await release_execution(context, order, command.name, command.uid)
