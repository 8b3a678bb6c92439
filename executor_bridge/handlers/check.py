"""Carry out a check and tell the log what it found: gather (`looks`), judge (`checks`), tell.

A missing right of ours, a strange object or another cluster that is away is a finding and never a failed command. Only
this cluster's or the log's own silence gives the command back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from executor_bridge import metrics
from executor_bridge.checks.verdict import Found, reported
from executor_bridge.context import SOURCE
from executor_bridge.looks.audit import audit
from executor_bridge.looks.reach import network
from executor_bridge.looks.rights import rbac
from executor_bridge.looks.room import capacity
from executor_bridge.looks.survey import Survey
from executor_bridge.looks.things import health, monitor
from executor_bridge.patience import persist
from schemas import subjects
from schemas.cloudevents import Event, traceparent
from schemas.messages import TYPE_OF, CheckReported, encode

if TYPE_CHECKING:
    from executor_bridge.context import Context, Order
    from runtime.ports import Published
    from schemas.messages import CheckType, RunCheck

_LOOKS: Final[dict[CheckType, Callable[[Survey], Awaitable[Found]]]] = {
    "rbac": rbac,
    "capacity": capacity,
    "health": health,
    "network": network,
    "monitor": monitor,
    "audit": audit,
}


async def check(context: Context, order: Order, command: RunCheck) -> None:
    """Look, judge and publish the result; its id is the command's, so that a repeat changes nothing.

    Raises TimeUpError.
    """
    now = asyncio.get_running_loop().time
    began = now()
    found = await _LOOKS[command.type](Survey(context, order, command))
    body = reported(order.decision.workflow, command, order.command_id, found)
    event = _event(order, body)

    async def attempt(_tries: int) -> Published:
        return await context.log.publish(event)

    published = await persist(context.limits, order.until, attempt)
    verdict = "passed" if body.passed else "failed"
    if not published.duplicate:
        metrics.CHECKS.labels(command.type, verdict).inc()
        metrics.CHECK_SECONDS.labels(command.type).observe(now() - began)
    workflow = order.decision.workflow.uid
    context.logger.info(
        "check_told", workflow=workflow, check=command.check, kind=command.type, verdict=verdict, message=body.message
    )


def _event(order: Order, body: CheckReported) -> Event:
    uid = order.decision.workflow.uid
    identity = f"{order.command_id}/checked"
    return Event(
        subject=subjects.outcome(uid),
        id=identity,
        type=TYPE_OF[CheckReported],
        source=SOURCE,
        data=encode(body),
        correlation_id=order.correlation_id,
        causation_id=order.cause,
        traceparent=traceparent(uid, identity),
    )
