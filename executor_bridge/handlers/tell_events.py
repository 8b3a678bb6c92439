"""Write the Kubernetes Events of a decision. They are for eyes only: what cannot be written is counted and let go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge.metrics import EVENTS_LOST
from executor_bridge.patience import TimeUpError, persist
from runtime.errors import AlreadyExistsError, KubernautError
from runtime.kinds import EVENTS

if TYPE_CHECKING:
    from executor_bridge.context import Context
    from runtime.ports import Object

TRIES: Final = 3


async def tell_events(context: Context, events: tuple[Object, ...], until: float) -> None:
    """Write them one after the other. Raises nothing of the cluster's."""
    for body in events:
        try:
            await persist(context.limits, until, lambda tries, body=body: _write(context, body, tries))  # type: ignore[misc]
        except AlreadyExistsError:
            continue
        except KubernautError as error:
            EVENTS_LOST.inc()
            context.logger.info("kubernetes_event_lost", workflow=body["involvedObject"]["uid"], error=str(error))


async def _write(context: Context, body: Object, tries: int) -> None:
    if tries >= TRIES:
        raise TimeUpError(f"not written in {TRIES} tries")
    async with context.behind:
        await context.api.create(EVENTS, body["metadata"]["namespace"], body)
