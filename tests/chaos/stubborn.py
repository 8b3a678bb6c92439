"""A service with one thing wrong with it, on the real frame of services: `python stubborn.py BEHAVIOUR`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time

from runtime.service import Service, main

BLOCKED_SECONDS = 8.0


async def blocks(service: Service) -> None:
    """Be well, then block the loop once, at SIGUSR1; who is ready hears it."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.set)
    service.health.dependency("nothing").ok()
    await told.wait()
    service.log.info("blocking")
    time.sleep(BLOCKED_SECONDS)  # noqa: ASYNC251 - that is the fault
    service.log.info("turning")
    await service.stopping.wait()


async def dies(service: Service) -> None:
    """Be well while a task that nobody waits for dies."""
    service.health.dependency("nothing").ok()
    service.group.create_task(_die(), name="quiet")
    await service.stopping.wait()


async def _die() -> None:
    await asyncio.sleep(0.1)
    raise ValueError("the reason")


async def leaks(service: Service) -> None:
    """Be well, and leave a task behind that lets itself not be cancelled."""
    service.health.dependency("nothing").ok()
    service.group.create_task(_never(), name="leaked")
    await service.stopping.wait()
    service.log.info("leaving")


async def _never() -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def connects(service: Service) -> None:
    """Connect to NATS and tell."""
    await service.connect_log()
    service.log.info("has_log")
    await service.stopping.wait()


if __name__ == "__main__":
    main("stubborn", {f.__name__: f for f in (blocks, dies, leaks, connects)}[sys.argv[1]])
