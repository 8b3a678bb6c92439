"""The bridge's endless loops: decisions in, and looks at the API server when nothing else asks it anything."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from runtime.errors import ForbiddenError, KubernautError, UnavailableError
from runtime.kinds import EXECUTIONS
from runtime.redrive import unwrapped
from schemas.subjects import BRIDGE

if TYPE_CHECKING:
    import structlog

    from executor_bridge.api import Api
    from executor_bridge.apply import Bridge
    from executor_bridge.forbidden import Forbidden
    from executor_bridge.gate import Gate
    from runtime.health import Dependency
    from runtime.ports import Log

IN_HAND: Final = 500
"""Half of what the consumer lets out in all, so that two replicas share the work."""
_PROBED: Final = "kubernaut-readiness"
"""Name of an execution that is not there: a cheap read which needs the rights that the work needs."""


async def pull(log: Log, bridge: Bridge) -> None:
    """Take decisions from the log for ever."""
    async with aclosing(log.consume(BRIDGE, in_hand=IN_HAND)) as deliveries:
        async for came in deliveries:
            delivery = await unwrapped(log, came, BRIDGE)
            if delivery is not None:
                await bridge.take(delivery)


async def probe(api: Api, reachable: Dependency, namespace: str, every: float) -> None:
    """Ask the API server something whenever it was not asked for `every` seconds, so that readiness is honest."""
    now = asyncio.get_running_loop().time
    while True:
        if now() - api.answered_at >= every:
            try:
                await api.get(EXECUTIONS, namespace, _PROBED)
            except ForbiddenError as error:
                reachable.failed(str(error))
            except KubernautError:
                pass  # not found is well; unavailable is told by the api itself
        await asyncio.sleep(every)


async def reopen(
    api: Api, gate: Gate, reachable: Dependency, namespace: str, logger: structlog.typing.FilteringBoundLogger
) -> None:
    """Whenever the gate is shut, ask for all who wait before it, until the API server answers.

    The first time at once, and by a read, before which no webhook stands: one that fails keeps nobody waiting.
    """
    now = asyncio.get_running_loop().time
    while True:
        await gate.shut()
        began, told = now(), False
        while gate.is_shut:
            try:
                await api.trial(EXECUTIONS, namespace, _PROBED)
            except ForbiddenError as error:
                reachable.failed(str(error))
            except UnavailableError as error:
                if not told:
                    logger.warning("api_server_away", error=str(error))
                told = True
                await asyncio.sleep(gate.pause())
            except KubernautError:
                pass  # not found is well
        if told:
            logger.info("api_server_back", seconds=round(now() - began, 1))


async def forget(rights: Forbidden, every: float) -> None:
    """Give up, for ever, waiting for work that was refused here and done elsewhere, so that readiness is honest."""
    while True:
        await asyncio.sleep(every)
        rights.forget(asyncio.get_running_loop().time())
