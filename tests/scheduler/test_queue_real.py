"""The queue of runs on a real nats-server: a crowd through a narrow gate."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing

import pytest

from runtime.errors import UnavailableError
from scheduler.decision_messages import QUEUE_SUBJECT
from schemas import subjects
from schemas.messages import QueueDecided
from schemas.queue_state import WAITING_LIMIT, QueueEntry
from tests.contracts.log_worlds import NatsWorld
from tests.nats_server import NatsServer
from tests.scheduler.queue_world import Auditor, Clerk, queue_of, the_start_of, working

LIMIT_SECONDS = 840.0
pytestmark = [pytest.mark.real, pytest.mark.timeout(LIMIT_SECONDS + 60)]
RUNS = 2000
LIMIT = 20


async def crowd(server: NatsServer) -> tuple[Auditor, list[QueueDecided]]:
    """Let two schedulers take a crowd of runs, which come at once, to their ends; return what the log shows."""
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    uids = [f"5f8f8a52-0000-4000-8000-{number:012}" for number in range(RUNS)]
    runs = {uid: QueueEntry(chance.randrange(4), chance.randrange(1000), uid) for uid in uids}
    auditor = Auditor(runs, LIMIT)
    async with NatsWorld(server) as world:
        log, one, other = [await world.open() for _ in range(3)]
        room = asyncio.Semaphore(64)

        async def start(uid: str) -> None:
            try:
                async with room:
                    await log.publish(the_start_of(uid))
            except UnavailableError:  # more than a slow server takes in time; a watcher tells it again, too
                await start(uid)

        async with working(log, Clerk(one, runs, LIMIT), Clerk(other, runs, LIMIT)), asyncio.timeout(LIMIT_SECONDS):
            await asyncio.gather(*(start(uid) for uid in runs))
            chain = []
            position = 1
            while len(auditor.ended) < RUNS or chain[-1].state.active:
                async with aclosing(log.scan(subjects.LOG.name, subjects.DECISIONS, start=position)) as found:
                    messages = [stored async for stored in found]
                auditor.read(messages)
                chain += queue_of(messages)
                position = messages[-1].sequence + 1 if messages else position
                await asyncio.sleep(0.25)
    return auditor, chain


async def test_two_thousand_runs_go_through_a_gate_for_twenty(fresh_nats: NatsServer) -> None:
    """At every message at most twenty are in, the best of all goes in next, each once; few messages for so many."""
    auditor, chain = await crowd(fresh_nats)

    auditor.over(chain[-1])
    assert RUNS == len(auditor.executed)
    assert LIMIT == max(len(decision.state.active) for decision in chain)
    assert WAITING_LIMIT == max(len(decision.state.waiting) for decision in chain)
    assert len(chain) < 1.5 * RUNS, f"{len(chain)} decisions on {QUEUE_SUBJECT}"
