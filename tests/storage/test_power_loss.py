"""The power of the broker's machine is cut: what was acknowledged is there, because each write is synced (F28)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kubernaut.install_streams import install_streams
from kubernaut.local.nats import NatsServer
from kubernaut.local.ports import PortPool
from kubernaut.local.probes import HttpProbe
from kubernaut.local.process import Process, ProcessSpec
from runtime.errors import NotFoundError, UnavailableError
from runtime.nats_publish import Publisher
from runtime.nats_stored import from_api
from schemas.cloudevents import Event
from schemas.subjects import LOG
from tests.nats_server import administrator

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

_POWERCUT = Path(__file__).with_name("powercut.py")
MESSAGES = 300
START_SECONDS = 60.0


class Machine:
    """A nats-server on a machine whose power can be cut."""

    def __init__(self, folder: Path, *, synced: bool) -> None:
        """`synced`: as the product configures the server; else as the server is by default."""
        self._live, self._durable = folder / "live", folder / "durable"
        self._live.mkdir()
        self._ports = PortPool()
        server = NatsServer(folder / "nats", folder, self._ports)
        self.url = server.url
        # Whether the server runs; its whole health check waits for streams that the cut may have taken for ever.
        self._probe = HttpProbe(url=f"{server.monitor_url}/healthz?js-server-only=true")
        self._spec = server.prepare()
        file = Path(self._spec.command[-1])
        config = json.loads(file.read_text())
        assert "always" == config["jetstream"]["sync_interval"]
        if not synced:
            del config["jetstream"]["sync_interval"]
        self._configs = {}
        for name, store in (("traced", self._live), ("plain", self._durable)):
            config["jetstream"]["store_dir"] = str(store)
            self._configs[name] = file.with_name(f"{name}.conf")
            self._configs[name].write_text(json.dumps(config))
        self._process: Process | None = None

    async def start(self) -> None:
        """Start the server on a disk that forgets what was not synced."""
        tracer = (sys.executable, "-I", str(_POWERCUT), str(self._live), str(self._durable))
        await self._run((*tracer, self._spec.command[0], "--config", str(self._configs["traced"])))

    async def cut(self) -> None:
        """Cut the power and start the server again on what the disk holds."""
        assert self._process is not None
        await self._process.stop()
        assert 0 == self._process.exit_code
        await self._run((self._spec.command[0], "--config", str(self._configs["plain"])))

    async def end(self) -> None:
        """End whatever runs."""
        if self._process is not None:
            await self._process.kill()
        self._ports.close()

    async def _run(self, command: tuple[str, ...]) -> None:
        spec = ProcessSpec(name="nats", command=command, log=self._spec.log, probe=self._probe)
        self._process = Process(spec)
        await self._process.start()
        await self._process.wait_ready(START_SECONDS)


async def acknowledged_and_lost(machine: Machine) -> tuple[int, int]:
    """Publish, keep a journal of what was acknowledged, cut the power; return how many that were, and are not there."""
    await machine.start()
    journal: list[tuple[int, str]] = []
    async with administrator(machine.url) as connection:
        await install_streams(connection)

        async def nobody(_stream: str, _subject: str) -> None:
            return None

        publisher = Publisher(connection, nobody)
        for number in range(MESSAGES):
            event = Event(subject="kubernaut.outcome.u1", id=f"e/{number}", type="t", source="/test", data=b"{}")
            published = await publisher.publish(event, None, None)
            journal.append((published.sequence, event.id))
    await machine.cut()
    async with administrator(machine.url) as connection:
        lost = 0
        for sequence, event_id in journal:
            try:
                answer = await connection.api(f"STREAM.MSG.GET.{LOG.name}", {"seq": sequence})
            except (NotFoundError, UnavailableError):  # the stream may be gone as a whole, with an error of its own
                lost += 1
            else:
                lost += from_api(LOG.name, answer).headers["ce-id"] != event_id
    return len(journal), lost


async def test_with_each_write_synced_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    """As the product configures its server (F28)."""
    machine = Machine(tmp_path, synced=True)
    try:
        acknowledged, lost = await acknowledged_and_lost(machine)
    finally:
        await machine.end()

    assert (MESSAGES, 0) == (acknowledged, lost)


async def test_with_the_servers_own_default_acknowledged_messages_are_lost(tmp_path: Path) -> None:
    """So the cut is one: without `sync_interval: always` the same test finds losses (F28)."""
    machine = Machine(tmp_path, synced=False)
    try:
        acknowledged, lost = await acknowledged_and_lost(machine)
    finally:
        await machine.end()

    assert MESSAGES == acknowledged
    assert lost > 0
