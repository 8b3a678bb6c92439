"""The scheduler's composition root: settings, connections, tasks. Decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Final, NoReturn

from runtime.service import FINISH_SECONDS, Service, main
from scheduler.announce_loop import Announcer
from scheduler.places_loop import free_places
from scheduler.queue_desk import Desk
from scheduler.schedule_loop import Scheduler
from scheduler.shadow_loop import Shadow
from scheduler.sweep_loop import Sweeper
from scheduler.wake import Waker
from schemas.subjects import ANNOUNCER, SCHEDULER, SHADOW, TIMER_CONSUMER

_SHADOW: Final = "--shadow"


async def run(service: Service) -> None:
    """Decide and announce until told to stop; then let what is in hand finish."""
    log = await service.connect_log((SCHEDULER, TIMER_CONSUMER, ANNOUNCER))
    desk = Desk(log, service.log, service.settings.max_active_workflows)
    scheduler = Scheduler(log, desk, Waker(log), service.log)
    announcer = Announcer(log, service.log)
    finished: set[str] = set()
    sweeper = Sweeper(log, service.log, on_finished=finished.add)
    pulls = [
        service.group.create_task(each)
        for each in (
            scheduler.pull(),
            scheduler.pull_wake_ups(),
            announcer.pull(),
            sweeper.run(),
            free_places(desk, finished, service.log),
        )
    ]
    works = [service.group.create_task(each.work.run()) for each in (scheduler, announcer)]
    await service.stopping.wait()
    for pull in pulls:
        pull.cancel()
    with contextlib.suppress(TimeoutError):  # what is not finished is not acknowledged: it comes again
        async with asyncio.timeout(FINISH_SECONDS):
            for each in (scheduler, announcer):
                await each.work.finished()
    for work in works:
        work.cancel()


async def run_shadow(service: Service) -> None:
    """Decide beside the scheduler that acts, and tell what would be otherwise, until told to stop."""
    log = await service.connect_log((SHADOW,))
    shadow = Shadow(log, service.log)
    pull = service.group.create_task(shadow.pull())
    work = service.group.create_task(shadow.work.run())
    await service.stopping.wait()
    pull.cancel()
    await shadow.work.finished()
    work.cancel()


def start() -> NoReturn:
    """Run the service; with `--shadow`, one that decides and writes nothing that acts."""
    arguments = sys.argv[1:]
    if arguments == [_SHADOW]:
        main("shadow", run_shadow)
    if arguments:
        sys.exit(f"scheduler takes no argument but {_SHADOW}, not {' '.join(arguments)}")
    main("scheduler", run)


if __name__ == "__main__":
    start()
