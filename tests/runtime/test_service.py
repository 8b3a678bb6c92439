"""How a process starts, serves its ports and ends: real processes, real signals, real HTTP."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.runtime.processes import LIMIT_SECONDS, tiny_service

if TYPE_CHECKING:
    from tests.nats_server import NatsServer


async def status(port: int, path: str) -> tuple[int, str]:
    """Ask the health server of a process."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def ready(port: int, expected: int) -> str:
    """Wait until readiness answers with that status and return what it says."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            found, text = await status(port, "/readyz?verbose")
            if found == expected:
                return text
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end the process with exit code 0, and both are told."""
    async with tiny_service("waits") as running:
        await running.line("serving")
        running.process.send_signal(number)

        assert await running.end() == 0
        assert ["stopping", "stopped"] == [line["event"] for line in running.lines[1:]]


async def test_both_ports_answer() -> None:
    """Health and metrics are served on the ports that the first line names."""
    async with tiny_service("waits") as running:
        ports = await running.line("serving")
        await ready(ports["health_port"], 200)

        assert (200, "ok\n") == await status(ports["health_port"], "/livez")
        assert "process_cpu_seconds_total" in (await status(ports["metrics_port"], "/metrics"))[1]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("fails", "ValueError: the reason"), ("ends", "RuntimeError: the work of tiny ended without having been told to")],
    ids=["an error in a task", "work that ends by itself"],
)
async def test_an_unexpected_end_is_told_in_one_line(behaviour: str, reason: str) -> None:
    """Whatever ends unexpectedly ends the process with exit code 1, and one line has the reason and the trace."""
    async with tiny_service(behaviour) as running:
        code = await running.end()

    [line] = [line for line in running.lines if line["level"] == "error"]
    assert (1, reason) == (code, line["error"])
    assert "Traceback" in line["exception"]


async def test_a_port_that_is_taken_is_an_error() -> None:
    """The process ends with exit code 1 when it cannot have its port."""
    async with tiny_service("waits") as first:
        ports = await first.line("serving")
        async with tiny_service("waits", KUBERNAUT_HEALTH_PORT=str(ports["health_port"])) as second:
            code = await second.end()

    assert code == 1
    assert "address already in use" in second.lines[-1]["error"]


async def test_a_setting_that_makes_no_sense_is_told() -> None:
    """Exit code 2, and the line names the variable."""
    async with tiny_service("waits", KUBERNAUT_HEALTH_PORT="x") as running:
        code = await running.end()

    assert code == 2
    assert "KUBERNAUT_HEALTH_PORT" in running.lines[-1]["error"]


async def test_a_second_signal_ends_it_at_once() -> None:
    """A process that hangs after the first signal is ended by the second one."""
    async with tiny_service("hangs") as running:
        await running.line("serving")
        running.process.send_signal(signal.SIGTERM)
        await running.line("hanging")
        running.process.send_signal(signal.SIGTERM)

        assert await running.end() == -signal.SIGTERM


async def test_a_process_that_hangs_at_its_end_ends_hard() -> None:
    """Some time after the signal a process whose loop is blocked ends by itself, with exit code 1."""
    loop = asyncio.get_running_loop()
    async with tiny_service("hangs", KUBERNAUT_STOP_SECONDS="1.5") as running:
        await running.line("serving")
        before = loop.time()
        running.process.send_signal(signal.SIGTERM)
        code = await running.end()

    assert code == 1
    assert loop.time() - before > 1.4


async def test_without_nats_it_lives_unready_and_ends_on_a_signal() -> None:
    """With NATS down at the start the process lives, says what is wrong, and ends in order when it is told to."""
    async with tiny_service("connects") as running:
        ports = await running.line("serving")
        await running.line("nats_unavailable")
        text = await ready(ports["health_port"], 503)
        live, _ = await status(ports["health_port"], "/livez")
        running.process.send_signal(signal.SIGTERM)
        code = await running.end()

    assert "[-]nats failed: cannot connect" in text
    assert (200, 0) == (live, code)


@pytest.mark.real
async def test_it_goes_on_when_nats_comes_up(fresh_nats: NatsServer) -> None:
    """With NATS down at the start and up later, or killed and started again, it is ready without a restart."""
    await fresh_nats.kill()
    async with tiny_service("connects", NATS_URL=fresh_nats.url) as running:
        ports = await running.line("serving")
        await running.line("nats_unavailable")
        await fresh_nats.start()
        await running.line("has_log")
        await ready(ports["health_port"], 200)
        await fresh_nats.kill()
        text = await ready(ports["health_port"], 503)
        await fresh_nats.start()
        await ready(ports["health_port"], 200)
        running.process.send_signal(signal.SIGTERM)

        assert await running.end() == 0
        assert "[-]nats failed: " in text


async def test_lines_of_libraries_are_json_too() -> None:
    """What a library logs has the form of our own lines."""
    async with tiny_service("logs") as running:
        ours = await running.line("serving")
        theirs = await running.line("careful: 3")
        running.process.send_signal(signal.SIGTERM)
        await running.end()

    assert {"time", "level", "service", "event", "pod"} <= ours.keys()
    assert ("warning", "library") == (theirs["level"], theirs["logger"])
