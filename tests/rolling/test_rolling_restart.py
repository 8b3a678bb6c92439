"""Everything is restarted, one process after the other, under load: nothing is lost, nothing is done twice.

Each replica of the four services, the services side by side, as in an upgrade; then NATS, PostgreSQL and the API
server; by their stop signals, each time until all is ready again. Creations are counted in the API server's own audit
log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from kubernaut.local.kubernetes import API_SERVER
from kubernaut.local.stack import StackOptions
from runtime.errors import UnavailableError
from runtime.kinds import EXECUTIONS
from tests.chaos.eyes import Eyes, watched
from tests.chaos.faults import TWICE, names_of
from tests.chaos.words import Words, lag
from tests.e2e.world import until
from tests.rolling.restart import Liveness, Rollout
from tests.rolling.steady import STEPS, Steady

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

LOGGER: Final = logging.getLogger(__name__)
WORKFLOWS: Final = 100
TAKE: Final = "20s"
"""So that a run outlives several restarts, and a hundred of them leave the machine to the restarts."""
BY_SERVICE: Final = tuple(names_of(TWICE)[service] for service in TWICE)
REPLICAS: Final = tuple(name for names in BY_SERVICE for name in names)
ROUNDS: Final = (BY_SERVICE,)
"""Which replicas are restarted one after the other, and which side by side: as deployments roll."""
PARTS: Final = ("nats", "postgres", API_SERVER)
PART_DOWN_SECONDS: Final = 2.0
"""Long enough for every service to notice."""
SERVICE_STOP_SECONDS: Final = 25.0
"""What a service has to put things in order (`runtime.service`)."""
PART_STOP_SECONDS: Final = 30.0
PATIENCE: Final = 300.0


async def test_everything_is_restarted_under_load_and_nobody_notices(tmp_path: Path) -> None:
    """(F53) All runs end with each step created once; all lived meanwhile, ended in time and with code 0."""
    options = StackOptions(name="rolling", home=tmp_path, audit_log=True, replicas=TWICE)
    async with watched(options) as eyes:
        liveness = Liveness(eyes.stack.supervisor, REPLICAS)
        rollout = Rollout(eyes.stack.supervisor, liveness)
        steady = Steady(eyes.cluster, eyes.truth, many=WORKFLOWS, take=TAKE)
        asking, over = asyncio.create_task(liveness.ask_for_ever()), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(steady.keep(over))
            running = await _restart_everything(eyes, rollout)
            over.set()
        await until(lambda: _ended(eyes, steady), "all runs have ended, and all is read", PATIENCE)
        asking.cancel()
        words = Words(eyes.truth)
        await words.read(str(eyes.stack.nats_url))
        rows = await words.audited(str(eyes.stack.database_url))
        created = _created(eyes)

        LOGGER.info("%d runs, %d executions, %d messages", len(steady.names), created.total(), words.messages)
        LOGGER.info("seconds to end: %s", {name: round(took, 1) for name, took in rollout.longest.items()})
        assert [] == liveness.problems + rollout.problems + eyes.truth.problems + words.problems
        assert {"completed": len(steady.names)} == Counter(run.phase for run in eyes.truth.runs.values())
        assert {f"{name}-step-{step}": 1 for name in steady.names for step in range(1, len(STEPS) + 1)} == created
        assert created == eyes.truth.names
        assert rows == words.messages > 0
        assert len(ROUNDS) * (len(REPLICAS) + len(PARTS)) == rollout.restarts
        assert set(REPLICAS) == set(liveness.answers)
        assert min(running) >= WORKFLOWS // 2


async def _restart_everything(eyes: Eyes, rollout: Rollout) -> list[int]:
    """Do it; return how many runs were under way at each restart."""
    await until(lambda: _under_way(eyes), "a step of each is under way", PATIENCE)
    running: list[int] = []

    async def restart(names: Iterable[str], down_seconds: float, within: float) -> None:
        for name in names:
            running.append(len(eyes.truth.running))
            began = time.monotonic()
            await rollout.restart(name, down_seconds=down_seconds, within=within)
            if name in PARTS:
                await _all_are_ready(eyes, name)
            LOGGER.info("%s in %.1f s, under %d runs", name, time.monotonic() - began, running[-1])

    for side_by_side in ROUNDS:
        async with asyncio.TaskGroup() as group:
            for names in side_by_side:
                group.create_task(restart(names, 0.0, SERVICE_STOP_SECONDS))
        await restart(PARTS, PART_DOWN_SECONDS, PART_STOP_SECONDS)
    return running


async def _under_way(eyes: Eyes) -> bool:
    return eyes.truth.executions >= WORKFLOWS


async def _all_are_ready(eyes: Eyes, restarted: str) -> None:
    end = time.monotonic() + PATIENCE
    while reasons := await eyes.not_ready():
        assert time.monotonic() < end, f"not ready {PATIENCE:g} s after {restarted} was: {reasons}"
        await asyncio.sleep(0.2)


async def _ended(eyes: Eyes, steady: Steady) -> bool:
    """Whether all runs have ended and all of it is read."""
    if steady.running:
        return False
    try:
        return not any((await lag(str(eyes.stack.nats_url))).values())
    except UnavailableError:
        return False


def _created(eyes: Eyes) -> Counter[str]:
    """Return how often the API server says that it created each execution: workflow, step and attempt name it."""
    kind = f"create {EXECUTIONS.plural} "
    return Counter(line.split()[2] for line in eyes.writes() if line.startswith(kind) and line.endswith(" 201"))
