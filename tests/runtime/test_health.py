"""Health over real HTTP."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from runtime.health import Health, StalledError, watch_loop
from runtime.http_ports import serve_health, serve_metrics
from runtime.metrics import REGISTRY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Ask = tuple[int, str]


@asynccontextmanager
async def asking(health: Health) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a running health server."""
    server = await serve_health(health, "127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session
    await server.close()


async def ask(session: aiohttp.ClientSession, path: str) -> Ask:
    """Return status and text."""
    async with session.get(path) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/health"])
async def test_a_loop_that_turns_is_live_whatever_else_is_away(path: str) -> None:
    """Liveness does not depend on any other program."""
    health = Health()
    health.dependency("nats").failed("away")

    async with asking(health) as session:
        assert (200, "ok\n") == await ask(session, path)


@pytest.mark.parametrize("path", ["/readyz", "/ready"])
async def test_ready_once_all_that_is_needed_is_well(path: str) -> None:
    """Not ready before the first ok of each dependency; ready after; not ready when one fails."""
    health = Health()
    async with asking(health) as session:
        before = await ask(session, path)
        nats, api = health.dependency("nats"), health.dependency("kubernetes")
        nats.ok()
        one = await ask(session, path)
        api.ok("watching")
        both = await ask(session, path)
        nats.failed("no answer")
        after = await ask(session, path)

    assert [503, 503, 200, 503] == [before[0], one[0], both[0], after[0]]
    assert "[-]nats failed: no answer" in after[1]


async def test_verbose_names_each_dependency() -> None:
    """`/readyz?verbose` has a line for each, well or not."""
    health = Health()
    health.dependency("nats").ok()
    health.dependency("postgresql").failed("connection refused")

    async with asking(health) as session:
        answer = await ask(session, "/readyz?verbose")

    assert (503, "[+]nats ok\n[-]postgresql failed: connection refused\nnot ready\n") == answer


async def test_a_process_that_stops_is_not_ready() -> None:
    """From the signal on no new work is to be sent to it."""
    health = Health()
    health.dependency("nats").ok()
    health.stopping = True

    assert not health.ready


async def test_a_stall_shows_for_a_while() -> None:
    """After the loop was blocked, liveness fails for as long as one probe needs to see it, and no longer."""
    health = Health()

    health.woke(6.0, now=100.0)

    assert (False, False, True) == (health.live(100.0), health.live(109.0), health.live(111.0))


class Loop:
    """A loop whose sleeps take as long as they are told, one after the other, and then are cancelled."""

    def __init__(self, *sleeps: float) -> None:
        self.now = 0.0
        self._sleeps = iter(sleeps)

    def time(self) -> float:
        """Return what its clock shows."""
        return self.now

    async def sleep(self, _seconds: float) -> None:
        """Sleep."""
        took = next(self._sleeps, None)
        if took is None:
            raise asyncio.CancelledError
        self.now += took


async def test_a_loop_that_stays_blocked_ends_the_process() -> None:
    """Half a minute of stalls on end raises, for the supervisor to start it again."""
    loop = Loop(1.0, 12.0, 12.0, 12.0)

    with pytest.raises(StalledError):
        await watch_loop(Health(), loop.time, loop.sleep)


@pytest.mark.parametrize(
    "sleeps",
    [(1.0, 300.0, 1.0, 1.0), (12.0, 12.0, 1.0, 12.0, 12.0)],
    ids=["frozen once for five minutes", "slow, and well in between"],
)
async def test_pauses_that_end_do_not_end_the_process(sleeps: tuple[float, ...]) -> None:
    """A process that was frozen and goes on is well again; its liveness comes back."""
    loop = Loop(*sleeps)
    health = Health()

    with pytest.raises(asyncio.CancelledError):
        await watch_loop(health, loop.time, loop.sleep)
    assert health.live(loop.now + 11.0)


async def test_metrics_are_served_in_both_formats() -> None:
    """Prometheus' text format by default, OpenMetrics when it is asked for; process metrics are in it."""
    server = await serve_metrics(REGISTRY, "127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        async with session.get("/metrics") as plain:
            text = await plain.text()
        async with session.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}) as other:
            openmetrics = await other.text()
    await server.close()

    assert "process_resident_memory_bytes" in text
    assert openmetrics.endswith("# EOF\n")
