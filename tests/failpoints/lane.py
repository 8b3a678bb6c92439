"""Runs cells on a running system: a lane for each service, and the runs of one cell end while the next is tried."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from kubernaut.local.services import SERVICES
from kubernaut.local.stack import StackOptions
from runtime.failpoints import IN_TESTS, ORDERS, RECORD
from runtime.kinds import WORKFLOWS
from tests.e2e.system import a_world
from tests.e2e.world import NAMESPACE, World
from tests.e2e.world import until as wait_until
from tests.failpoints.cells import Cell
from tests.failpoints.oracle import Chains, Ending, audit_is_complete, endings
from tests.failpoints.plays import CANCELLED, DELETED, EVERYTHING, LIMIT_SECONDS, PLAYS, Play, refuse_some

ENVIRONMENT = {
    "KUBERNAUT_LEARN_SECONDS": "1",
    "KUBERNAUT_SEAL_SECONDS": "2",
    "KUBERNAUT_WATCH_NAMESPACES": "default,elsewhere",
    "KUBERNAUT_MAX_ACTIVE_WORKFLOWS": "25",
}
"""So that seals and what is learned are told often, more than two watches tell their story, and runs are queued."""
MOST_RUNS: Final = 20
"""Runs that have not ended, when a cell is begun; the next cells of all lanes together bring more than the places.

With many more, on a slow machine, those that hang until they are ended wait in the queue for longer than whoever is to
end them waits, and then have all the places for ever; and of several retries the first is over too early.
"""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a cell."""

    cell: Cell
    fired: bool
    seconds: float
    runs: tuple[str, ...]


@contextlib.asynccontextmanager
async def a_matrix(home: Path, told: Callable[[Result], None] = lambda _: None) -> AsyncIterator[Matrix]:
    """Start a system of one of each service, whose parts live in `home`, and run every play once without faults."""
    environments = {service.name: ENVIRONMENT for service in SERVICES}
    options = StackOptions(name="failpoints", home=home, audit_log=True, environments=environments)
    async with a_world(options) as world:
        records = home / "passings"
        records.mkdir()
        await refuse_some(world)
        matrix = Matrix(world, records, told)
        await matrix.take_references()
        yield matrix


class Matrix:
    """A system, and what was run on it."""

    def __init__(self, world: World, records: Path, told: Callable[[Result], None]) -> None:
        """`told`: is told of each cell that was run; `records`: an empty folder."""
        self.world = world
        self.uids: dict[str, str] = {}
        self.plays: dict[str, Play] = {}
        self.references: dict[Play, Ending] = {}
        self.results: list[Result] = []
        self._records = records
        self._told = told
        self._acting: list[asyncio.Task[None]] = []
        self._begun = 0
        self._chains = Chains(world)
        self._reading = asyncio.Lock()

    async def take_references(self) -> None:
        """Run every play once without faults: that is how all others must end."""
        names = {play: await self.apply(play, 1) for play in PLAYS if play.name != "overdue"}
        await asyncio.gather(*(play.act(self.world, [*found]) for play, found in names.items()))
        found = await endings(self.world, self.uids, LIMIT_SECONDS)
        self.references = {play: found[name] for play, [name] in names.items()}

    async def lane(self, cells: Iterable[Cell], until: float = float("inf")) -> None:
        """Run cells of one service, one after another; none is begun after `until`, by the monotonic clock."""
        for cell in cells:
            if time.monotonic() > until:
                return
            await wait_until(self.has_room, f"fewer than {MOST_RUNS} runs are under way", LIMIT_SECONDS)
            result = await self._run(cell)
            self.results.append(result)
            self._told(result)

    async def has_room(self) -> bool:
        """Whether so few runs are under way that more may be applied."""
        async with self._reading:
            await self._chains.read_on()
        return len(self._chains.running(self.uids)) < MOST_RUNS

    async def _run(self, cell: Cell) -> Result:
        began = time.monotonic()
        runs: list[str] = []
        if cell.play.prepared:
            runs = await self.apply(cell.play, cell.hit)
            await cell.play.first(self.world, runs)
        record = await self.arm(cell.service, cell.order)
        if not cell.play.prepared:
            runs = await self.apply(cell.play, cell.hit)
        if cell.play is EVERYTHING:
            runs += await self.apply((CANCELLED, DELETED)[self._begun % 2], 1)
        acting = {play: [name for name in runs if self.plays[name] is play] for play in {self.plays[n] for n in runs}}
        for play, names in acting.items():
            self._acting.append(asyncio.create_task(play.act(self.world, names)))
        if cell.play.workflow is None:
            await cell.play.act(self.world, [f"cell-{self._begun}-{n}" for n in range(cell.hit)])

        async def has_fired() -> bool:
            return fired(record)

        try:
            await wait_until(has_fired, f"{cell.order} is reached", LIMIT_SECONDS)
        finally:
            await self._disarm(cell)
        return Result(cell=cell, fired=fired(record), seconds=time.monotonic() - began, runs=tuple(runs))

    async def arm(self, service: str, order: str) -> Path:
        """Start a service anew with failpoints; whoever starts it again after that starts it without.

        Return the file of the passings.
        """
        self._begun += 1
        record = self._records / f"{self._begun}-{service}"
        member = self.world.stack.supervisor[service]
        orders = {ORDERS: order, RECORD: str(record), IN_TESTS: "yes"}
        await self.world.stack.supervisor.stop(service)
        environment = dict(member.spec.environment)
        member.process.spec = replace(member.process.spec, environment=environment | orders)
        await self.world.stack.supervisor.start(service)

        async def started() -> bool:
            return member.process.pid is not None or fired(record)

        await wait_until(started, f"{service} is started", LIMIT_SECONDS)
        member.process.spec = replace(member.process.spec, environment=environment)
        return record

    async def _disarm(self, cell: Cell) -> None:
        """Wait until what died is there again; nothing else is done about it."""
        if cell.dies:
            await self.world.stack.supervisor.wait_ready(cell.service, LIMIT_SECONDS)

    async def apply(self, play: Play, count: int) -> list[str]:
        """Apply runs of a play; return their names."""
        if play.workflow is None:
            return []
        names = []
        for _ in range(count):
            name = f"{play.name}-{len(self.uids)}"
            self.plays[name] = play
            self.uids[name] = ""
            made = await self.world.cluster.create(WORKFLOWS, NAMESPACE, play.workflow(name))
            self.uids[name] = made["metadata"]["uid"]
            names.append(name)
        return names

    async def finish(self) -> int:
        """Wait until all is over and hold it against the references; return how many messages the log has."""
        await asyncio.gather(*self._acting)
        found = await endings(self.world, self.uids, LIMIT_SECONDS)
        wrong = {
            name: (self.references[self.plays[name]], ending)
            for name, ending in found.items()
            if self.plays[name] in self.references and self.references[self.plays[name]] != ending
        }
        assert not wrong, wrong
        assert max(self.world.in_flight.most.values()) <= 5
        await self.world.all_ready(LIMIT_SECONDS)
        return await audit_is_complete(self.world, LIMIT_SECONDS)

    def passed(self) -> set[str]:
        """Every site that any armed process has passed."""
        lines = [line for file in self._records.iterdir() for line in file.read_text().splitlines()]
        return {line.split(" ")[0] for line in lines}


def fired(record: Path) -> bool:
    """Whether the failpoint of a cell was reached."""
    return record.exists() and any(not line.endswith(" -") for line in record.read_text().splitlines())


def lanes(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Group cells by service."""
    found: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        found[cell.service].append(cell)
    return list(found.values())
