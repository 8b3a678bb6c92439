"""A service as small as can be, for tests of how a process starts and ends: `python tiny_service.py BEHAVIOUR`."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from runtime.service import Service, main


async def waits(service: Service) -> None:
    """Do as it is told."""
    service.health.dependency("nothing").ok()
    await service.stopping.wait()


async def logs(service: Service) -> None:
    """Let a library speak."""
    logging.getLogger("library").warning("careful: %d", 3)
    await service.stopping.wait()


async def fails(_service: Service) -> None:
    """End with an error of a task in a group of its own."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_explode())


async def _explode() -> None:
    raise ValueError("the reason")


async def ends(_service: Service) -> None:
    """End without having been told to."""


async def hangs(service: Service) -> None:
    """Block the loop once it is told to stop."""
    service.health.dependency("nothing").ok()
    await service.stopping.wait()
    service.log.info("hanging")
    while True:
        time.sleep(0.1)  # noqa: ASYNC251 - that is the fault


async def connects(service: Service) -> None:
    """Connect to NATS and tell."""
    await service.connect_log()
    service.log.info("has_log")
    await service.stopping.wait()


if __name__ == "__main__":
    main("tiny", {f.__name__: f for f in (waits, logs, fails, ends, hangs, connects)}[sys.argv[1]])
