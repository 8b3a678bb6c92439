"""A slow network between the services, NATS and the API server: it takes longer, and nobody makes it worse."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
import pytest
import yaml

from tests.e2e.world import a_step, a_workflow, assert_each_step_once
from tests.load.loaded import NAMES, a_world_without_services
from tests.load.memory_limits import MIB
from tests.load.slow_network import slow_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from kubernaut.local.services import Service
    from tests.load.loaded import Loaded

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]

DELAY: Final = 0.2
RATE: Final = 64 * 1024
THREE_TIMES: Final = 180.0
"""Seconds: three times as long as work may take to end after any other fault."""


async def test_a_slow_network_costs_time_and_no_storm_of_retries(tmp_path_factory: pytest.TempPathFactory) -> None:
    """(F44) 200 ms each way and 64 KiB/s a connection: runs end, each step once, with few publishes sent again."""
    home = tmp_path_factory.mktemp("slow")
    async with a_world_without_services(home) as loaded, far_away(loaded, home) as settings:
        await loaded.start(300 * MIB, settings)
        before = await loaded.world.messages_in_log()
        names = await loaded.world.apply(*(a_workflow(f"slow-{n}", [a_step(1), a_step(2, 1)]) for n in range(3)))
        statuses = await loaded.world.all_end(names, THREE_TIMES)
        await loaded.world.audit_is_complete(300)
        published = await loaded.world.messages_in_log() - before
        again = sum([await retries(loaded, name) for name in NAMES])

        assert_each_step_once(loaded.world, names, statuses, steps=2)
        assert again <= published


@asynccontextmanager
async def far_away(loaded: Loaded, folder: Path) -> AsyncIterator[Callable[[Service], Mapping[str, str]]]:
    """Put a slow network before NATS and the API server; gives the settings of a service behind it."""
    stack = loaded.world.stack
    assert stack.kubeconfig is not None
    (cluster,) = yaml.safe_load(await asyncio.to_thread(stack.kubeconfig.read_text))["clusters"]
    async with (
        slow_network(*address(stack.nats_url), delay=DELAY, rate=RATE) as nats,
        slow_network(*address(cluster["cluster"]["server"]), delay=DELAY, rate=RATE) as api,
    ):

        def settings(service: Service) -> Mapping[str, str]:
            content = yaml.safe_load(Path(stack.service_environment(service)["KUBECONFIG"]).read_text())
            content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{api}"
            kubeconfig = folder / f"{service.name}.kubeconfig"
            kubeconfig.write_text(yaml.safe_dump(content))
            return {"NATS_URL": f"nats://127.0.0.1:{nats}", "KUBECONFIG": str(kubeconfig)}

        yield settings


def address(url: str | None) -> tuple[str, int]:
    """Host and port of a URL."""
    parts = urlsplit(url or "")
    return parts.hostname or "", parts.port or 0


async def retries(loaded: Loaded, service: str) -> int:
    """How many publishes a service has sent again, by its own count."""
    port = loaded.world.stack.supervisor[service].spec.ports["metrics"]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("kubernaut_publish_retries_total"))
