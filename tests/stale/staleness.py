"""The whole system, its watcher and bridge each behind a gate of their own, and a second API server to move them to.

Each service is itself everywhere, with its own rights; at the end neither API server may have refused it any.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import msgspec
import structlog

from kubernaut.local.ports import LOOPBACK, PortPool
from kubernaut.local.services import EXECUTOR_BRIDGE, WATCHER, service_specs
from kubernaut.local.stack import StackOptions
from runtime.health import Dependency
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.nats_log import NatsLog
from schemas.messages import WatchTold, decode
from schemas.subjects import LOG, WATCH_STORY
from tests.e2e.system import a_world
from tests.e2e.world import World, until
from tests.identities import not_themselves
from tests.refusals import refusals
from tests.stale.gate import Gate, Server, a_gate
from tests.stale.pipe import Pipe, a_pipe
from tests.stale.second_server import SecondServer, etcd_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kubernaut.local.services import Service

FRESHNESS_SECONDS = 1
RESYNC_SECONDS = 3
PATIENCE = 120.0
"""Seconds for anything that takes a few on a quiet machine."""
Version = tuple[int, bool]
"""Of an object in the log, and whether it is its tombstone."""


class Staleness:
    """What the tests turn and read."""

    def __init__(self, world: World, log: NatsLog, first: Server, second: SecondServer, to_store: Pipe) -> None:
        self.world = world
        self.log = log
        self.first = first
        self.second = second
        self.to_store = to_store
        """The second server's way to etcd."""
        self.gates: dict[str, Gate] = {}

    @property
    def watching(self) -> Gate:
        """What the watcher goes through."""
        return self.gates[WATCHER.name]

    @property
    def writing(self) -> Gate:
        """What the bridge goes through."""
        return self.gates[EXECUTOR_BRIDGE.name]

    async def restart(self, name: str) -> None:
        """Stop a service behind a gate and start it again, without waiting for it to be ready."""
        await self.world.stack.supervisor.stop(name)
        await self.world.stack.supervisor.start(name)

    async def healed(self) -> None:
        """Nothing is wrong any more, and the watcher begins anew: its back-off remembers the fault before."""
        self.to_store.thaw()
        for gate in self.gates.values():
            gate.heal()
            gate.server = self.first
        await self.restart(WATCHER.name)
        await self.world.all_ready(PATIENCE)

    async def metric(self, service: str, name: str, **labels: str) -> float:
        """Sum of a metric of a service over all labels that are not given."""
        port = self.world.stack.supervisor[service].spec.ports["metrics"]
        async with aiohttp.ClientSession() as session, session.get(f"http://{LOOPBACK}:{port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        found = [
            line for line in lines if line.startswith((f"{name}{{", f"{name} ")) and all(w in line for w in wanted)
        ]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    async def readiness(self, service: str) -> tuple[bool, str]:
        """Whether a service is ready, and what it says of that: nothing while it starts."""
        port = self.world.stack.supervisor[service].spec.ports["health"]
        url = f"http://{LOOPBACK}:{port}/readyz?verbose"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.ok, await answer.text()
        except aiohttp.ClientConnectionError:
            return False, ""

    async def is_unready(self, service: str, why: str) -> None:
        """Wait until a service is not ready and says so."""

        async def unready() -> bool:
            ready, told = await self.readiness(service)
            return not ready and why in told

        await until(unready, f"{service} is not ready because of: {why}", PATIENCE)

    async def is_ready(self, service: str) -> None:
        """Wait until a service is ready again."""

        async def ready() -> bool:
            return (await self.readiness(service))[0]

        await until(ready, f"{service} is ready", PATIENCE)

    async def in_the_log(self) -> dict[str, list[Version]]:
        """Versions of each object in the log, in order."""
        found: dict[str, list[Version]] = defaultdict(list)
        async for message in self.log.scan(LOG.name, "kubernaut.change.>"):
            version = (int(message.headers["ce-version"]), "ce-deleted" in message.headers)
            found[message.headers["ce-uid"]].append(version)
        return found

    async def stories(self) -> list[WatchTold]:
        """What the watcher told of itself so far."""
        found = []
        async for message in self.log.scan(LOG.name, WATCH_STORY):
            body = decode(message.headers["ce-type"], message.data)
            assert isinstance(body, WatchTold)
            found.append(body)
        return found

    async def log_is_true(self) -> dict[str, list[Version]]:
        """Wait until the log's last state of every object is the API server's (G1); return it. Versions rise (G2)."""
        seen: dict[str, list[Version]] = {}

        async def true() -> bool:
            nonlocal seen
            seen = await self.in_the_log()
            last = {uid: versions[-1][0] for uid, versions in seen.items() if not versions[-1][1]}
            return last == await self._stored()

        await until(true, "the log says what the API server says", PATIENCE)
        for uid, versions in seen.items():
            numbers = [number for number, _gone in versions]
            assert numbers == sorted(set(numbers)), uid
            assert not any(gone for _number, gone in versions[:-1]), uid
        return seen

    async def _stored(self) -> dict[str, int]:
        found = {}
        for resource in (WORKFLOWS, EXECUTIONS):
            page = await self.world.cluster.list(resource, None, limit=0)
            for raw in page.items:
                meta = msgspec.json.decode(raw)["metadata"]
                found[meta["uid"]] = int(meta["resourceVersion"])
        return found


async def _behind_a_gate(
    stale: Staleness, service: Service, folder: Path, ports: PortPool, **settings: str
) -> AsyncIterator[None]:
    async with a_gate(stale.first) as gate:
        stale.gates[service.name] = gate
        stack = stale.world.stack
        own = stack.service_environment(service)
        through = gate.kubeconfig(Path(own["KUBECONFIG"]), folder / service.name)
        environment = {**own, "KUBECONFIG": str(through), **settings}
        for spec in service_specs(service, 1, environment, stack.logs, ports):
            await stack.supervisor.add(spec)
        yield
        await stack.supervisor.stop(service.name)


@asynccontextmanager
async def a_stale_world(home: Path) -> AsyncIterator[Staleness]:
    """Start all of it; end all of it."""
    options = StackOptions(
        name="stale", home=home, audit_log=True, without=frozenset({WATCHER.name, EXECUTOR_BRIDGE.name})
    )
    ports = PortPool()
    async with AsyncExitStack() as stack:
        stack.callback(ports.close)
        world = await stack.enter_async_context(a_world(options))
        assert world.stack.nats_url
        assert world.stack.kubeconfig
        log = NatsLog(world.stack.nats_url, "test", Dependency("nats"), structlog.get_logger())
        keep = asyncio.create_task(log.keep())
        stack.push_async_callback(asyncio.wait, {keep})
        stack.push_async_callback(log.close)
        await log.verified()
        to_store = await stack.enter_async_context(a_pipe(etcd_port(world.stack)))
        second = SecondServer(world.stack, ports, to_store.port)
        stale = Staleness(world, log, Server.of(world.stack.kubeconfig), second, to_store)
        behind = asynccontextmanager(_behind_a_gate)
        checks = {
            "KUBERNAUT_FRESHNESS_SECONDS": str(FRESHNESS_SECONDS),
            "KUBERNAUT_RESYNC_SECONDS": str(RESYNC_SECONDS),
        }
        await stack.enter_async_context(behind(stale, WATCHER, home, ports, **checks))
        await stack.enter_async_context(behind(stale, EXECUTOR_BRIDGE, home, ports))
        await world.all_ready(PATIENCE)
        assert [] == await not_themselves(world.stack)
        yield stale
        if second.audit_log.exists():  # only some tests need it
            assert [] == await asyncio.to_thread(refusals, second.audit_log)
