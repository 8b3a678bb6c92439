"""A system whose services may use so much memory and no more, to be loaded beyond what it can do at once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec

from kubernaut.local.home import Home
from kubernaut.local.ports import PortPool
from kubernaut.local.probes import HttpProbe
from kubernaut.local.services import AUDITOR, EXECUTOR, EXECUTOR_BRIDGE, SCHEDULER, WATCHER, service_specs
from kubernaut.local.stack import StackOptions
from runtime.errors import NotFoundError
from schemas.subjects import EVENT_STREAM, event
from tests.e2e.system import a_world
from tests.e2e.world import NAMESPACE
from tests.identities import not_themselves
from tests.load.memory_limits import MIB, MemoryLimit, limited
from tests.nats_server import administrator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from kubernaut.local.services import Service
    from runtime.nats_connection import Connection
    from tests.e2e.world import World

FOUR: Final = (WATCHER, SCHEDULER, EXECUTOR_BRIDGE, AUDITOR)
NAMES: Final = tuple(service.name for service in FOUR)
_NAME: Final = "load"
MOST: Final = 160 * MIB
"""Limit of each service in the tests, where 300 MiB are for ten times the objects; one that just runs takes 55."""


class Loaded:
    """The system, the eyes on it, and the limit of each service by name."""

    def __init__(self, world: World, nats: Connection) -> None:
        """Begin without services; see `start`. `nats`: of an administrator."""
        self.world = world
        self._nats = nats
        self.limits: dict[str, MemoryLimit] = {}

    async def start(self, most: int, more: Callable[[Service], Mapping[str, str]]) -> None:
        """Start the services, each of the four with at most `most` bytes, and wait until all are ready.

        Each is itself at the API server, NATS and PostgreSQL, with its own rights. The executor takes no time. `more`:
        what is added to the environment of each.
        """
        supervisor, ports = self.world.stack.supervisor, PortPool()
        for service in (*FOUR, EXECUTOR):
            own = self.world.stack.service_environment(service)
            given = own | {"KUBERNAUT_SIMULATOR_SCALE": "0"} | dict(more(service))
            (spec,) = service_specs(service, 1, given, self.world.stack.logs, ports)
            if service in FOUR:
                limit = limited(spec.name, most, lambda name=spec.name: self.pids().get(name))  # type: ignore[misc]
                self.limits[spec.name] = limit
                spec = replace(spec, command=limit.wrap(spec.command))
            await supervisor.add(spec)
        await self.all_ready()
        strangers = await not_themselves(self.world.stack)
        assert not strangers, strangers
        ports.close()

    def pids(self) -> dict[str, int]:
        """The processes of the four services that run now, by name."""
        members = self.world.stack.supervisor.members
        return {m.spec.name: m.process.pid for m in members if m.spec.name in NAMES and m.process.pid is not None}

    def restarts(self) -> int:
        """How often any process of the system was started again."""
        return sum(member.restarts for member in self.world.stack.supervisor.members)

    def kills(self) -> dict[str, int]:
        """How often each service was killed for its memory; those that never were are left out."""
        return {name: limit.kills for name, limit in self.limits.items() if limit.kills}

    def readiness_urls(self) -> list[str]:
        """Where the four services say whether they are ready."""
        probes = [m.spec.probe for m in self.world.stack.supervisor.members if m.spec.name in NAMES]
        return [probe.url for probe in probes if isinstance(probe, HttpProbe)]

    async def all_ready(self, seconds: float = 120.0) -> None:
        """Wait until the services are ready."""
        for name in (*NAMES, EXECUTOR.name):
            await self.world.stack.supervisor.wait_ready(name, seconds)

    async def why_not_ready(self, service: str) -> str:
        """What a service says of each thing that it needs, when it is not ready; empty when it is."""
        probe = self.world.stack.supervisor[service].spec.probe
        assert isinstance(probe, HttpProbe)
        async with aiohttp.ClientSession() as session, session.get(f"{probe.url}?verbose") as answer:
            return "" if answer.ok else await answer.text()

    async def ask(self, subject: str, body: Any = None) -> Any:
        """Ask JetStream's API as an administrator."""
        return msgspec.json.decode(await self._nats.api(subject, body))

    async def has_event(self, workflow_uid: str, what: str) -> bool:
        """Whether a public event of a run itself is there."""
        subject = event(NAMESPACE, workflow_uid, "workflow", what)
        try:
            await self.ask(f"STREAM.MSG.GET.{EVENT_STREAM.name}", {"last_by_subj": subject})
        except NotFoundError:
            return False
        return True

    async def close(self) -> None:
        """Remove the limits; the processes have ended."""
        for limit in self.limits.values():
            limit.close()


def folder_of_nats(home: Path) -> Path:
    """Where a system of that home keeps what NATS stores."""
    return Home(_NAME, home).data / "nats"


@asynccontextmanager
async def a_loaded_world(
    home: Path, *, most: int = 300 * MIB, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Loaded]:
    """Run a system with the services under a limit of memory."""
    async with a_world_without_services(home) as loaded:
        await loaded.start(most, lambda _service: environment or {})
        yield loaded


@asynccontextmanager
async def a_world_without_services(home: Path) -> AsyncIterator[Loaded]:
    """Run the parts; the services are to be started by `Loaded.start`."""
    loaded = None
    try:
        async with (
            a_world(StackOptions(name=_NAME, home=home, services=(), audit_log=True)) as world,
            administrator(world.stack.nats_url or "") as nats,
        ):
            loaded = Loaded(world, nats)
            yield loaded
    finally:
        if loaded is not None:
            await loaded.close()
