"""The scheduler's composition root: settings, connections, tasks. Decides nothing."""

from __future__ import annotations

from typing import NoReturn

from runtime.service import Service, main
from scheduler.announce_loop import Announcer
from scheduler.places_loop import free_places
from scheduler.queue_desk import Desk
from scheduler.schedule_loop import Scheduler
from scheduler.sweep_loop import Sweeper
from scheduler.wake import Waker
from schemas.subjects import ANNOUNCER, SCHEDULER, TIMER_CONSUMER


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
    for each in (scheduler, announcer):
        await each.work.finished()
    for work in works:
        work.cancel()


def start() -> NoReturn:
    """Run the service."""
    main("scheduler", run)


if __name__ == "__main__":
    start()
