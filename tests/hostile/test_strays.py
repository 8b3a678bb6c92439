"""Messages of somebody else between ours on the log: no chain breaks, no loop ends, nobody waits (G3, G8, G11)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from runtime import chain
from runtime.kinds import WORKFLOWS
from runtime.ports import Stored
from scheduler.announce_loop import Announcer
from scheduler.decision_messages import QUEUE_SUBJECT
from schemas import subjects
from schemas.cloudevents import MESSAGE_ID
from schemas.messages import (
    TYPE_OF,
    CreateExecution,
    DeadLettered,
    Decision,
    ExecutionChanged,
    QueueDecided,
    TimerDue,
    encode,
)
from tests.eventually import eventually
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog
from tests.scheduler.builders import UID, a_step, a_workflow
from tests.scheduler.test_loops import (
    LOGGER,
    a_scheduler,
    execution_event,
    running,
    told,
    workflow_event,
)
from tests.watcher.builders import a_workflow as an_object
from tests.watcher.harness import Watcher

LOG = subjects.LOG.name
ENVELOPE = {"ce-id": "forged", "ce-source": "/nobody", "ce-specversion": "1.0"}
DECISION = TYPE_OF[Decision]
TWO_STEPS = a_workflow(a_step(1), a_step(2, after=(1,)))


def a_copy(log: FakeLog, version: int) -> tuple[dict[str, str], bytes]:
    """Headers and body of the decision of that version, as somebody republishes it by hand under a new id."""
    stored = next(s for s in log.stored(subjects.decision(UID)) if chain.version(s) == version)
    headers = {name: value for name, value in stored.headers.items() if name != chain.EXPECTED}
    return headers | {MESSAGE_ID: "by-hand"}, stored.data


def late_copy(log: FakeLog) -> tuple[dict[str, str], bytes]:
    """The same with its own id, after the server has forgotten that it had it."""
    headers, data = a_copy(log, 1)
    return headers | {MESSAGE_ID: headers["ce-id"]}, data


STRAYS = [
    pytest.param(lambda _: ({}, b"\xff\x00 not a message"), id="no event at all"),
    pytest.param(lambda _: (ENVELOPE | {"ce-type": DECISION}, b"[" * 5000), id="a decision that is no JSON"),
    pytest.param(lambda _: (ENVELOPE | {"ce-type": DECISION}, b"{}"), id="a decision without a version"),
    pytest.param(lambda _: (ENVELOPE | {"ce-type": "x.y.v1"}, b'{"version":9}'), id="another type"),
    pytest.param(
        lambda log: (a_copy(log, 1)[0] | {MESSAGE_ID: "forged"}, a_copy(log, 1)[1].replace(UID.encode(), b"other")),
        id="a decision about another run",
    ),
    pytest.param(lambda log: a_copy(log, 1), id="an old decision under a new id (F38)"),
    pytest.param(late_copy, id="an old decision outside the window of duplicates (F38)"),
]
Stray = Callable[[FakeLog], tuple[dict[str, str], bytes]]


def the_chain(log: FakeLog) -> list[Decision]:
    """The decisions of the run that are no strays."""
    links: dict[int, Stored] = {}
    for stored in log.stored(subjects.decision(UID)):
        if version := chain.version(stored):
            links.setdefault(version, stored)
    return [msgspec.json.decode(stored.data, type=Decision) for _, stored in sorted(links.items())]


async def completed(log: FakeLog) -> None:
    """Let the cluster carry out what the run commands until it is over."""
    done: set[int] = set()
    async with asyncio.timeout(60):
        while not (the_chain(log) and the_chain(log)[-1].state.phase == "completed"):
            for create in commanded(log):
                if create.step not in done:
                    done.add(create.step)
                    await log.publish(execution_event(create, 100 + create.step, ""))
                    await log.publish(execution_event(create, 1000 + create.step, "completed"))
            await asyncio.sleep(0.001)


def commanded(log: FakeLog) -> list[CreateExecution]:
    """All executions that the chain commands."""
    return [c for decision in the_chain(log) for c in decision.commands if isinstance(c, CreateExecution)]


def buried(log: FakeLog, consumer: str) -> list[int]:
    """Sequences of what a consumer could not handle."""
    letters = [msgspec.json.decode(s.data, type=DeadLettered) for s in log.stored(subjects.dead_letter(consumer))]
    return [letter.sequence for letter in letters]


@pytest.mark.parametrize("stray", STRAYS)
async def test_a_run_goes_on_from_its_last_decision_whatever_lies_behind_it(stray: Stray) -> None:
    """Of a scheduler that has just started and remembers nothing, too: one chain, each step commanded once."""
    log = FakeLog()
    await log.publish(workflow_event(TWO_STEPS))
    async with running(a_scheduler(log)):
        await eventually(lambda: commanded(log))
    log.broker.put(LOG, subjects.decision(UID), *stray(log))

    async with running(a_scheduler(log)):
        await completed(log)

    chain_found = the_chain(log)
    assert list(range(1, len(chain_found) + 1)) == [decision.version for decision in chain_found]
    assert [1, 2] == [create.step for create in commanded(log)]
    assert [] == buried(log, "scheduler")


@pytest.mark.parametrize("stray", STRAYS)
async def test_public_events_go_on_whatever_lies_between_the_decisions(stray: Stray) -> None:
    """The announcer passes over what is no decision of the run, and tells nothing twice."""
    log = FakeLog()
    await log.publish(workflow_event(TWO_STEPS))
    async with running(a_scheduler(log)):
        await eventually(lambda: commanded(log))
        log.broker.put(LOG, subjects.decision(UID), *stray(log))
        await completed(log)

    async with running(Announcer(log, LOGGER)):
        await eventually(lambda: told(log) and told(log)[-1][1] == "workflow.completed")

    assert list(range(len(told(log)))) == [ordinal for ordinal, _ in told(log)]


async def test_a_forged_public_event_makes_no_gap_and_no_repeat() -> None:
    """What somebody else stores among the public events of a run is passed over."""
    log = FakeLog()
    await log.publish(workflow_event(TWO_STEPS))
    async with running(a_scheduler(log), Announcer(log, LOGGER)):
        await eventually(lambda: told(log))
    forged = subjects.event("shop", UID, "step", "completed")
    for headers in ({}, {"ce-ordinal": "\u00b2"}, {"ce-ordinal": "9" * 5000}, {"ce-ordinal": "7", "ce-id": "x"}):
        log.broker.put(subjects.EVENT_STREAM.name, forged, headers, b"{}")

    async with running(a_scheduler(log), Announcer(log, LOGGER)):
        await completed(log)
        await eventually(lambda: ours(log) and ours(log)[-1][1] == "workflow.completed")

    assert list(range(len(ours(log)))) == [ordinal for ordinal, _ in ours(log)]


def ours(log: FakeLog) -> list[tuple[int, str]]:
    """Ordinal and subject's end of the public events that the announcer stored."""
    return [
        (int(s.headers["ce-ordinal"]), ".".join(s.subject.split(".")[4:]))
        for s in log.stored(subjects.EVENTS, stream=subjects.EVENT_STREAM.name)
        if chain.EXPECTED in s.headers
    ]


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(({}, b"garbage"), id="no event at all"),
        pytest.param(
            (ENVELOPE | {"ce-type": TYPE_OF[QueueDecided]}, b"null"), id="a decision of the queue that is none"
        ),
        pytest.param((ENVELOPE | {"ce-type": DECISION}, b'{"version":1,"workflow":{"uid":"q"}}'), id="that of a run"),
    ],
)
async def test_the_queue_of_runs_goes_on_whatever_lies_behind_its_last_decision(
    stray: tuple[dict[str, str], bytes],
) -> None:
    """One message must not keep every run of the cluster from beginning."""
    log = FakeLog()
    log.broker.put(LOG, QUEUE_SUBJECT, *stray)
    await log.publish(workflow_event(TWO_STEPS))

    async with running(a_scheduler(log)):
        await completed(log)
        await eventually(lambda: buried(log, "scheduler") == [1])

    assert [1, 2] == [create.step for create in commanded(log)]


SUBJECTLESS = [
    "kubernaut.change.workflow.x",
    "kubernaut.change.execution.x",
    "kubernaut.change.execution.shop.x",
    "kubernaut.outcome.x.y.z",
    "kubernaut.signal.x",
]


@pytest.mark.parametrize("subject", SUBJECTLESS)
async def test_a_subject_that_names_no_workflow_ends_nothing(subject: str) -> None:
    """It is buried like a body that cannot be read, and what is behind it is decided on."""
    log = FakeLog()
    log.broker.put(LOG, subject, {}, b"{}")
    await log.publish(workflow_event(TWO_STEPS))

    async with running(a_scheduler(log)):
        await completed(log)

    assert [1] == buried(log, "scheduler")


async def test_an_execution_with_a_status_of_no_shape_ends_nothing() -> None:
    """A dry run that is deleted with a list where its status should be."""
    log = FakeLog()
    body = ExecutionChanged(
        resource_version="9",
        deleted=True,
        object=msgspec.Raw(b'{"metadata":{"name":"x","uid":"e"},"spec":' + SPEC + b',"status":[]}'),
    )
    headers = ENVELOPE | {"ce-type": TYPE_OF[ExecutionChanged]}
    log.broker.put(LOG, subjects.execution_change("shop", UID, "e"), headers, encode(body))
    await log.publish(workflow_event(TWO_STEPS))

    async with running(a_scheduler(log)):
        await completed(log)

    assert [1, 2] == [create.step for create in commanded(log)]


SPEC = msgspec.json.encode(
    {
        "workflowExecutionRef": {"name": "x", "namespace": "shop", "uid": UID},
        "stepNumber": 1,
        "attempt": 1,
        "purpose": "dry_run",
        "action": "notify_only",
        "idempotencyKey": "k",
    }
)


async def test_an_error_that_nobody_thought_of_buries_one_message_and_stops_no_other() -> None:
    """The messages of a run are tried one by one, and only the one to blame goes to the dead letters."""
    log = FakeLog()
    due = encode(TimerDue(workflow_uid=UID, due_at=-(10**400)))  # no float is as large as its lateness
    log.broker.put(LOG, subjects.outcome(UID), ENVELOPE | {"ce-type": TYPE_OF[TimerDue]}, due)
    await log.publish(workflow_event(TWO_STEPS))

    async with running(a_scheduler(log)):
        await completed(log)
        await eventually(lambda: buried(log, "scheduler"), seconds=60)

    assert [1] == buried(log, "scheduler")
    assert [1, 2] == [create.step for create in commanded(log)]


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        pytest.param({}, b"\xff", id="no event at all"),
        pytest.param({"ce-uid": "x", "ce-version": "\u00b2"}, b"{}", id="a version that is no number"),
        pytest.param({"ce-uid": "x", "ce-version": "9" * 5000}, b"{}", id="a version without end"),
        pytest.param({"ce-uid": "u1", "ce-version": "1", "ce-floor": "\u00b2"}, b"{}", id="an old version"),
    ],
)
@pytest.mark.parametrize("while_down", [True, False], ids=["stored while the watcher was down", "stored while it ran"])
async def test_the_watcher_tells_the_next_change_of_an_object_whatever_lies_on_its_subject(
    headers: dict[str, str],
    data: bytes,
    while_down: bool,  # noqa: FBT001
) -> None:
    """A stranger's message on the subject of an object takes nothing from the log (G1)."""
    log, cluster = FakeLog(), FakeCluster()
    found = await cluster.create(WORKFLOWS, "shop", an_object("leak"))
    uid = found["metadata"]["uid"]
    watcher = Watcher(cluster, log)
    await eventually(lambda: log.stored(subjects.WORKFLOW_CHANGES))
    if while_down:
        await watcher.kill()
    log.broker.put(LOG, subjects.workflow_change("shop", uid), headers, data)
    if while_down:
        watcher = Watcher(cluster, log)
    await cluster.patch(WORKFLOWS, "shop", "leak", {"metadata": {"labels": {"a": "b"}}})

    await eventually(lambda: b'"a":"b"' in log.stored(subjects.WORKFLOW_CHANGES)[-1].data)
    await watcher.kill()
