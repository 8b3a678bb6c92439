"""Delete a finished workflow, by its uid: its time to live is over, and the audit holds everything of it.

Must never be done for a run that the last decision does not know as ended and audited: `decide.is_wanted` comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor_bridge.patience import persist
from runtime.errors import ConflictError, NotFoundError
from runtime.kinds import WORKFLOWS

if TYPE_CHECKING:
    from executor_bridge.context import Context, Order


async def delete_workflow(context: Context, order: Order) -> None:
    """Delete it; what it owns goes after it. Raises TimeUpError, ForbiddenError, RefusedError."""
    workflow = order.decision.workflow

    async def attempt(_tries: int) -> None:
        try:
            async with context.behind:
                await context.api.delete(WORKFLOWS, workflow.namespace, workflow.name, uid=workflow.uid)
        except (NotFoundError, ConflictError):
            return  # it is gone already, and another may have its name

    await persist(context.limits, order.until, attempt)
