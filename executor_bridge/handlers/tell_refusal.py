"""Tell the log that the cluster will never accept a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from executor_bridge import metrics
from executor_bridge.context import SOURCE, Context, Order, Refused
from executor_bridge.patience import persist
from schemas import subjects
from schemas.cloudevents import Event, traceparent
from schemas.messages import TYPE_OF, CommandRefused, CreateExecution, DeleteExecution, encode
from schemas.redaction import redact

if TYPE_CHECKING:
    from runtime.ports import Published

_MESSAGE_LIMIT: Final = 2000


async def tell_refusal(context: Context, order: Order, refused: Refused) -> None:
    """Publish the outcome; its id is the command's, so that a repeat changes nothing. Raises TimeUpError."""
    event = outcome_of(order, refused)

    async def attempt(_tries: int) -> Published:
        return await context.log.publish(event)

    published = await persist(context.limits, order.until, attempt)
    if not published.duplicate:
        metrics.REFUSALS.labels(kind_of(order), refused.reason).inc()
    context.logger.warning(
        "command_refused",
        workflow=order.decision.workflow.uid,
        command=order.command_id,
        kind=kind_of(order),
        reason=refused.reason,
        message=redact(refused.message),
    )


def outcome_of(order: Order, refused: Refused) -> Event:
    """Return the message that says it."""
    command, workflow = order.command, order.decision.workflow
    about: dict[str, Any] = {}
    if isinstance(command, CreateExecution):
        about = {"step": command.step, "attempt": command.attempt, "purpose": command.purpose}
    elif isinstance(command, DeleteExecution):
        about = {"step": command.step, "purpose": command.purpose, "uid": command.uid}
    elif hasattr(command, "step"):
        about = {"step": command.step}
    body = CommandRefused(
        workflow=workflow,
        command_id=order.command_id,
        command=kind_of(order),
        reason=refused.reason,
        message=redact(refused.message)[:_MESSAGE_LIMIT],
        **about,
    )
    identity = f"{order.command_id}/refused"
    return Event(
        subject=subjects.outcome(workflow.uid),
        id=identity,
        type=TYPE_OF[CommandRefused],
        source=SOURCE,
        data=encode(body),
        correlation_id=order.correlation_id,
        causation_id=order.cause,
        traceparent=traceparent(workflow.uid, identity),
    )


def kind_of(order: Order) -> str:
    """Return the name of the command, such as `create_execution`."""
    return str(order.command.__struct_config__.tag)
