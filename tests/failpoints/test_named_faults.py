"""Faults that have a test of their own: answers lost, work done twice at once, signals in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kubernaut.local.kubernetes import API_SERVER
from kubernaut.local.probes import AliveProbe
from kubernaut.local.process import Process
from runtime.kinds import EXECUTIONS
from tests.e2e.world import NAMESPACE, until
from tests.failpoints.cells import Cell
from tests.failpoints.lane import fired, lanes
from tests.failpoints.oracle import Chains
from tests.failpoints.plays import CANCELLED, EVERYTHING, LIMIT_SECONDS, both_hang
from tests.nats_server import administrator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from kubernaut.local.supervisor import Member
    from tests.failpoints.lane import Matrix

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200), pytest.mark.asyncio(loop_scope="session")]

PARTS = ("nats", "postgres", API_SERVER)
SERVICES = ("watcher", "scheduler", "executor_bridge", "auditor")
LOST = (
    Cell("executor_bridge", "create.kubernetesexecutions", "after=lost", 1),
    Cell("scheduler", "publish.decision", "after=lost(6)", 1),
    Cell("watcher", "publish.change.execution", "after=lost", 1),
    Cell("auditor", "commit.messages", "after=lost", 2),
)
STOP_SECONDS = 10.0
BY_HAND = msgspec.structs.replace(CANCELLED, name="deleted by hand")
"""Of a run that ends as no reference does."""


async def waiting_for_ack(matrix: Matrix) -> int:
    """How many messages the bridge has taken and not acknowledged, by the server."""
    assert matrix.world.stack.nats_url
    async with administrator(matrix.world.stack.nats_url) as connection:
        found: dict[str, Any] = msgspec.json.decode(await connection.api("CONSUMER.INFO.KUBERNAUT.bridge"))
        return int(found["num_ack_pending"])


async def test_an_answer_that_is_lost_is_found_out_and_nothing_is_done_again(matrix: Matrix) -> None:
    """An execution is there and no answer came (F16), a message is stored (F31), a batch is committed (F46)."""
    async with asyncio.TaskGroup() as group:
        for lane in lanes(LOST):
            group.create_task(matrix.lane(lane))

    await matrix.finish()


async def test_an_execution_that_was_deleted_by_hand_is_not_made_again(matrix: Matrix) -> None:
    """Its creation was not acknowledged, but the log knows of it: the command that comes again is void (F18)."""
    losses = ";".join(f"executor_bridge.ack.bridge.after=lost@{hit}" for hit in range(1, 5))
    record = await matrix.arm("executor_bridge", losses)
    [name] = await matrix.apply(CANCELLED, 1)
    await both_hang(matrix.world, name)
    chains = Chains(matrix.world)

    async def lost_and_known() -> bool:
        await chains.read_on()
        steps = chains.of[matrix.uids[name]][-1].state.steps
        return fired(record) and all(step.execution_uid for step in steps)

    async def all_acknowledged() -> bool:
        return await waiting_for_ack(matrix) == 0

    await until(lost_and_known, "an acknowledgement is lost, and the log knows both executions", LIMIT_SECONDS)
    for number in (1, 2):
        found = await matrix.world.cluster.get(EXECUTIONS, NAMESPACE, f"{name}-step-{number}")
        await matrix.world.cluster.delete(EXECUTIONS, NAMESPACE, f"{name}-step-{number}", uid=found["metadata"]["uid"])
    await until(all_acknowledged, "what was not acknowledged came again", LIMIT_SECONDS)

    assert {f"{name}-step-1": 1, f"{name}-step-2": 1} == matrix.world.creations([name])
    matrix.plays[name] = BY_HAND
    await matrix.finish()


@asynccontextmanager
async def one_more(matrix: Matrix, service: str, folder: Path) -> AsyncIterator[None]:
    """Run a second process of a service, on ports that it chooses itself."""
    spec = matrix.world.stack.supervisor[service].spec
    ports = {"KUBERNAUT_HEALTH_PORT": "0", "KUBERNAUT_METRICS_PORT": "0"}
    process = Process(
        replace(
            spec,
            name=f"{service}-2",
            environment={**spec.environment, **ports},
            probe=AliveProbe(),
            log=folder / f"{service}-2.log",
        )
    )
    await process.start()
    try:
        yield
    finally:
        await process.stop()


async def test_who_was_held_up_for_longer_than_his_time_does_nothing_that_another_did(
    matrix: Matrix, tmp_path: Path
) -> None:
    """Frozen right before the effect until the message was given to another, then woken: two work on it (F32)."""
    held = {
        "scheduler": "scheduler.publish.decision.before=pause(14)@1",
        "executor_bridge": "executor_bridge.create.kubernetesexecutions.before=pause(14)@1",
    }
    records = [await matrix.arm(service, order) for service, order in held.items()]
    async with one_more(matrix, "scheduler", tmp_path), one_more(matrix, "executor_bridge", tmp_path):
        await matrix.apply(EVERYTHING, 4)

        async def both_held() -> bool:
            # Whom the server gives a message is its choice: more of them until each was chosen.
            if all(fired(record) for record in records):
                return True
            if await matrix.has_room():
                await matrix.apply(EVERYTHING, 1)
            return False

        await until(both_held, "each is held up at its effect", LIMIT_SECONDS)
        await matrix.finish()


def terminate(member: Member) -> None:
    """Send SIGTERM to a process that runs; one that has just ended is let be."""
    if member.process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(member.process.pid, signal.SIGTERM)


def tell_to_stop(members: list[Member]) -> None:
    """Send SIGTERM to each, and forget how it ended before."""
    for member in members:
        member.end = ""
        terminate(member)


@contextmanager
def servers_hanging(matrix: Matrix) -> Iterator[None]:
    """Freeze every server that the services need until the end of the block."""
    supervisor = matrix.world.stack.supervisor
    for part in PARTS:
        supervisor.pause(part)
    try:
        yield
    finally:
        for part in PARTS:
            supervisor.resume(part)


def stops(member: Member) -> int:
    """How often a service has said that it was told to stop."""
    return member.spec.log.read_text().count('"stopping"')


async def begun(matrix: Matrix, names: list[str]) -> None:
    """Wait until a decision was made on each of these runs."""
    chains = Chains(matrix.world)

    async def decided() -> bool:
        await chains.read_on()
        return all(chains.of.get(matrix.uids[name]) for name in names)

    await until(decided, "the runs have begun", LIMIT_SECONDS)


async def all_ended(members: list[Member]) -> bool:
    """Whether each of these processes has ended since it was told to."""
    return all(member.end for member in members)


async def test_sigterm_in_the_middle_ends_a_service_in_order(matrix: Matrix) -> None:
    """All four at once, within 10 s, with code 0; nothing was acknowledged whose effect did not take place (F53)."""
    names = await matrix.apply(EVERYTHING, 5)
    await begun(matrix, names)
    members = [matrix.world.stack.supervisor[service] for service in SERVICES]
    tell_to_stop(members)

    await until(lambda: all_ended(members), "all four have ended", STOP_SECONDS)
    assert {"ended with code 0"} == {member.end for member in members}
    await matrix.finish()


async def test_a_service_whose_servers_hang_gives_back_what_it_has_in_hand(matrix: Matrix) -> None:
    """It ends within 10 s by itself, with code 0; the runs go on where they were when all is back (F53)."""
    names = await matrix.apply(EVERYTHING, 5)
    await begun(matrix, names)
    members = [matrix.world.stack.supervisor[service] for service in SERVICES]
    with servers_hanging(matrix):
        tell_to_stop(members)
        await until(lambda: all_ended(members), "all four have ended", STOP_SECONDS)

    assert {"ended with code 0"} == {member.end for member in members}
    await matrix.finish()


async def test_a_second_sigterm_ends_a_service_that_waits_for_what_it_has_in_hand(matrix: Matrix) -> None:
    """Every server hangs, so nothing can be finished; the runs go on where they were when all is back (F53)."""
    await matrix.apply(EVERYTHING, 5)
    members = [matrix.world.stack.supervisor[service] for service in SERVICES]
    before = {member.spec.name: stops(member) for member in members}
    with servers_hanging(matrix):
        tell_to_stop(members)

        async def told() -> bool:
            for member in members:
                if not member.end and stops(member) > before[member.spec.name]:
                    terminate(member)
            return await all_ended(members)

        await until(told, "each has ended", LIMIT_SECONDS)

    assert {member.end for member in members} <= {"ended with code 0", "ended with signal SIGTERM"}
    await matrix.finish()
