from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest
from prometheus_client import Counter

from runtime.logs import get_logger
from runtime.ports import Log
from scheduler import shadow_loop
from scheduler.inputs import Input
from scheduler.plan import Plan
from scheduler.queue_desk import Desk
from scheduler.redecide import redecide
from scheduler.schedule_loop import Scheduler
from scheduler.shadow_loop import Decide, Shadow
from scheduler.wake import Waker
from schemas.cloudevents import Event
from schemas.messages import TYPE_OF, Decision, ShadowDiverged, WorkflowChanged, decode, encode
from schemas.subjects import LOG, SHADOW, SHADOW_STORY, decision, divergence, workflow_change
from tests.contracts.log_worlds import NatsWorld
from tests.eventually import eventually
from tests.fakes.log import FakeLog
from tests.nats_server import NatsServer
from tests.scheduler.builders import UID, a_step, a_workflow

LOGGER = get_logger("test")


def one_at_a_time(plan: Plan, previous: Decision | None, inputs: Sequence[Input]) -> Decision | None:
    """A version with another rule: it never starts two steps at once."""
    return redecide(msgspec.structs.replace(plan, limit=1), previous, inputs)


def breaks(plan: Plan, previous: Decision | None, inputs: Sequence[Input]) -> Decision | None:
    """A version that raises."""
    message = "nobody thought of that"
    raise ZeroDivisionError(message)


def silent(plan: Plan, previous: Decision | None, inputs: Sequence[Input]) -> Decision | None:
    """A version that decides nothing."""
    return None


@asynccontextmanager
async def side_by_side(live: Log, beside: Log, decide_again: Decide = redecide) -> AsyncIterator[None]:
    """A scheduler that acts, and a shadow of it."""
    scheduler = Scheduler(live, Desk(live, LOGGER, 10), Waker(live), LOGGER)
    shadow = Shadow(beside, LOGGER, decide_again=decide_again)
    works = (scheduler.pull(), scheduler.pull_wake_ups(), scheduler.work.run(), shadow.pull(), shadow.work.run())
    tasks = [asyncio.create_task(each) for each in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def apply(log: Log) -> None:
    """The watcher tells of a workflow of three steps that need nothing of one another."""
    body = a_workflow(a_step(1), a_step(2), a_step(3))
    changed = WorkflowChanged(resource_version="5", object=msgspec.Raw(msgspec.json.encode(body)))
    await log.publish(
        Event(
            subject=workflow_change("shop", UID),
            id=f"{UID}/5",
            type=TYPE_OF[WorkflowChanged],
            source="/kubernaut/watcher",
            data=encode(changed),
        )
    )


async def told(log: Log) -> list[ShadowDiverged]:
    """What shadows have told so far."""
    return [decode(each.headers["ce-type"], each.data) async for each in log.scan(LOG.name, SHADOW_STORY)]  # type: ignore[misc]


def count(counter: Counter, label: str) -> float:
    """What a counter shows."""
    value: float = counter.labels(label)._value.get()  # noqa: SLF001 - the library has no other way to read one
    return value


@pytest.fixture
def log() -> FakeLog:
    """A log in memory."""
    return FakeLog()


async def test_the_same_version_diverges_nowhere(log: FakeLog) -> None:
    """It reads each decision, makes it again, and says nothing."""
    before = count(shadow_loop.DECISIONS, "same")

    async with side_by_side(log, FakeLog(log.broker)):
        await apply(log)
        await eventually(lambda: count(shadow_loop.DECISIONS, "same") == before + 1)

    assert [] == await told(log)


async def test_another_rule_is_told_as_message_metric_and_log_and_nothing_is_commanded(log: FakeLog) -> None:
    """The one that acts starts three steps; the shadow would have started one."""
    before = count(shadow_loop.DIVERGENCES, "command")

    async with side_by_side(log, FakeLog(log.broker), one_at_a_time):
        await apply(log)
        await eventually(lambda: log.stored(divergence(UID)))

    [found] = await told(log)
    assert (1, ("command", "rule", "state")) == (found.version, found.kinds)
    assert "- create_execution leak-step-2 [commanded]" in found.differences
    assert before + 1 == count(shadow_loop.DIVERGENCES, "command")
    [made] = log.stored(decision(UID))
    assert made.sequence == found.sequence
    assert b"leak-step-3" in made.data


@pytest.mark.parametrize(
    ("decide_again", "kind", "text"),
    [
        pytest.param(breaks, "error", "deciding raised ZeroDivisionError: nobody thought of that", id="it raises"),
        pytest.param(silent, "decision", "- no decision is made any more", id="it decides nothing"),
    ],
)
async def test_a_version_that_makes_no_decision_is_told(
    log: FakeLog, decide_again: Decide, kind: str, text: str
) -> None:
    """And the shadow goes on."""
    async with side_by_side(log, FakeLog(log.broker), decide_again):
        await apply(log)
        await eventually(lambda: log.stored(divergence(UID)))

    [found] = await told(log)
    assert (kind,) == found.kinds
    assert found.differences[0].startswith(text)


async def test_what_comes_again_is_told_once(log: FakeLog) -> None:
    """An acknowledgement that was lost brings the decision back; the message about it has the same id."""
    async with side_by_side(log, FakeLog(log.broker), one_at_a_time):
        await apply(log)
        await eventually(lambda: log.stored(divergence(UID)))
    [made] = log.stored(decision(UID))
    before = count(shadow_loop.DIVERGENCES, "command")

    for _ in range(2):
        await Shadow(log, LOGGER, decide_again=one_at_a_time)._try(UID, made)  # noqa: SLF001 - without the loop

    assert 1 == len(log.stored(divergence(UID)))
    assert before == count(shadow_loop.DIVERGENCES, "command")


async def test_a_shadow_that_begins_in_the_middle_reads_what_was_before(log: FakeLog) -> None:
    """Memory is for speed only."""
    uid = UID
    async with side_by_side(log, FakeLog(log.broker), one_at_a_time):
        await apply(log)
        await eventually(lambda: log.stored(divergence(uid)))
        body = a_workflow(a_step(1), a_step(2), a_step(3), version=9, control={"paused": True})
        body["metadata"]["generation"] = 2
        changed = WorkflowChanged(resource_version="9", object=msgspec.Raw(msgspec.json.encode(body)))
        await log.publish(
            Event(
                subject=workflow_change("shop", uid),
                id=f"{uid}/9",
                type=TYPE_OF[WorkflowChanged],
                source="/kubernaut/watcher",
                data=encode(changed),
            )
        )
        await eventually(lambda: len(log.stored(decision(uid))) == 2)
    second = log.stored(decision(uid))[1]
    fresh = Shadow(log, LOGGER)
    same = count(shadow_loop.DECISIONS, "same")

    await fresh._try(uid, second)  # noqa: SLF001 - one message, without the loop around it

    assert same + 1 == count(shadow_loop.DECISIONS, "same")


@pytest.mark.real
async def test_beside_a_real_server_a_shadow_tells_and_commands_nothing(fresh_nats: NatsServer) -> None:
    """Every message on the log is the scheduler's or the shadow's story; there is one decision of the run."""
    await fresh_nats.install((SHADOW,))
    async with NatsWorld(fresh_nats) as world:
        live, beside = await world.open(), await world.open()
        async with side_by_side(live, beside, one_at_a_time):
            await apply(live)

            async def is_told() -> bool:
                return await live.last(LOG.name, divergence(UID)) is not None

            deadline = asyncio.get_running_loop().time() + 20
            while not await is_told():
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.05)
        subjects = [each.subject async for each in live.scan(LOG.name, ">")]

    assert [1, 1] == [subjects.count(decision(UID)), subjects.count(divergence(UID))]
    assert {workflow_change("shop", UID), decision("queue"), decision(UID), divergence(UID)} == set(subjects)
