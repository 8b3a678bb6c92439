"""What a newer version wrote and this one cannot know is left to the newer one: never lost, never guessed (F55)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.ports import Stored
from scheduler.decision_messages import decode_decision
from schemas import subjects
from schemas.cloudevents import Event
from schemas.messages import TYPE_OF, CreateExecution, Decision, encode
from schemas.run_state import ENGINE
from tests.eventually import eventually
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog
from tests.scheduler.builders import UID, a_step, a_workflow
from tests.scheduler.test_loops import (
    a_scheduler,
    creates,
    decisions,
    execution_event,
    running,
    workflow_event,
)


def from_the_future(decision: Decision, **changes: Any) -> dict[str, Any]:
    """The next decision of a run as a newer scheduler might write it."""
    body: dict[str, Any] = msgspec.json.decode(encode(decision))
    body["version"] += 1
    for path, value in changes.items():
        *way, last = path.split("__")
        part = body
        for key in way:
            part = part[key]
        part[last] = value
    return body


def published_by(version: str, body: dict[str, Any]) -> Event:
    """The event of a decision of another scheduler."""
    data = msgspec.json.encode(body)
    return Event(subject=subjects.decision(UID), id=version, type=TYPE_OF[Decision], source="/test", data=data)


async def a_run_in_flight(clock: ManualClock) -> FakeLog:
    """A run of two steps of which the first is being executed."""
    log = FakeLog(clock=clock)
    await log.publish(workflow_event(a_workflow(a_step(1), a_step(2, after=(1,)))))
    async with running(a_scheduler(log)):
        await eventually(lambda: bool(decisions(log)) and bool(creates(log)))
    return log


class Given:
    """A message in the hand of a scheduler, and what became of it."""

    def __init__(self, message: Stored) -> None:
        self.message = message
        self.again = False
        self.fate = ""

    async def ack(self) -> None:
        """As a delivery."""
        self.fate = "acknowledged"

    async def nak(self, delay: float = 0.0) -> None:
        """As a delivery."""
        assert delay > 0
        self.fate = "given back"

    async def term(self) -> None:
        """As a delivery."""
        self.fate = "buried"


async def handled_anew(log: FakeLog) -> str:
    """What a scheduler that has just started does with the end of the first step."""
    message = log.broker.newest(subjects.LOG.name, subjects.EXECUTION_CHANGES)
    assert message is not None
    given = Given(message)
    await a_scheduler(FakeLog(log.broker)).handle(UID, [given])
    return given.fate


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"state__engine": ENGINE + 1}, id="a state that only a newer engine can go on from"),
        pytest.param({"state__phase": "suspended"}, id="a phase that is not known here"),
        pytest.param({"commands": [{"kind": "fly_to_the_moon"}]}, id="a command that is not known here"),
    ],
)
async def test_a_run_that_a_newer_scheduler_decided_on_is_left_to_it(changes: dict[str, Any]) -> None:
    """Its messages wait, nothing is decided from half of its state, and the process lives; then it goes on."""
    log = await a_run_in_flight(ManualClock())
    before = decisions(log)[-1]
    newer = await log.publish(published_by("newer", from_the_future(before, **changes)))
    await log.publish(execution_event(creates_of(before)[0], 1001, "completed"))

    assert "given back" == await handled_anew(log)

    last = log.broker.newest(subjects.LOG.name, subjects.decision(UID))
    assert last is not None
    assert newer.sequence == last.sequence
    assert [] == log.stored(subjects.DEAD_LETTERS)

    await log.publish(published_by("for all", from_the_future(before, version=before.version + 2)))

    assert "acknowledged" == await handled_anew(log)
    last = log.broker.newest(subjects.LOG.name, subjects.decision(UID))
    assert last is not None
    assert [2] == [create.step for create in creates_of(decode_decision(last))]


def creates_of(decision: Decision) -> list[CreateExecution]:
    """Executions that a decision commands."""
    return [each for each in decision.commands if isinstance(each, CreateExecution)]


async def test_fields_of_a_newer_minor_version_are_passed_by() -> None:
    """In a decision, in its state, anywhere."""
    log = await a_run_in_flight(ManualClock())
    before = decisions(log)[-1]
    await log.publish(
        published_by("newer", from_the_future(before, state__mood="good", commands=[], advice={"a": [1]}))
    )
    await log.publish(execution_event(creates_of(before)[0], 1001, "completed"))

    assert "acknowledged" == await handled_anew(log)
    assert [2] == [create.step for create in creates_of(decisions(log)[-1])]
