"""The watcher, `python -m watcher [--shard i/n]`: both resources, version by version, from the API onto the log."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from runtime import cluster, service
from runtime.backoff import Backoff
from runtime.errors import UnavailableError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from watcher import metrics
from watcher.api import Api
from watcher.floor import Floor
from watcher.freshness_loop import PATIENCE, Freshness
from watcher.gather import recall
from watcher.owners import Owners
from watcher.pace import LOG_MOST, Pace
from watcher.parts import Intervals, Parts
from watcher.publish import Publisher
from watcher.resync_loop import Resync
from watcher.story import Story
from watcher.view import View
from watcher.watch_loop import Watching

if TYPE_CHECKING:
    import structlog

    from runtime.health import Dependency
    from runtime.ports import Log
    from runtime.service import Service
    from watcher.gather import Recalled
    from watcher.publish import Correlations


def views(namespaces: tuple[str, ...], share: int, shares: int) -> list[View]:
    """Return what is to be watched: both resources, in each namespace, or in all with one watch each."""
    return [
        View(resource=resource, namespace=namespace, share=share, shares=shares)
        for resource in (WORKFLOWS, EXECUTIONS)
        for namespace in (namespaces or (None,))
    ]


async def run(service: Service, *, share: int = 0, shares: int = 1) -> None:
    """Watch until the service is told to stop."""
    settings, health = service.settings, service.health
    watched = views(settings.watch_namespaces, share, shares)
    for view in watched:
        health.dependency(view.name)
        health.dependency(view.freshness).ok("nothing speaks against it")
    log = await service.connect_log()
    client = await cluster.connect(settings, log=service.log)
    api = Api(client)
    correlations: Correlations = {}
    intervals = Intervals(resync=settings.resync_seconds, freshness=settings.freshness_seconds)
    teller = f"{settings.pod_name}/{os.getpid()}"
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    watch(
                        view,
                        api,
                        log,
                        correlations=correlations,
                        dependency=health.dependency(view.name),
                        freshness=health.dependency(view.freshness),
                        intervals=intervals,
                        teller=teller,
                        say=service.log,
                        pace=Pace(),
                    )
                )
                for view in watched
            ]
            await service.stopping.wait()
            for task in tasks:
                task.cancel()
    finally:
        await client.close()


async def watch(
    view: View,
    api: Api,
    log: Log,
    *,
    correlations: Correlations,
    dependency: Dependency,
    freshness: Dependency,
    intervals: Intervals,
    teller: str,
    say: structlog.typing.FilteringBoundLogger,
    pace: Pace,
) -> None:
    """Watch one view until cancelled."""
    recalled = await _recalled(view, log, correlations, dependency, say)
    if view.of_workflows:
        metrics.count_active(view.name, lambda: recalled.known.active)
    floor = Floor(recalled.floor)
    owners = None if view.of_workflows else Owners(api, log, say)
    parts = Parts(
        view=view,
        cluster=api,
        log=log,
        known=recalled.known,
        floor=floor,
        publisher=Publisher(view, log, recalled.known, floor, correlations=correlations, owners=owners, say=say),
        story=Story(log, view, teller, say),
        say=say,
    )
    clock = asyncio.get_running_loop().time
    watching = Watching(parts, proof=recalled.proof, dependency=dependency, pace=pace, clock=clock)
    patience = PATIENCE * intervals.freshness
    resync = Resync(parts, watching, draw=random.random, every=intervals.resync, patience=patience)
    fresh = Freshness(parts, watching, resync, dependency=freshness, draw=random.random, every=intervals.freshness)
    await _side_by_side(parts, watching, resync, fresh)


async def _side_by_side(parts: Parts, watching: Watching, resync: Resync, fresh: Freshness) -> None:
    """Run the loops of a view; when cancelled, put what was read onto the log before ending."""
    name = parts.view.name
    async with asyncio.TaskGroup() as group:
        publishing = group.create_task(parts.publisher.run(), name=f"publish {name}")
        checking = group.create_task(resync.run(), name=f"resync {name}")
        comparing = group.create_task(fresh.run(), name=f"freshness {name}")
        try:
            await watching.run()
        finally:
            checking.cancel()
            comparing.cancel()
            try:
                with suppress(TimeoutError):  # the next start sees the rest again
                    async with asyncio.timeout(service.FINISH_SECONDS):
                        await parts.publisher.settled()
            finally:
                publishing.cancel()


async def _recalled(
    view: View,
    log: Log,
    correlations: Correlations,
    dependency: Dependency,
    say: structlog.typing.FilteringBoundLogger,
) -> Recalled:
    backoff, started = Backoff(most=LOG_MOST), time.monotonic()
    while True:
        try:
            recalled = await recall(log, view, correlations)
        except UnavailableError as error:
            dependency.failed(f"cannot read back what the log holds: {error}")
            await asyncio.sleep(backoff.next())
            continue
        seconds = round(time.monotonic() - started, 3)
        say.info("recalled", view=view.name, objects=len(recalled.known.entries), floor=recalled.floor, seconds=seconds)
        return recalled


def shard(text: str) -> tuple[int, int]:
    """Read `i/n`, as in 0/3. Raises ArgumentTypeError."""
    share, slash, shares = text.partition("/")
    if not slash or not share.isdecimal() or not shares.isdecimal() or int(share) >= int(shares):
        raise argparse.ArgumentTypeError(f"{text!r} is no share of the objects; give i/n with i < n, such as 0/3")
    return int(share), int(shares)


def main() -> None:
    """Start the service."""
    parser = argparse.ArgumentParser(prog="python -m watcher", description=__doc__)
    parser.add_argument("--shard", type=shard, default=(0, 1), help="watch a share of the objects: i/n, such as 0/3")
    share, shares = parser.parse_args(sys.argv[1:]).shard
    service.main("watcher", partial(run, share=share, shares=shares))


if __name__ == "__main__":
    main()
