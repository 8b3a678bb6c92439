"""Three nats-servers that keep three copies of everything, each to be killed, frozen and started by itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from kubernaut.local.nats import MAX_PAYLOAD_BYTES, find_nats_server
from kubernaut.local.ports import LOOPBACK, PortPool
from kubernaut.local.probes import HttpProbe
from kubernaut.local.process import Process, ProcessSpec
from runtime.errors import UnavailableError
from tests.nats_server import administrator

NAMES: Final = ("one", "two", "three")


class Cluster:
    """The servers, by their names."""

    def __init__(self, home: Path) -> None:
        self._ports = PortPool()
        clients, routes = ({name: self._ports.take() for name in NAMES} for _ in range(2))
        self.urls = [f"nats://{LOOPBACK}:{port}" for port in clients.values()]
        self.servers = {
            name: Process(_spec(home / name, name, clients[name], routes, self._ports.take())) for name in NAMES
        }

    @property
    def url(self) -> str:
        """Addresses of all, separated by commas."""
        return ",".join(self.urls)

    async def __aenter__(self) -> Self:
        """Start them together; they are ready once they have found each other."""
        await asyncio.gather(*(server.start() for server in self.servers.values()))
        await asyncio.gather(*(server.wait_ready(120) for server in self.servers.values()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them all."""
        for server in self.servers.values():
            await server.kill()
        self._ports.close()

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


def _spec(folder: Path, name: str, port: int, routes: dict[str, int], monitor: int) -> ProcessSpec:
    folder.mkdir(parents=True)
    configuration = {
        "server_name": name,
        "listen": f"{LOOPBACK}:{port}",
        "http": f"{LOOPBACK}:{monitor}",
        "max_payload": MAX_PAYLOAD_BYTES,
        "jetstream": {"store_dir": str(folder / "jetstream"), "sync_interval": "always"},
        "cluster": {
            "name": "three",
            "listen": f"{LOOPBACK}:{routes[name]}",
            "routes": [f"nats://{LOOPBACK}:{each}" for each in routes.values()],
        },
    }
    file = folder / "nats-server.conf"
    file.write_text(json.dumps(configuration))
    return ProcessSpec(
        name=name,
        command=(str(find_nats_server()), "--config", str(file)),
        log=folder / "nats-server.log",
        ports={"client": port, "monitor": monitor},
        probe=HttpProbe(url=f"http://{LOOPBACK}:{monitor}/healthz"),
    )
