"""Three nats-servers that keep three copies of everything, each to be killed, frozen and started by itself.

They hear each other through pipes only, which may be stopped.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from kubernaut.local.nats import MAX_PAYLOAD_BYTES, find_nats_server
from kubernaut.local.ports import LOOPBACK, PortPool
from kubernaut.local.probes import HttpProbe
from kubernaut.local.process import Process, ProcessSpec
from runtime.errors import UnavailableError
from tests.nats_server import administrator
from tests.stale.pipe import Pipe, a_pipe

NAMES: Final = ("one", "two", "three")


class Ports(NamedTuple):
    """Of one server."""

    client: int
    monitor: int
    route: int
    pipe: int
    """Where the others reach its route."""


class Cluster:
    """The servers, by their names."""

    def __init__(self, home: Path) -> None:
        self._ports = PortPool()
        self._at = {name: Ports(*(self._ports.take() for _ in Ports._fields)) for name in NAMES}
        self._pipes: list[Pipe] = []
        self._ends = AsyncExitStack()
        self.urls = [f"nats://{LOOPBACK}:{ports.client}" for ports in self._at.values()]
        self.servers = {name: Process(_spec(home / name, name, self._at)) for name in NAMES}

    @property
    def url(self) -> str:
        """Addresses of all, separated by commas."""
        return ",".join(self.urls)

    async def __aenter__(self) -> Self:
        """Start them together; they are ready once they have found each other."""
        for ports in self._at.values():
            self._pipes.append(await self._ends.enter_async_context(a_pipe(ports.route, ports.pipe)))
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them all."""
        for server in self.servers.values():
            await server.kill()
        await self._ends.aclose()
        self._ports.close()

    async def start(self) -> None:
        """Start all three; return once they are ready."""
        await asyncio.gather(*(server.start() for server in self.servers.values()))
        await asyncio.gather(*(server.wait_ready(120) for server in self.servers.values()))

    def part(self) -> None:
        """Let none hear another: their connections stay, and nothing comes over them."""
        for pipe in self._pipes:
            pipe.freeze()

    def join(self) -> None:
        """Let them hear each other again, what was on its way first."""
        for pipe in self._pipes:
            pipe.thaw()

    async def leader(self, stream: str) -> str:
        """Return the name of the server that leads a stream."""
        found = (await self.stream(stream))["cluster"]["leader"]
        assert found in NAMES, f"{stream} has no leader"
        return str(found)

    async def stream(self, name: str) -> dict[str, Any]:
        """What the servers tell of a stream."""
        async with administrator(self.url) as connection:
            return dict(json.loads(await connection.api(f"STREAM.INFO.{name}")))

    async def acknowledges(self, name: str, subject: str) -> bool:
        """Whether one of the servers, asked by itself, says that a message is stored."""
        async with administrator(self.urls[NAMES.index(name)]) as connection:
            try:
                reply = await connection.request(subject, b"{}", seconds=5.0)
            except UnavailableError:
                return False
        return "seq" in json.loads(reply.data)


def _spec(folder: Path, name: str, at: dict[str, Ports]) -> ProcessSpec:
    folder.mkdir(parents=True)
    mine = at[name]
    configuration = {
        "server_name": name,
        "listen": f"{LOOPBACK}:{mine.client}",
        "http": f"{LOOPBACK}:{mine.monitor}",
        "max_payload": MAX_PAYLOAD_BYTES,
        "jetstream": {"store_dir": str(folder / "jetstream"), "sync_interval": "always"},
        "cluster": {
            "name": "three",
            "listen": f"{LOOPBACK}:{mine.route}",
            "advertise": f"{LOOPBACK}:{mine.pipe}",
            "routes": [f"nats://{LOOPBACK}:{ports.pipe}" for ports in at.values()],
        },
    }
    file = folder / "nats-server.conf"
    file.write_text(json.dumps(configuration))
    return ProcessSpec(
        name=name,
        command=(str(find_nats_server()), "--config", str(file)),
        log=folder / "nats-server.log",
        ports={"client": mine.client, "monitor": mine.monitor},
        probe=HttpProbe(url=f"http://{LOOPBACK}:{mine.monitor}/healthz"),
    )
