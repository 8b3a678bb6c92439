"""The loop that tells what was learned: on the fakes, on PostgreSQL, and on the bucket of a real nats-server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import structlog

from auditor import metrics
from auditor.learn_loop import Learner
from runtime.backoff import Backoff
from runtime.errors import ConflictError, UnavailableError
from schemas import subjects
from schemas.messages import Learned, decode, encode
from schemas.run_state import LearnedAction
from tests.auditor.builders import TIME_MS, UID, a_decision, a_run, a_step, a_workflow_change, an_event
from tests.auditor.running import Running, count, until
from tests.auditor.test_audit_process import an_auditor
from tests.contracts.log_worlds import NatsWorld
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from auditor.learning import ActionFacts
    from auditor.ports import Experience
    from runtime.ports import Log, Stored
    from tests.auditor.accounts import Audit, FakeAudit, RealAudit
    from tests.auditor.fake_store import FakeStore
    from tests.nats_server import NatsServer

ONE = {"restart_pod": LearnedAction(runs=1, success_rate=1.0, p50=1.0, p95=1.0)}
TWO = {"restart_pod": LearnedAction(runs=2, success_rate=0.5, p50=1.0, p95=3.0)}
NEWER = a_run("b", a_step(1, 3.0, "failed", at=TIME_MS + 1))


def a_log() -> FakeLog:
    """Return an empty log."""
    return FakeLog(clock=ManualClock())


def a_learner(
    log: Log, experience: Experience, reported: asyncio.Event | None = None, interval: float = 0.01
) -> Learner:
    """Return a learner that is quick."""
    return Learner(
        log,
        experience,
        reported=reported or asyncio.Event(),
        interval=interval,
        logger=structlog.get_logger(),
        backoff=Backoff(first=0.005, most=0.01),
    )


@asynccontextmanager
async def learning(learner: Learner) -> AsyncIterator[asyncio.Task[None]]:
    """Run the loop; leaving is kill -9."""
    task = asyncio.create_task(learner.learn_loop())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def told(log: FakeLog) -> list[Stored]:
    """Return everything that was ever published to the bucket."""
    return log.stored(stream=subjects.LEARNED_STREAM.name)


def actions(message: Stored) -> dict[str, LearnedAction]:
    """Return what a message tells."""
    body = decode(message.headers["ce-type"], message.data)
    assert isinstance(body, Learned)
    return body.actions


class Watched:
    """An `Experience` that notes when it is looked at, and fails as it is told to."""

    def __init__(self, store: FakeStore, *errors: Exception) -> None:
        self._store = store
        self._errors = list(errors)
        self.looks: list[float] = []

    async def facts(self, actions: Sequence[str], most: int) -> list[ActionFacts]:
        """See `Experience.facts`."""
        self.looks.append(asyncio.get_running_loop().time())
        if self._errors:
            raise self._errors.pop(0)
        return await self._store.facts(actions, most)


async def test_what_the_steps_show_is_told(audit: Audit) -> None:
    """A look at the audit makes the message that the scheduler reads."""
    log, store = a_log(), audit.store()
    await store.write([a_run("a", a_step())])

    await a_learner(log, store).look()

    (message,) = told(log)
    assert ONE == actions(message)
    assert (subjects.LEARNED, "/kubernaut/auditor") == (message.subject, message.headers["ce-source"])


async def test_what_did_not_change_is_not_told_again(audit: Audit) -> None:
    """A second look, by this auditor or by another, tells only what is new."""
    log, store = a_log(), audit.store()
    await store.write([a_run("a", a_step())])

    for _ in range(2):
        await a_learner(log, store).look()
        await a_learner(FakeLog(log.broker), audit.store()).look()
    await store.write([NEWER])
    await a_learner(log, store).look()

    assert [ONE, TWO] == [actions(message) for message in told(log)]


async def test_nothing_is_told_of_nothing(fake_audit: FakeAudit) -> None:
    """An empty audit leaves the bucket empty."""
    log = a_log()

    await a_learner(log, fake_audit.store()).look()

    assert [] == told(log)


async def test_what_another_learned_of_newer_steps_stays(fake_audit: FakeAudit) -> None:
    """An auditor that read the database before another one did does not put the old figures back."""
    log, store = a_log(), fake_audit.store()
    await store.write([a_run("a", a_step())])
    newer = Learned(until=TIME_MS + 1, actions=TWO)
    await log.publish(an_event(newer, subjects.LEARNED, event_id="newer"))

    await a_learner(log, store).look()

    assert [TWO] == [actions(message) for message in told(log)]


async def test_of_two_that_tell_at_one_moment_the_second_is_refused_and_looks_again(fake_audit: FakeAudit) -> None:
    """Between the reading and the telling somebody else told: that is not overwritten unseen."""
    store = fake_audit.store()
    await store.write([a_run("a", a_step())])

    class Late(FakeLog):
        async def last(self, stream: str, subject: str) -> Stored | None:
            found = await super().last(stream, subject)
            if found is None:
                await FakeLog(self.broker).publish(an_event(Learned(until=1, actions=TWO), subject, event_id="first"))
            return found

    log = Late(clock=ManualClock())
    with pytest.raises(ConflictError):
        await a_learner(log, store).look()
    await a_learner(log, store).look()

    assert [TWO, ONE] == [actions(message) for message in told(log)]


async def test_it_looks_once_for_each_batch_of_reports_and_not_without(fake_audit: FakeAudit) -> None:
    """At once at the start, then only after a report was stored, however many, and never sooner than the interval."""
    store, reported = fake_audit.store(), asyncio.Event()
    watched = Watched(store)
    learner = a_learner(a_log(), watched, reported, interval=0.2)

    async with learning(learner):
        await until(lambda: len(watched.looks) == 1)
        for _ in range(10):
            reported.set()
        await until(lambda: len(watched.looks) == 2)
        with pytest.raises(TimeoutError):
            await until(lambda: len(watched.looks) > 2, seconds=0.5)

    assert watched.looks[1] - watched.looks[0] >= 0.2


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(UnavailableError("the database is away"), id="the database is away"),
        pytest.param(ConflictError("another was first"), id="another was first"),
        pytest.param(ZeroDivisionError("a defect"), id="a defect of ours"),
    ],
)
async def test_trouble_passes_and_nothing_is_forgotten(fake_audit: FakeAudit, error: Exception) -> None:
    """After any trouble it looks again by itself, without waiting for the next report."""
    log, store = a_log(), fake_audit.store()
    await store.write([a_run("a", a_step())])
    failures = count(metrics.LEARN_FAILURES)

    async with learning(a_learner(log, Watched(store, error, error))) as task:
        await until(lambda: len(told(log)) == 1)
        assert not task.done()

    assert 2 == count(metrics.LEARN_FAILURES) - failures


async def test_an_answer_that_was_lost_is_found_out(fake_audit: FakeAudit) -> None:
    """When nobody knows whether it was told, the next look sees that it was."""
    log, store = a_log(), fake_audit.store()
    await store.write([a_run("a", a_step())])
    log.lose_answers = 1
    failures = count(metrics.LEARN_FAILURES)
    watched = Watched(store)

    async with learning(a_learner(log, watched)):
        await until(lambda: len(watched.looks) == 2)

    assert 1 == count(metrics.LEARN_FAILURES) - failures
    assert [ONE] == [actions(message) for message in told(log)]


async def test_a_report_that_is_stored_is_learned_from(audit: Audit) -> None:
    """The auditor tells the learner of each report; what is no report does not matter."""
    log, store, reported = a_log(), audit.store(), asyncio.Event()
    async with Running(log, store, reported=reported), learning(a_learner(log, audit.store(), reported)):
        await log.publish(a_workflow_change())
        await until(lambda: len(log.acked) == 1)
        assert [] == told(log)

        await log.publish(a_decision(4))
        await until(lambda: len(told(log)) == 1)

    expected = {
        "notify_only": LearnedAction(runs=1, success_rate=0.0, p50=1.0, p95=1.0),
        "scale_deployment": LearnedAction(runs=2, success_rate=0.5, p50=30.0, p95=30.0),
    }
    assert expected == actions(told(log)[0])


async def test_auditing_goes_on_while_nothing_can_be_learned(fake_audit: FakeAudit) -> None:
    """A learner in trouble holds up no message."""
    log, reported, broken = a_log(), asyncio.Event(), fake_audit.store()
    broken.down = True
    failures = count(metrics.LEARN_FAILURES)

    async with Running(log, fake_audit.store(), reported=reported), learning(a_learner(log, broken, reported)):
        await log.publish(a_decision(4))
        await until(lambda: len(log.acked) == 1 and count(metrics.LEARN_FAILURES) - failures > 3)

    assert [(1, "message")] == await fake_audit.accounted()


@pytest.mark.real
async def test_two_auditors_and_one_bucket(fresh_nats: NatsServer, real_audit: RealAudit) -> None:
    """In a real bucket there is one value, whoever told it, and it is what the database shows in the end."""
    async with NatsWorld(fresh_nats) as world:
        logs = [await world.open(), await world.open()]
        events = [asyncio.Event(), asyncio.Event()]
        learners = [a_learner(log, real_audit.store(), event) for log, event in zip(logs, events, strict=True)]
        writer = real_audit.store()
        await writer.write([a_run("a", a_step())])

        async with learning(learners[0]), learning(learners[1]):
            for number in range(1, 21):
                await writer.write([a_run(f"r-{number}", a_step(1, 3.0, "failed", at=TIME_MS + number))])
                events[number % 2].set()
            await until(lambda: shows(logs[0], runs=21))

        values = [message async for message in logs[1].scan(subjects.LEARNED_STREAM.name, ">")]
        assert 1 == len(values)
        assert {"restart_pod": LearnedAction(runs=21, success_rate=0.0476, p50=3.0, p95=3.0)} == actions(values[0])


async def shows(log: Log, *, runs: int) -> bool:
    """Tell whether the bucket's value is made of so many executions."""
    message = await log.last(subjects.LEARNED_STREAM.name, subjects.LEARNED)
    return message is not None and sum(one.runs for one in actions(message).values()) == runs


@pytest.mark.real
async def test_what_somebody_else_put_into_the_bucket_is_replaced(
    fresh_nats: NatsServer, real_audit: RealAudit
) -> None:
    """A value that is none of ours does not keep what was learned from being told."""
    store = real_audit.store()
    await store.write([a_run("a", a_step())])
    async with NatsWorld(fresh_nats) as world:
        log = await world.open()
        odd = an_event(Learned(until=0, actions={}), subjects.LEARNED, event_id="odd")
        await log.publish(type(odd)(subject=odd.subject, id=odd.id, type=odd.type, source=odd.source, data=b"{"))

        await a_learner(log, store).look()

        message = await log.last(subjects.LEARNED_STREAM.name, subjects.LEARNED)
        assert message is not None
        assert encode(Learned(until=TIME_MS, actions=ONE)) == message.data


@pytest.mark.real
async def test_the_process_tells_what_it_learned(fresh_nats: NatsServer, real_audit: RealAudit) -> None:
    """A run that ends while the auditor runs is in the bucket soon after, with the names of its definition."""
    async with NatsWorld(fresh_nats) as world, an_auditor(fresh_nats, real_audit, KUBERNAUT_LEARN_SECONDS="1"):
        log = await world.open()
        await log.publish(a_workflow_change())
        await log.publish(a_decision(4))
        await until(lambda: shows(log, runs=3), seconds=60)

    assert [(UID, 4, "memory-leak", "completed")] == await real_audit.runs()
