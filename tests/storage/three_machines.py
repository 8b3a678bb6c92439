"""Three nats-servers on machines whose disks forget what was not synced, and whose power fails at one moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from tests.nats_cluster.cluster import Cluster
from tests.storage import damage
from tests.storage.bad_disk import Drive


class ThreeMachines(Cluster):
    """The servers, each on such a machine until the power fails, and on what its disk holds afterwards."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._plain = {name: server.spec for name, server in self.servers.items()}
        self._drives = {
            name: Drive(home / name / "jetstream", home / name / "durable", home / name / "temper")
            for name in self.servers
        }
        for name, drive in self._drives.items():
            drive.live.mkdir()
            spec = self._plain[name]
            self.servers[name].spec = replace(spec, command=drive.command(spec.command), environment=drive.environment)

    async def lose_power(self) -> None:
        """Cut the power of all three; what their disks hold is where the servers look for it."""
        await asyncio.gather(*(server.stop() for server in self.servers.values()))
        assert {0} == {server.exit_code for server in self.servers.values()}
        for name, drive in self._drives.items():
            damage.wipe(drive.live)
            drive.durable.rename(drive.live)
            self.servers[name].spec = self._plain[name]
