"""A nats-server on a machine whose disk forgets what was not synced, and may be bad."""

from __future__ import annotations

import json
from pathlib import Path

from kubernaut.local.nats import NatsServer
from kubernaut.local.ports import PortPool
from kubernaut.local.probes import HttpProbe
from kubernaut.local.process import Process, ProcessSpec
from tests.storage.bad_disk import Drive

START_SECONDS = 60.0


class Machine:
    """A nats-server on a machine whose power can be cut."""

    def __init__(self, folder: Path, *, synced: bool = True) -> None:
        """`synced`: as the product configures the server; else as the server is by default."""
        self.disk = Drive(folder / "live", folder / "durable", folder / "temper")
        self.disk.live.mkdir()
        self._ports = PortPool()
        server = NatsServer(folder / "nats", folder, self._ports)
        self.url = server.url
        self.log = folder / "nats.log"
        self.whole_health = HttpProbe(url=f"{server.monitor_url}/healthz")
        # Whether the server runs; its whole health check waits for streams that the cut may have taken for ever.
        self._probe = HttpProbe(url=f"{server.monitor_url}/healthz?js-server-only=true")
        self._spec = server.prepare()
        file = Path(self._spec.command[-1])
        config = json.loads(file.read_text())
        assert "always" == config["jetstream"]["sync_interval"]
        if not synced:
            del config["jetstream"]["sync_interval"]
        self._configs = {}
        for store in (self.disk.live, self.disk.durable):
            config["jetstream"]["store_dir"] = str(store)
            self._configs[store] = file.with_name(f"{store.name}.conf")
            self._configs[store].write_text(json.dumps(config))
        self._process: Process | None = None

    async def start(self) -> None:
        """Start the server on that disk."""
        await self._run(self.disk.command(self._server_on(self.disk.live)))

    async def cut(self) -> None:
        """Cut the power and start the server again on what the disk holds, which is a good one now."""
        assert self._process is not None
        await self._process.stop()
        assert 0 == self._process.exit_code
        await self._run(self._server_on(self.disk.durable))

    async def end(self) -> None:
        """End whatever runs."""
        if self._process is not None:
            await self._process.kill()
        self._ports.close()

    def _server_on(self, store: Path) -> tuple[str, ...]:
        return (self._spec.command[0], "--config", str(self._configs[store]))

    async def _run(self, command: tuple[str, ...]) -> None:
        spec = ProcessSpec(
            name="nats", command=command, log=self._spec.log, probe=self._probe, environment=self.disk.environment
        )
        self._process = Process(spec)
        await self._process.start()
        await self._process.wait_ready(START_SECONDS)
