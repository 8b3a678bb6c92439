"""Many replicas of each service on one log (issue 5.5): frozen, woken, taken away and added, nothing twice.

The truth is etcd's journal; at the end of each test the log, the public events and the audit are held against it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Final

import msgspec
import pytest
import pytest_asyncio

from auditor.batches import MOST_MESSAGES
from kubernaut.local.stack import StackOptions
from runtime.kinds import WORKFLOWS
from schemas.subjects import LOG
from tests.chaos.again import ELSEWHERE, decided_otherwise
from tests.chaos.eyes import Eyes, watched
from tests.chaos.hand import Hand
from tests.chaos.words import Words, lag
from tests.e2e.world import a_workflow, ten_steps
from tests.nats_server import administrator
from tests.simulation.workflows import NAMESPACE

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

LOGGER: Final = logging.getLogger(__name__)
SERVICES: Final = ("watcher", "scheduler", "executor_bridge", "auditor")
MOST: Final = 4
USUAL: Final = {"scheduler": 3, "executor_bridge": 3, "watcher": 2, "auditor": 2}
FROZEN_SECONDS: Final = 20.0
RESUMED_SECONDS: Final = 15.0
"""On top of the longest pause that runs make by themselves: their steps take a while, and a machine may be slow."""
PATIENCE: Final = 300.0


class Replicas:
    """A stack whose services run as often as a test says."""

    def __init__(self, eyes: Eyes) -> None:
        self.eyes = eyes
        self.hand = Hand(eyes.stack.supervisor, lambda _: None)
        self.names: set[str] = set()

    async def scale(self, service: str, many: int) -> None:
        """Let so many of a service run."""
        names = [service if n == 1 else f"{service}-{n}" for n in range(1, MOST + 1)]
        await self.eyes.stack.supervisor.stop_all(names[many:])
        for name in names[:many]:
            await self.hand.start(name)
        for name in names[:many]:
            await self.eyes.stack.supervisor.wait_ready(name, PATIENCE)

    async def kill_all_but_one(self) -> None:
        """Kill (-9) every replica but the first of each service, at once and for good."""
        names = [f"{service}-{n}" for service in SERVICES for n in range(2, MOST + 1)]
        await asyncio.gather(*(self.eyes.stack.supervisor.kill(name, stay_down=True) for name in names))

    async def scale_all(self, many: int) -> None:
        """Let so many of every service run."""
        await asyncio.gather(*(self.scale(service, many) for service in SERVICES))

    async def apply(self, prefix: str, many: int, take: str = "1s") -> set[str]:
        """Apply ten-step graphs whose steps take a while; return their names."""
        bodies = [a_workflow(f"{prefix}-{n}", ten_steps(), simulate={"all-steps": f"take:{take}"}) for n in range(many)]
        for body in bodies:
            body["metadata"]["namespace"] = NAMESPACE
        await asyncio.gather(*(self.eyes.cluster.create(WORKFLOWS, NAMESPACE, body) for body in bodies))
        names = {body["metadata"]["name"] for body in bodies}
        self.names |= names
        return names

    def under_way_of(self, names: set[str]) -> list[str]:
        """Uids of those of these runs that have not ended."""
        return [uid for uid, run in self.eyes.truth.runs.items() if run.name in names and not run.ended]

    def usual_pause(self, uids: list[str], moment: float) -> float:
        """Return the longest time until `moment` in which one of these runs made no progress."""
        return max(longest_pause(self.eyes.progress[uid], moment) for uid in uids)

    def stood_still(self, uids: list[str], since: float) -> list[float]:
        """Return for how long each run made no progress after a moment; those that made none are left out."""
        first = [min((at for at in self.eyes.progress[uid] if at > since), default=None) for uid in uids]
        return [at - since for at in first if at is not None]

    def phases(self, names: set[str]) -> list[str]:
        """How these runs are."""
        return [run.phase for run in self.eyes.truth.runs.values() if run.name in names]

    async def end(self, names: set[str], seconds: float = PATIENCE) -> None:
        """Wait until these runs have ended; all of them completed."""
        await until(lambda: self.phases(names) == ["completed"] * len(names), seconds, "all runs have completed")

    async def under_way(self, names: set[str], executions: int) -> None:
        """Wait until so many executions of these runs were created, on average."""
        truth = self.eyes.truth

        def far() -> bool:
            found = sum(count for name, count in truth.names.items() if name.rpartition("-step-")[0] in names)
            return found >= executions * len(names)

        await until(far, PATIENCE, f"{executions} executions each")

    async def only_auditors_are_not_ready(self) -> bool:
        """Whether that is so of all that run, by what each process says."""
        names = {reason.partition(":")[0] for reason in await self.eyes.not_ready()}
        running = {name for name in names if self.eyes.stack.supervisor[name].process.pid is not None}
        return {name.partition("-")[0] for name in running} - {"postgres"} == {"auditor"}

    async def everything_is_told_once(self) -> Words:
        """All is read up; objects, log, events and audit agree; every step of every run was created exactly once."""

        async def read_up() -> bool:
            return not any((await lag(str(self.eyes.stack.nats_url))).values())

        await eventually(read_up, PATIENCE, "everything is read up")
        truth, words = self.eyes.truth, Words(self.eyes.truth)
        await words.read(str(self.eyes.stack.nats_url))
        rows = await words.audited(str(self.eyes.stack.database_url))
        assert [] == truth.problems + words.problems
        assert rows == words.messages > 0
        assert {f"{name}-step-{n}": 1 for name in self.names for n in range(1, 11)} == truth.names
        assert max(truth.most.values()) <= 5
        return words


async def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll a condition; fail with its name when it does not come true in time."""

    async def ask() -> bool:
        return holds()

    await eventually(ask, seconds, what)


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Poll a condition that must be asked for."""
    end = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replicas(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replicas]:
    """Four of each service, and every second one in another environment (F60)."""
    options = StackOptions(
        name="replicas",
        home=tmp_path_factory.mktemp("replicas"),
        audit_log=True,
        replicas=dict.fromkeys(SERVICES, MOST),
        environments={f"{service}-{n}": ELSEWHERE for service in SERVICES for n in (2, 4)},
    )
    async with watched(options) as eyes:
        yield Replicas(eyes)


async def test_one_of_each_frozen_and_woken_does_nothing_twice(replicas: Replicas) -> None:
    """Three schedulers, three bridges, two watchers, two auditors; what the frozen ones held goes on within 15 s."""
    for service, many in USUAL.items():
        await replicas.scale(service, many)
    names = await replicas.apply("frozen", 30, take="2s")
    await replicas.under_way(names, 2)

    for service in SERVICES:
        replicas.eyes.stack.supervisor.pause(service)
    frozen = time.monotonic()
    held = replicas.under_way_of(names)
    usual = replicas.usual_pause(held, frozen)
    await asyncio.sleep(FROZEN_SECONDS)  # the fault itself
    for service in SERVICES:
        replicas.eyes.stack.supervisor.resume(service)
    await replicas.end(names)
    more = await replicas.apply("woken", 10, take="0s")
    await replicas.end(more)

    stood = replicas.stood_still(held, frozen)
    LOGGER.info("the longest pause was %.1f s, before it %.1f s", max(stood), usual)
    assert len(held) == len(stood) >= 20
    assert max(stood) <= RESUMED_SECONDS + usual
    words = await replicas.everything_is_told_once()
    assert words.ended == set(replicas.eyes.truth.runs)
    await the_counters_agree(replicas.eyes, words)


def longest_pause(moments: list[float], end: float) -> float:
    """Return the longest time until `end` in which nothing happened, from the first of the moments on."""
    before = [each for each in moments if each < end]
    return max((later - sooner for sooner, later in pairwise([*before, end])), default=0.0)


async def the_counters_agree(eyes: Eyes, words: Words) -> None:
    """What the services count, over all replicas, is what the log holds (P22): nobody was restarted yet.

    An auditor that is frozen while its commit is on the way never learns that it was done, and does not count it.
    """
    assert len(words.ended) == await eyes.metric("scheduler", "workflowexecution_total")
    counted = await eyes.metric("auditor", "kubernaut_audit_rows_total")
    assert words.messages - MOST_MESSAGES <= counted <= words.messages + await newer(eyes, words)


async def newer(eyes: Eyes, words: Words) -> int:
    """Return how many messages came to the log since it was read: the services speak when nobody asks, too."""
    async with administrator(str(eyes.stack.nats_url)) as connection:
        told = msgspec.json.decode(await connection.api(f"STREAM.INFO.{LOG.name}"))
    return int(told["state"]["last_seq"]) - words.messages


async def test_replicas_come_and_go_while_runs_go_on(replicas: Replicas) -> None:
    """None, four, one and three of each service (F54): all runs end, each step once.

    Three of four are killed, and whatever they held goes on with the one that stays, within 15 s.
    """
    await replicas.scale_all(0)
    names = await replicas.apply("ebb", 20)
    await replicas.scale_all(MOST)
    await replicas.under_way(names, 2)

    killed = time.monotonic()
    held = replicas.under_way_of(names)
    usual = replicas.usual_pause(held, killed)
    await replicas.kill_all_but_one()
    await until(lambda: len(replicas.stood_still(held, killed)) == len(held), PATIENCE, "the one that stayed goes on")
    await replicas.scale_all(3)
    await replicas.end(names)

    stood = replicas.stood_still(held, killed)
    LOGGER.info("taken over within %.1f s, the longest pause before it was %.1f s", max(stood), usual)
    assert len(held) >= 10
    assert max(stood) <= RESUMED_SECONDS + usual
    await replicas.everything_is_told_once()


async def test_a_frozen_database_keeps_nobody_waiting(replicas: Replicas) -> None:
    """PostgreSQL stands still (F45): runs start and end meanwhile, and the audit has all of it once it goes on.

    Only the auditors are not ready, and no service ends for it.
    """
    supervisor = replicas.eyes.stack.supervisor
    before = {name: supervisor[name].process.pid for name in replicas.eyes.services}
    supervisor.pause("postgres")
    try:
        names = await replicas.apply("unaudited", 10, take="0s")
        await replicas.end(names)
        await eventually(replicas.only_auditors_are_not_ready, PATIENCE, "only the auditors are not ready")
    finally:
        supervisor.resume("postgres")

    assert before == {name: supervisor[name].process.pid for name in replicas.eyes.services}
    await replicas.everything_is_told_once()


async def test_another_process_elsewhere_decides_the_same(replicas: Replicas) -> None:
    """Every decision so far, of replicas with different hash seeds, time zones and languages, made again (F60)."""
    assert "" == await decided_otherwise(replicas.eyes.stack.environment)
