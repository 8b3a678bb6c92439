"""What may be wrong with one process or its connection: it says so, or ends; it never stands still in silence."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import pytest
import structlog

from runtime.errors import KubernautError, UnavailableError
from runtime.health import Dependency
from runtime.nats_connection import SILENT_SECONDS
from runtime.nats_log import NatsLog
from runtime.nats_scan import scan
from schemas.cloudevents import Event
from schemas.subjects import LOG
from tests.eventually import eventually
from tests.nats_server import NatsServer, administrator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PROGRAM: Final = Path(__file__).with_name("stubborn.py")
PATIENCE: Final = 120.0
KILLS: Final = 20
STRANGERS: Final = 100
NOBODY: Final = "nats://no-such-host.invalid:4222"


class Running:
    """A process, its lines so far and its health port."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.port = 0

    async def line(self, event: str) -> dict[str, Any]:
        """Read on to the line with that event name."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while text := await self.process.stdout.readline():
                found: dict[str, Any] = json.loads(text)
                if found["event"] == event:
                    return found
        raise AssertionError(f"the process ended without {event}")

    async def ask(self, path: str, seconds: float = 2.0) -> tuple[int, str]:
        """Ask its health port as a kubelet does; 0 when it does not answer."""
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://127.0.0.1:{self.port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except (TimeoutError, aiohttp.ClientError, OSError):
            return 0, ""

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def stubborn(
    behaviour: str, *before: str, nats_url: str = "nats://127.0.0.1:1", **settings: str
) -> AsyncIterator[Running]:
    """Start it, under the command `before`; it is killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *before,
        *(sys.executable, str(PROGRAM), behaviour),
        env={
            **os.environ,
            "PYTHONPATH": str(PROGRAM.parents[2]),
            "NATS_URL": nats_url,
            "KUBERNAUT_BIND": "127.0.0.1",
            "KUBERNAUT_HEALTH_PORT": "0",
            "KUBERNAUT_METRICS_PORT": "0",
            **settings,
        },
        stdout=asyncio.subprocess.PIPE,
    )
    running = Running(process)
    try:
        running.port = (await running.line("serving"))["health_port"]
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until(running: Running, path: str, expected: int) -> str:
    """Ask until the answer has that status."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        status, text = await running.ask(path)
        if status == expected:
            return text
        await asyncio.sleep(0.05)
    raise AssertionError(f"{path} never answered {expected}")


async def test_a_blocked_loop_is_not_alive() -> None:
    """(F51) While it is blocked nobody answers; right after it liveness is false, and the process goes on."""
    async with stubborn("blocks") as running:
        await until(running, "/readyz", 200)
        await until(running, "/livez", 200)
        running.process.send_signal(signal.SIGUSR1)
        await running.line("blocking")
        assert (0, "") == await running.ask("/livez")
        await running.line("turning")

        await until(running, "/livez", 503)
        await until(running, "/readyz", 200)
        assert running.process.returncode is None


async def test_a_task_that_dies_quietly_ends_the_process() -> None:
    """(F51) Nobody waits for it, and all the same the process ends with code 1 and says why."""
    async with stubborn("dies") as running:
        assert "ValueError: the reason" == (await running.line("ended_unexpectedly"))["error"]
        assert 1 == await asyncio.wait_for(running.process.wait(), PATIENCE)


async def test_a_task_that_leaks_keeps_no_process_alive() -> None:
    """(F51) It ends neither by itself nor when it is cancelled; the process ends all the same, with code 1."""
    async with stubborn("leaks", KUBERNAUT_STOP_SECONDS="2") as running:
        await until(running, "/readyz", 200)
        running.process.send_signal(signal.SIGTERM)
        await running.line("leaving")

        assert 1 == await asyncio.wait_for(running.process.wait(), PATIENCE)


@asynccontextmanager
async def strangers_at(port: int) -> AsyncIterator[None]:
    """Connect to a port again and again, say nothing, and let go at the end of the block."""
    there: list[asyncio.StreamWriter] = []

    async def come() -> None:
        while True:
            with suppress(OSError):
                there.append((await asyncio.open_connection("127.0.0.1", port))[1])
            await asyncio.sleep(0 if len(there) < STRANGERS else 0.05)

    coming = asyncio.create_task(come())
    try:
        yield
    finally:
        coming.cancel()
        for each in there:
            each.close()


async def test_a_process_without_file_descriptors_waits_and_goes_on(fresh_nats: NatsServer) -> None:
    """(F59) With 64 of them, all taken by strangers, it says what it lacks, spins not, and is well once they let go.

    It lost its connection to NATS meanwhile, and has none to make another with.
    """
    async with stubborn("connects", "prlimit", "--nofile=64", nats_url=fresh_nats.url) as running:
        await until(running, "/readyz", 200)
        async with strangers_at(running.port):
            await fresh_nats.kill()
            while "Too many open files" not in (await running.line("nats_unavailable"))["reason"]:
                pass
            await fresh_nats.start()
            before, began = running.cpu(), time.monotonic()
            await asyncio.sleep(2.0)  # in which it must not spin
            used = (running.cpu() - before) / (time.monotonic() - began)

        await until(running, "/readyz", 200)
        assert running.process.returncode is None
        assert used < 0.5


async def test_a_name_that_nobody_knows_is_told_and_tried_again(fresh_nats: NatsServer) -> None:
    """(F59) DNS fails: the process lives, says which name, does not spin, and ends in order."""
    async with stubborn("connects", nats_url=NOBODY) as running:
        said = await until(running, "/readyz?verbose", 503)
        end = time.monotonic() + PATIENCE
        while "cannot connect" not in said and time.monotonic() < end:
            said = (await running.ask("/readyz?verbose"))[1]
            await asyncio.sleep(0.2)
        before, began = running.cpu(), time.monotonic()
        await asyncio.sleep(2.0)  # in which it must not spin
        used = (running.cpu() - before) / (time.monotonic() - began)

        assert "[-]nats failed: cannot connect: gaierror: " in said
        assert (200, "ok\n") == await running.ask("/livez")
        assert used < 0.5
        running.process.send_signal(signal.SIGTERM)
        assert 0 == await asyncio.wait_for(running.process.wait(), PATIENCE)
    async with stubborn("connects", nats_url=f"{NOBODY},{fresh_nats.url}") as running:
        await running.line("has_log")


def an_event(number: int) -> Event:
    """An event whose id is made of its number."""
    return Event(subject="kubernaut.outcome.u1", id=f"e/{number}", type="t", source="/test", data=b"{}")


@asynccontextmanager
async def a_log(server: NatsServer, silence: float) -> AsyncIterator[tuple[NatsLog, Dependency]]:
    """The log of one process."""
    health = Dependency("nats")
    log = NatsLog(server.url, "test", health, structlog.get_logger(), silence=silence)
    keep = asyncio.create_task(log.keep())
    async with asyncio.timeout(PATIENCE):
        await log.verified()
    try:
        yield log, health
    finally:
        await log.close()
        await keep


async def test_twenty_kills_of_nats_lose_nothing_that_was_acknowledged(fresh_nats: NatsServer) -> None:
    """(F27) What was acknowledged is in the log, each once, whatever was published when the server died."""
    acknowledged: list[int] = []
    stop = asyncio.Event()

    async def write(log: NatsLog) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                await log.publish(an_event(number))
            except KubernautError:
                continue  # unknown: it may be there or not
            acknowledged.append(number)

    async with a_log(fresh_nats, SILENT_SECONDS) as (log, _):
        writing = asyncio.create_task(write(log))
        for _ in range(KILLS):
            before = len(acknowledged)
            await eventually(lambda before=before: len(acknowledged) > before + 5, seconds=PATIENCE)  # type: ignore[misc]
            await fresh_nats.kill()
            await fresh_nats.start()
        stop.set()
        await writing

    async with administrator(fresh_nats.url) as connection:
        reading = scan(connection, LOG.name, "kubernaut.>", last_per_subject=False, start=1)
        async with aclosing(reading) as messages:
            stored = [int(message.headers["ce-id"][2:]) async for message in messages]
    assert set() == set(acknowledged) - set(stored)
    assert len(stored) == len(set(stored))
    assert len(acknowledged) > 5 * KILLS


@pytest.mark.parametrize(
    ("silence", "frozen"), [(4.0, 2.5), (3.0, 6.0)], ids=["shorter than it may be silent", "longer"]
)
async def test_a_late_answer_of_nats_leaves_no_zombie(fresh_nats: NatsServer, silence: float, frozen: float) -> None:
    """(F29) Requests ran out of time while the server was frozen; its late answers end nothing in silence.

    In a freeze that is longer than a connection may be silent the connection is given up; either way the next
    publish after it succeeds, on a connection that works.
    """
    async with a_log(fresh_nats, silence) as (log, health):
        await log.publish(an_event(1))
        fresh_nats.freeze()
        late = asyncio.create_task(log.publish(an_event(2)))
        await asyncio.sleep(frozen)  # the fault itself
        fresh_nats.thaw()
        (found,) = await asyncio.gather(late, return_exceptions=True)

        assert isinstance(found, UnavailableError) or found.sequence > 0  # type: ignore[union-attr]
        await eventually(lambda: health.well, seconds=PATIENCE)
        await log.publish(an_event(3))
