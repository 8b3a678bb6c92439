"""One run of one service: its composition root on ports in memory, and everything that can go wrong between the two."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Final, Literal

from runtime.errors import UnavailableError
from runtime.health import Health
from runtime.settings import read
from tests.simulation.loop import OWNER, Owner
from tests.simulation.ports import SimCluster, SimLog, SimStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.world import World

Server = Literal["log", "api", "store"]
LATENCY: Final[dict[str, tuple[float, float]]] = {
    "log": (0.0002, 0.003),
    "api": (0.001, 0.02),
    "store": (0.001, 0.01),
}
"""Seconds that a request, and its answer, are on their way."""


class Says:
    """A structlog logger whose lines go into the trace."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def info(self, event: str, **fields: Any) -> None:
        """Say something, whatever its level."""
        fields.pop("seconds", None)  # measured on a real clock, the only thing that no seed repeats
        self._process.world.say(self._process.name, event, fields)

    debug = warning = error = exception = info

    def bind(self, **_: Any) -> Says:
        """Say it all the same."""
        return self


class SimService:
    """What a composition root is handed; as `runtime.service.Service`, without signals, ports and NATS."""

    def __init__(self, process: Process) -> None:
        self.name = process.kind
        self.settings = read(
            {
                "NATS_URL": "nats://simulation",
                "DATABASE_URL": "postgresql://simulation",
                "POD_NAME": process.slot,
                "KUBERNAUT_MAX_ACTIVE_WORKFLOWS": str(process.world.scenario.places),
                "KUBERNAUT_LEARN_SECONDS": "20",
            }
        )
        self.log = Says(process)
        self.health = Health()
        self.stopping = asyncio.Event()
        self.tracer = None
        self.continuity = None
        self.group: asyncio.TaskGroup
        self._process = process

    async def connect_log(self, consumers: Iterable[Any] = ()) -> SimLog:
        """Return the log; the streams are always there."""
        await asyncio.sleep(0)
        for consumer in consumers:
            self._process.world.broker.durable(consumer)
        return self._process.log


class Process(Owner):
    """From its start until it is killed or ends."""

    def __init__(self, world: World, kind: str, slot: str, life: int) -> None:
        """`slot`: which of the replicas; `life`: how often that one was started."""
        super().__init__(f"{slot}.{life}")
        self.world = world
        self.kind = kind
        self.slot = slot
        self.life = life
        """In place of a number of the operating system's, which no seed repeats."""
        self.dead = False
        self.reaped = False
        self.log = SimLog(world.broker, self)
        self.service = SimService(self)
        self.away: dict[Server, float] = {}
        """Until when a server cannot be reached, by the loop's clock."""
        self.slow: dict[Server, tuple[float, float]] = {}
        """Until when calls take so many times longer."""
        self.lost: dict[Server, int] = {}
        """Of how many writes the answers get lost."""
        self.doomed: tuple[Server, int, bool] | None = None
        """It dies at the so manieth call of a server from now on, before or (True) after the effect."""
        self.cuts = 0
        """How often its watches were cut."""
        self.cut_roughly = False
        self.lagging = (0.0, 0.0)
        """Until when its watches lag, and by how much an event."""
        self.repeats = 0
        """Before how many of the next events its watches tell again what they have told."""
        self.swallows = 0
        """How many of the next events its watches leave out without a word."""
        self._draw = random.Random(f"{world.scenario.number}/{self.name}")  # noqa: S311 - no secret

    async def live(self, root: Any) -> None:
        """Run the composition root; an end that nobody asked for is a finding."""
        try:
            async with asyncio.TaskGroup() as group:
                self.service.group = group
                await root(self.service)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is to be told
            self.world.broken("G11", f"{self.name} ended unexpectedly: {_first(error)!r}")
        else:
            if not self.service.stopping.is_set():
                self.world.broken("G11", f"{self.name} ended without having been told to")

    def cluster(self) -> SimCluster:
        """Connect to the API."""
        return SimCluster(self.world.cluster, self)

    def store(self) -> SimStore:
        """Connect to the database."""
        return SimStore(self.world.database, self)

    async def before(self, server: Server) -> None:
        """A request is on its way. Raises UnavailableError when it does not get there."""
        await self._travel(server)
        if self._reachable(server):
            self._maybe_die(server, after=False)
            if self.dead:
                await asyncio.sleep(0)
        if not self._reachable(server):
            await self._travel(server)
            raise UnavailableError(f"{server} cannot be reached")

    async def after(self, server: Server, *, wrote: bool) -> None:
        """The answer is on its way. Raises UnavailableError when it gets lost."""
        self._maybe_die(server, after=True)
        await self._travel(server)
        if (wrote and self.lost.get(server, 0) > 0) or not self._reachable(server):
            self.lost[server] = max(self.lost.get(server, 0) - 1, 0)
            raise UnavailableError(f"no answer of {server}; whether it took effect is unknown")

    async def lag(self) -> None:
        """Wait for the next event of a watch that lags."""
        until, seconds = self.lagging
        if self.now() < until:
            await asyncio.sleep(seconds * self.draw())

    def wall(self) -> float:
        """Seconds since 1970 by the clock of the machine that it runs on, which may be minutes off."""
        return self.world.clock.now() + self.world.skews.get(self.slot, 0.0)

    def now(self) -> float:
        """By the loop's clock."""
        return asyncio.get_running_loop().time()

    def _reachable(self, server: Server) -> bool:
        return self.now() >= self.away.get(server, 0.0)

    async def _travel(self, server: Server) -> None:
        if self.reaped:
            raise asyncio.CancelledError
        low, high = LATENCY[server]
        until, factor = self.slow.get(server, (0.0, 1.0))
        await asyncio.sleep(self._draw.uniform(low, high) * (factor if self.now() < until else 1.0))

    def _maybe_die(self, server: Server, *, after: bool) -> None:
        if self.doomed is None or self.doomed[0] != server:
            return
        _, calls, late = self.doomed
        if late == after:
            self.doomed = (server, calls - 1, late)
            if calls <= 1:
                self.doomed = None
                self.world.kill(self)

    def draw(self) -> float:
        """Draw from [0, 1)."""
        return self._draw.random()


def running() -> Process:
    """Return the process that runs now."""
    owner = OWNER.get()
    assert isinstance(owner, Process)
    return owner


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
