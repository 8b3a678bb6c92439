"""The disk of NATS fails or is slow: what was acknowledged is there, and all that was under way ends (F33)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
import structlog

from kubernaut.install_streams import install_streams
from kubernaut.local.probes import why_not_ready
from kubernaut.local.process import Process, ProcessSpec
from runtime.errors import UnavailableError
from runtime.health import Dependency
from runtime.nats_log import NatsLog
from schemas.cloudevents import Event
from schemas.subjects import LOG, Consumer
from tests.e2e.world import SERVICES, World, a_step, a_workflow, assert_each_step_once, until
from tests.nats_server import administrator
from tests.storage import damage
from tests.storage.bad_disk import SLOW_SECONDS, Drive, Temper
from tests.storage.machine import Machine
from tests.storage.pages import page
from tests.storage.waiting import the_audit_holds_the_log, under_way

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]

SUBJECTS: Final = 20
FOUR: Final = ("watcher", "scheduler", "executor_bridge", "auditor")
READER: Final = Consumer(stream=LOG.name, name="reader", filters=("kubernaut.outcome.>",), ack_wait_seconds=2)
PAGE: Final = "/readyz?verbose"


def an_event(number: int) -> Event:
    """The first of its subject, or the one after it."""
    subject = f"kubernaut.outcome.u{number % SUBJECTS}"
    return Event(subject=subject, id=f"e/{number}", type="t", source="/test", data=b"{}")


async def published(log: NatsLog, number: int, expect: int = 0) -> int:
    """Publish where nobody else has written since `expect`; return where it is, 0 when it is nowhere."""
    try:
        return (await log.publish(an_event(number), expect=expect)).sequence
    except UnavailableError:
        return 0


async def all_that_is_there(log: NatsLog) -> list[int]:
    """Where each message is, by its number."""
    found = {stored.headers["ce-id"]: stored.sequence async for stored in log.scan(LOG.name, "kubernaut.outcome.>")}
    return [found[f"e/{number}"] for number in range(len(found))]


async def delivered(log: NatsLog, seconds: float) -> list[str]:
    """Take and acknowledge what comes in that time."""
    found = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), aclosing(log.consume(READER, in_hand=5)) as deliveries:
            async for delivery in deliveries:
                found.append(delivery.message.headers["ce-id"])
                await delivery.ack()
    return found


@asynccontextmanager
async def a_process(machine: Machine) -> AsyncIterator[NatsLog]:
    """The log as a process sees it that has just started."""
    log = NatsLog(machine.url, "test", Dependency("nats"), structlog.get_logger())
    keep = asyncio.create_task(log.keep())
    await asyncio.wait_for(log.verified(), 60)
    yield log
    await log.close()
    await keep


@asynccontextmanager
async def a_machine(folder: Path) -> AsyncIterator[Machine]:
    """A server on a disk that is good so far, with all streams."""
    machine = Machine(folder)
    try:
        await machine.start()
        async with administrator(machine.url) as connection:
            await install_streams(connection)
        yield machine
    finally:
        await machine.end()


@pytest.mark.parametrize("heals", [False, True], ids=["for good", "for a moment"])
async def test_what_a_failing_disk_did_not_take_is_not_acknowledged(tmp_path: Path, *, heals: bool) -> None:
    """(F33) EIO where a message becomes durable: no publisher takes that for stored. After a restart all is taken."""
    async with a_machine(tmp_path) as machine:
        async with a_process(machine) as log:
            taken = [await published(log, n) for n in range(SUBJECTS)]
            seconds = [(SUBJECTS + n, after) for n, after in enumerate(taken)]
            machine.disk.becomes(Temper.BROKEN)
            refused = [await published(log, *seconds[0])]
            machine.disk.becomes(Temper.GOOD if heals else Temper.BROKEN)
            refused += await asyncio.gather(*(published(log, *each) for each in seconds))
            assert {0} == set(refused)
            assert "input/output error" in (await why_not_ready(machine.whole_health) or "")
        await machine.cut()

        async with a_process(machine) as log:
            assert taken == await all_that_is_there(log)
            taken += [await published(log, *each) for each in seconds]
            assert taken == await all_that_is_there(log)
            assert 2 * SUBJECTS == len(set(taken))


@pytest.mark.parametrize("heals", [False, True], ids=["for good", "for a moment"])
async def test_what_a_failing_disk_did_not_take_is_delivered_to_nobody(tmp_path: Path, *, heals: bool) -> None:
    """(F33) A consumer that has not looked at the end yet is given it by the server; after a restart another is there.

    The stream ends in a message that the consumer does not want, so that the server looks on from there.
    """
    async with a_machine(tmp_path) as machine, a_process(machine) as log:
        await published(log, 0)
        await log.publish(Event(subject="kubernaut.decision.u1", id="u/1", type="t", source="/test", data=b"{}"))
        async with administrator(machine.url) as connection:
            await install_streams(connection, consumers=(READER,))
        machine.disk.becomes(Temper.BROKEN)
        assert 0 == await published(log, 1)
        machine.disk.becomes(Temper.GOOD if heals else Temper.BROKEN)
        assert ["e/0"] == await delivered(log, seconds=3 * READER.ack_wait_seconds)
        await machine.cut()
        assert 3 == await published(log, 2)
        again = await delivered(log, seconds=3 * READER.ack_wait_seconds)
        # That the first was acknowledged the disk may not have taken either.
        assert ["e/2"] == [name for name in again if name != "e/0"]


async def test_a_slow_disk_is_waited_for(tmp_path: Path) -> None:
    """(F33) A message is acknowledged once it is durable, not before."""
    async with a_machine(tmp_path) as machine, administrator(machine.url) as connection:
        machine.disk.becomes(Temper.SLOW)
        begun = time.monotonic()
        await connection.request(an_event(1).subject, b"{}", seconds=30.0)
        assert SLOW_SECONDS <= time.monotonic() - begun


@pytest_asyncio.fixture(loop_scope="session")
async def disk(system: World, tmp_path: Path) -> AsyncIterator[Drive]:
    """The disk of the system's NATS, which is on a good one again afterwards."""
    live = damage.store_below(system.stack.home.data / "nats")
    drive = Drive(live, tmp_path / "durable", tmp_path / "temper")
    spec = system.stack.supervisor["nats"].spec
    await run_nats(system, replace(spec, command=drive.command(spec.command), environment=drive.environment))
    yield drive
    drive.becomes(Temper.GOOD)
    await run_nats(system, spec)


async def run_nats(world: World, spec: ProcessSpec) -> None:
    """Run the server in this way from now on."""
    member = world.stack.supervisor["nats"]
    await world.stack.supervisor.stop("nats")
    member.spec, member.process = spec, Process(spec)
    await world.stack.supervisor.start("nats")
    await world.all_ready()


def lives(world: World) -> dict[str, int | None]:
    """The processes of the services that run now."""
    return {name: world.stack.supervisor[name].process.pid for name in SERVICES}


async def what_is_said(world: World) -> dict[str, str]:
    """What each of the four services says that is not ready."""
    pages = {name: await page(world.stack.supervisor[name].process.spec.ports["health"], PAGE) for name in FOUR}
    return {name: text for name, (status, text) in pages.items() if status != 200}


async def test_a_failing_disk_is_said_and_nothing_is_lost_by_it(system: World, disk: Drive) -> None:
    """(F33) Within 15 s, with the reason. On what the disk holds NATS is started again; each step is executed once."""
    before = lives(system)
    names = await under_way(system, "bad-disk")
    disk.becomes(Temper.BROKEN)

    async def said() -> bool:
        found = await what_is_said(system)
        return set(FOUR) == found.keys() and all("KUBERNAUT" in text for text in found.values())

    await until(said, "no service is ready, and each says why", 15)
    await system.stack.supervisor.stop("nats")
    damage.wipe(disk.live)
    disk.durable.rename(disk.live)
    disk.becomes(Temper.GOOD)
    await system.stack.supervisor.start("nats")
    statuses = await system.all_end(names, 240)

    assert_each_step_once(system, names, statuses)
    assert before == lives(system)
    await system.all_ready()
    await the_audit_holds_the_log(system)


async def test_a_slow_disk_costs_time_and_nothing_else(system: World, disk: Drive) -> None:
    """(F33) Each sync takes 200 ms: the same, later; nobody is started again for it."""
    before = lives(system)
    disk.becomes(Temper.SLOW)
    names = await system.apply(*(a_workflow(f"slow-disk-{n}", [a_step(1), a_step(2, 1)]) for n in range(2)))
    statuses = await system.all_end(names, 240)

    assert_each_step_once(system, names, statuses, steps=2)
    assert before == lives(system)
    assert {} == await what_is_said(system)
    await the_audit_holds_the_log(system)
