"""Executions that go with their workflow: the run is cancelled, in whatever order their messages are handled."""

from __future__ import annotations

import msgspec
import pytest

from schemas import subjects
from schemas.cloudevents import Event
from schemas.messages import CreateExecution, ExecutionChanged, WorkflowChanged
from tests.eventually import eventually
from tests.fakes.log import FakeLog
from tests.scheduler.builders import UID, a_step, a_workflow
from tests.scheduler.test_loops import (
    InHand,
    _event,
    a_scheduler,
    creates,
    decisions,
    execution_event,
    running,
    workflow_event,
)

WORKFLOW = subjects.workflow_change("shop", UID)
EXECUTION = subjects.execution_change("shop", UID, "execution-1")


def gone(create: CreateExecution) -> Event:
    """The watcher's message of an execution that was deleted before it had ended."""
    body = msgspec.json.decode(execution_event(create, 200, "executing").data)
    changed = ExecutionChanged(
        resource_version="200", deleted=True, object=msgspec.Raw(msgspec.json.encode(body["object"]))
    )
    return _event(EXECUTION, "kubernetesexecutions/execution-1/deleted", changed)


def workflow_gone() -> Event:
    """The watcher's message of the workflow's deletion."""
    whole = msgspec.Raw(msgspec.json.encode(a_workflow(a_step(1))))
    changed = WorkflowChanged(resource_version="199", deleted=True, object=whole)
    return _event(WORKFLOW, f"workflowexecutions/{UID}/deleted", changed)


async def a_run_in_flight() -> FakeLog:
    """A log with a run whose execution was seen."""
    log = FakeLog()
    await log.publish(workflow_event(a_workflow(a_step(1))))
    async with running(a_scheduler(log)):
        await eventually(lambda: creates(log))
        await log.publish(execution_event(creates(log)[0], 100, "executing"))
        await eventually(lambda: "executing" == decisions(log)[-1].state.steps[0].phase)
        await eventually(lambda: decisions(log)[-1].state.steps[0].execution_uid)
    return log


@pytest.mark.parametrize(
    "handled",
    [
        pytest.param([WORKFLOW, EXECUTION], id="as they stand in the log"),
        pytest.param([EXECUTION, WORKFLOW], id="the workflow's comes again after the execution's"),
    ],
)
async def test_a_run_whose_workflow_went_is_cancelled_in_any_order(handled: list[str]) -> None:
    """A scheduler dies with the workflow's message in hand, and gets the execution's first: nothing has failed."""
    log = await a_run_in_flight()
    await log.publish(workflow_gone())
    await log.publish(gone(creates(log)[0]))
    scheduler = a_scheduler(log)

    for subject in handled:
        await scheduler.handle(UID, [InHand(log, subject)])

    state = decisions(log)[-1].state
    assert ("cancelled", "cancelled", ["cancelled"], True) == (
        state.phase,
        state.outcome,
        [step.phase for step in state.steps],
        state.gone,
    )


async def test_both_in_one_batch_are_one_end() -> None:
    """The execution's message is the first of the batch."""
    log = await a_run_in_flight()
    await log.publish(workflow_gone())
    await log.publish(gone(creates(log)[0]))

    await a_scheduler(log).handle(UID, [InHand(log, EXECUTION), InHand(log, WORKFLOW)])

    assert ("cancelled", "workflow_deleted") == (
        decisions(log)[-1].state.phase,
        decisions(log)[-1].state.steps[0].reason,
    )


async def test_an_execution_that_somebody_deletes_is_a_failure() -> None:
    """Its workflow is there."""
    log = await a_run_in_flight()
    await log.publish(gone(creates(log)[0]))

    await a_scheduler(log).handle(UID, [InHand(log, EXECUTION)])

    assert ("failed", "deleted") == (decisions(log)[-1].state.phase, decisions(log)[-1].state.steps[0].reason)


async def test_a_stray_message_in_the_workflows_place_changes_nothing() -> None:
    """What cannot be read there is no end of the workflow."""
    log = await a_run_in_flight()
    await log.publish(Event(subject=WORKFLOW, id="stray", type="stray", source="/x", data=b"?"))
    await log.publish(gone(creates(log)[0]))

    await a_scheduler(log).handle(UID, [InHand(log, EXECUTION)])

    assert "failed" == decisions(log)[-1].state.phase
