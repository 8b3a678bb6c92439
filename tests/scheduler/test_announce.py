"""What of the decisions becomes public, and what does not."""

from __future__ import annotations

import asyncio

import msgspec

from runtime.logs import get_logger
from scheduler.announce import ORDINAL, events, first_ordinal
from scheduler.announce_loop import Announcer
from scheduler.queue_desk import Desk
from schemas import subjects
from schemas.cloudevents import Event, traceparent
from schemas.messages import Cause, Decision, PublicEvent, StepRef, Transition, WorkflowRef
from schemas.queue_state import QueueEntry
from schemas.run_state import RunState
from tests.eventually import eventually
from tests.fakes.log import FakeLog
from tests.scheduler.queue_world import an_event

LOGGER = get_logger("test")
TRANSITIONS = (
    Transition(entity="workflow", what="", before="executing", after="rolling_back"),
    Transition(entity="step", what="failed", before="executing", after="failed", step=1),
    Transition(entity="step", what="", before="pending", after="executing", step=2),
    Transition(entity="workflow", what="failed", before="rolling_back", after="failed"),
)


def a_decision(*transitions: Transition, version: int = 5, announced: int = 7) -> Decision:
    """A decision after which so many public events of its run were made."""
    return Decision(
        workflow=WorkflowRef(namespace="shop", name="leak", uid="u"),
        correlation_id="u",
        version=version,
        now=0,
        causes=(),
        transitions=transitions,
        state=RunState(phase="failed", announced=announced),
    )


def test_a_transition_without_a_name_is_no_event_and_takes_no_ordinal() -> None:
    """The others follow one another without a gap; their ids still say which transition they are."""
    found = events(a_decision(*TRANSITIONS), "cause")

    assert [("5", "u/5/1", "step.failed"), ("6", "u/5/3", "workflow.failed")] == [
        (event.extensions[ORDINAL], event.id, ".".join(event.subject.split(".")[4:])) for event in found
    ]


def test_a_decision_without_public_transitions_has_no_event() -> None:
    """And the next one begins where it would have."""
    silent = a_decision(TRANSITIONS[0])

    assert () == events(silent, "cause")
    assert 7 == first_ordinal(silent)


def test_an_event_says_everything_about_its_transition() -> None:
    """Who, from where to where, why, when, by which decision of whose cause; of a step which attempt of what."""
    failed = Transition(
        entity="step",
        what="failed",
        before="executing",
        after="failed",
        step=3,
        attempt=2,
        action="restart_pod",
        reason="timed_out",
        message="step 3 had 5m",
    )
    ended = Transition(entity="workflow", what="failed", before="executing", after="failed", step=3)
    decision = msgspec.structs.replace(a_decision(failed, ended), correlation_id="incident-7", now=1_700_000_000_250)

    of_step, of_run = events(decision, "change-9")

    assert (
        Event(
            subject="kubernaut.event.shop.u.step.failed",
            id="u/5/0",
            type="io.kubernaut.step.failed.v1",
            source="/kubernaut/scheduler",
            data=of_step.data,
            correlation_id="incident-7",
            causation_id="change-9",
            traceparent=traceparent("u", "u/5/0"),
            extensions={"ordinal": "5", "time": "2023-11-14T22:13:20.250+00:00", "subject": "shop/leak"},
        )
        == of_step
    )
    assert PublicEvent(
        workflow=WorkflowRef(namespace="shop", name="leak", uid="u"),
        step=StepRef(number=3, attempt=2, action="restart_pod"),
        before="executing",
        after="failed",
        reason="timed_out",
        message="step 3 had 5m",
        sequence=5,
        time=1_700_000_000_250,
    ) == msgspec.json.decode(of_step.data, type=PublicEvent)
    assert msgspec.json.decode(of_run.data, type=PublicEvent).step is None


async def test_the_queue_of_runs_is_acknowledged_and_not_announced() -> None:
    """It is no run: no event, no dead letter, and what comes behind it is told."""
    log = FakeLog()
    await Desk(log, LOGGER, 1).ask(QueueEntry(2, 0, "u"), Cause("message-1", 1, "test"))
    await log.publish(an_event(subjects.decision("u"), "u/1", a_decision(TRANSITIONS[1], version=1, announced=1)))

    announcer = Announcer(log, LOGGER)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(announcer.pull()), group.create_task(announcer.work.run())]
        await eventually(lambda: len(log.acked) == 2)
        for task in tasks:
            task.cancel()

    assert [] == log.stored(subjects.DEAD_LETTERS)
    assert 1 == len(log.stored(subjects.EVENTS, stream=subjects.EVENT_STREAM.name))
