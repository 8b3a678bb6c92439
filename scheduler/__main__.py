"""The scheduler's composition root: settings, connections, tasks. Decides nothing."""

from __future__ import annotations

from typing import NoReturn

from runtime.service import Service, main
from scheduler.announce_loop import Announcer
from scheduler.schedule_loop import Scheduler
from schemas.subjects import ANNOUNCER, SCHEDULER


async def run(service: Service) -> None:
    """Decide and announce until told to stop; then let what is in hand finish."""
    log = await service.connect_log((SCHEDULER, ANNOUNCER))
    scheduler = Scheduler(log, service.log)
    announcer = Announcer(log, service.log)
    pulls = [service.group.create_task(each.pull()) for each in (scheduler, announcer)]
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
