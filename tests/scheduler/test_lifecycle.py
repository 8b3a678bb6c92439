"""How a run begins, and how it ends when its object goes; what of the object is taken in."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.inputs import Place
from scheduler.lifecycle import needs_place, turn_of
from schemas.messages import (
    AlertFired,
    HoldWorkflow,
    ReleaseWorkflow,
    TimerDue,
    Transition,
)
from schemas.names import FINALIZER
from schemas.queue_state import QueueEntry
from schemas.run_state import LearnedAction
from tests.scheduler.builders import UID, Run, a_step, a_workflow, definition_of

CREATED = {"creationTimestamp": "2026-01-01T00:00:00Z"}
CREATED_MS = 1_767_225_600_000
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}


@pytest.mark.parametrize(
    ("strategy", "rank"),
    [({"priority": "critical"}, 0), ({"priority": "high"}, 1), ({}, 2), ({"priority": "low"}, 3)],
    ids=["critical", "high", "normal, when nothing is said", "low"],
)
def test_a_run_without_a_place_waits_for_its_turn(strategy: dict[str, Any], rank: int) -> None:
    """By priority, then by age; nothing is planned, started or due."""
    run = Run(a_workflow(metadata=CREATED, executionStrategy=strategy), admitted=False)

    assert ("queued", QueueEntry(rank=rank, created_at=CREATED_MS, uid=UID)) == (run.state.phase, run.state.queue)
    assert ((), (), {}, 0) == (run.state.steps, run.last.commands, run.state.timers, run.state.started_at)
    assert [] == run.wakes
    assert [] == run.told()


def test_a_run_with_a_place_was_never_queued() -> None:
    """It begins in the decision that takes it in."""
    run = Run(a_workflow())

    assert ("", "planning") == (run.last.transitions[0].before, run.last.transitions[0].after)
    assert "queued" not in run.state.phase_times


def test_a_run_that_cannot_be_read_waits_like_any_other() -> None:
    """Its errors are told when its turn has come."""
    definition = definition_of(a_workflow(metadata=CREATED) | {"spec": {}})

    assert QueueEntry(rank=2, created_at=CREATED_MS, uid=UID) == turn_of(definition)
    assert needs_place(definition)


@pytest.mark.parametrize(
    "workflow",
    [
        pytest.param(a_workflow(metadata=GOING), id="it is being deleted"),
        pytest.param(a_workflow(status={"phase": "executing", "sequence": 7}), id="its log is lost"),
        pytest.param(a_workflow(status={"phase": "completed"}), id="it has ended"),
    ],
)
def test_a_run_that_ends_at_once_needs_no_place(workflow: dict[str, Any]) -> None:
    """Nobody has to wait for it."""
    assert not needs_place(definition_of(workflow))


def test_a_run_whose_object_is_gone_needs_no_place() -> None:
    """As above."""
    assert not needs_place(definition_of(a_workflow(), deleted=True))


def test_a_run_that_gets_its_place_begins() -> None:
    """Its time counts from then."""
    run = Run(a_workflow(executionStrategy={"workflowTimeout": "10m"}), admitted=False)
    run.time += 3_600_000

    run.take(Place(admitted=True))

    assert ("executing", None, run.last.now) == (run.state.phase, run.state.queue, run.state.started_at)
    assert run.last.now + 600_000 == run.state.timers["workflow"]
    assert (
        Transition(entity="workflow", what="", before="queued", after="planning", reason="admitted"),
        Transition(entity="workflow", what="planned", before="planning", after="validating", reason="planned"),
    ) == run.last.transitions[:2]
    assert run.state.phase_times["queued"] < run.state.phase_times["planning"] == run.last.now


@pytest.mark.parametrize("admitted", [True, False])
def test_a_place_that_comes_again_or_not_yet_changes_nothing(admitted: bool) -> None:  # noqa: FBT001
    """Of a run that has one, of one that waits on."""
    run = Run(a_workflow(), admitted=admitted)

    assert run.take(Place(admitted=admitted)) is None


def test_a_place_for_a_run_that_has_ended_in_the_queue_changes_nothing() -> None:
    """It was cancelled meanwhile; the place is given back by those who hand them out."""
    run = Run(a_workflow(), admitted=False)
    run.ask(cancel={"mode": "stop"})

    assert (run.state.phase, run.take(Place(admitted=True))) == ("cancelled", None)


def test_a_wake_up_in_the_queue_changes_nothing() -> None:
    """Nothing is due."""
    run = Run(a_workflow(), admitted=False)

    assert run.take(TimerDue(workflow_uid=UID, due_at=run.time)) is None


def test_the_plan_is_recorded_with_what_it_was_made_of() -> None:
    """Limit, steps with what blocks them, figures of earlier runs and what was moved because of them."""
    figures = {"scale_deployment": LearnedAction(30, 0.5, 7.0, 400.0), "restart_pod": LearnedAction(30, 1.0, 1.0, 1.0)}
    workflow = a_workflow(
        a_step(1),
        a_step(2, after=(1,)),
        a_step(3, after=(1, 2)),
        executionStrategy={"parallelismLimit": 3},
        adaptiveOrchestration={"dynamicStepAdjustment": True},
    )
    run = Run(workflow, learned=figures)

    assert (run.plan.state, 3, True) == (run.state.plan, run.state.limit, run.state.held)
    assert [(1, 0), (2, 1), (3, 2)] == [(step.number, step.blockers) for step in run.state.steps]
    assert {"scale_deployment": figures["scale_deployment"]} == run.state.learned
    assert run.plan.adjustments
    assert [run.last.now] * len(run.plan.adjustments) == [each.at for each in run.state.adjustments]
    assert HoldWorkflow() in run.last.commands


@pytest.mark.parametrize(
    ("workflow", "message"),
    [
        pytest.param(a_workflow(a_step(1, after=(9,))), "there is no step 9; the steps are 1", id="one error"),
        pytest.param(
            a_workflow(a_step(1, after=(9,)), a_step(2, after=(8,)), a_step(3, after=(7,))),
            "there is no step 9; the steps are 1, 2, 3 (and 2 more)",
            id="several",
        ),
        pytest.param(
            a_workflow(a_step(1, after=(9,)), a_step(2, after=(8,))),
            "there is no step 9; the steps are 1, 2 (and 1 more)",
            id="two",
        ),
    ],
)
def test_a_workflow_that_planning_refuses_has_failed(workflow: dict[str, Any], message: str) -> None:
    """All errors are in the state, the first one in the sentence; its finalizer was never put on."""
    run = Run(workflow)

    why = f"planning refused: spec.workflowDefinition.steps[0].dependsOn[0]: {message}"
    assert ("failed", "failed", why) == (run.state.phase, run.state.outcome, run.state.failure_reason)
    assert (run.plan.errors, False, None) == (run.state.errors, run.state.held, run.state.plan)
    assert ("invalid_workflow", why) == (run.last.transitions[-1].reason, run.last.transitions[-1].message)
    assert ((), run.last.now) == (run.last.commands, run.state.started_at)


def test_a_run_whose_log_was_lost_in_the_middle_fails() -> None:
    """What was done cannot be known, so nothing is; decisions are counted on from the one in the status."""
    run = Run(a_workflow(status={"phase": "executing", "sequence": 7}))

    assert ("failed", "log_lost", 8) == (run.state.phase, run.last.transitions[-1].reason, run.last.version)
    assert (
        "the log of this run is gone (its status shows decision 7); nothing more is done, because what was done already"
        " cannot be known. Look at its executions, then create the workflow again"
    ) == run.state.failure_reason
    assert ((), run.last.now, "planning") == (
        run.last.commands,
        run.state.started_at,
        run.last.transitions[0].after,
    )


def test_a_finalizer_from_before_the_log_was_lost_is_taken_off_when_the_object_goes() -> None:
    """It must not hold the deletion up."""
    run = Run(a_workflow(metadata={"finalizers": [FINALIZER]}, status={"phase": "executing", "sequence": 7}))

    run.take(definition_of(a_workflow(version=500, metadata=GOING)))

    assert [ReleaseWorkflow()] == list(run.last.commands)


def test_of_a_run_whose_object_shows_its_end_nothing_is_decided() -> None:
    """It is older than the log's retention."""
    assert [] == Run(a_workflow(status={"phase": "failed", "sequence": 7})).decisions


def test_the_first_version_is_recorded() -> None:
    """Generation, version, hash of the spec, where its message is."""
    workflow = a_workflow(metadata={"generation": 3})

    run = Run(workflow)

    assert (3, 5, 1, run.plan.definition.spec_hash, False) == (
        run.state.generation,
        run.state.object_version,
        run.state.definition_sequence,
        run.state.spec_hash,
        run.state.owned,
    )


def test_a_newer_generation_is_noted_though_it_asks_for_nothing_new() -> None:
    """So that whoever wrote it sees that it was seen."""
    run = Run(a_workflow())

    run.ask(generation=4)

    assert (4, run.version, ()) == (run.state.generation, run.state.object_version, run.last.transitions)


@pytest.mark.parametrize("generation", [1, 0])
def test_a_newer_version_of_the_same_generation_that_asks_for_nothing_changes_nothing(generation: int) -> None:
    """Labels, finalizers, other annotations."""
    assert Run(a_workflow()).ask(generation=generation) is None


def test_a_request_without_a_newer_generation_is_noted_with_its_version() -> None:
    """Annotations leave the generation as it is."""
    run = Run(a_workflow(executionStrategy={"approvalRequired": True}))

    run.say("approved")

    assert (2, run.version) == (run.state.generation, run.state.object_version)


def test_the_generation_never_goes_back() -> None:
    """Whatever a version says."""
    run = Run(a_workflow())
    run.ask(generation=4)

    run.ask(generation=2, paused=True)

    assert 4 == run.state.generation


@pytest.mark.parametrize("version", ["101", "100"])
def test_an_older_version_of_the_object_is_old_news(version: str) -> None:
    """It comes late or again; what it asks for is not looked at."""
    run = Run(a_workflow())
    run.ask(generation=4)
    metadata = run.workflow["metadata"] | {"resourceVersion": version}

    old = definition_of(a_workflow(control={"paused": True}) | {"metadata": metadata})

    assert run.take(old) is None


def test_a_changed_spec_is_refused_by_its_hash() -> None:
    """Once; the run goes on with the one that it was planned with."""
    run = Run(a_workflow())
    other = definition_of(a_workflow(a_step(1), a_step(2), version=500))

    run.take(other)
    again = run.take(definition_of(a_workflow(a_step(1), a_step(2), version=501)))

    said = f"{other.spec_hash[:8]}: the run goes on with the spec that it was planned with"
    assert ({"spec": said}, 500, None) == (run.state.refusals, run.state.object_version, again)
    assert 1 == run.state.definition_sequence


@pytest.mark.parametrize(
    ("asked", "phases"),
    [
        pytest.param({"paused": True}, ("monitoring", "rolling_back"), id="a pause"),
        pytest.param({"cancel": {"mode": "rollback"}}, ("rolling_back", "failed"), id="a cancel"),
    ],
)
def test_a_version_that_repeats_what_was_refused_is_old_news_in_the_next_phase(
    asked: dict[str, Any], phases: tuple[str, str]
) -> None:
    """There it would mean something else, and nobody has asked anew."""
    undo = {"rollbackSpec": {"action": "notify_only", "parameters": {"message": "undone"}}}
    strategy = {"rollbackStrategy": "automatic", "monitoring": {"window": "30s"}}
    run = Run(a_workflow(a_step(1, **undo), executionStrategy=strategy))
    alert = AlertFired(workflow=run.last.workflow, alert="HighLatency")
    run.end(1)
    if phases[0] == "rolling_back":
        run.take(alert)
    run.ask(**asked)
    run.ask(**asked)
    repeated, before = definition_of(run.workflow, sequence=run.version), run.state.phase

    run.take(alert) if before == "monitoring" else run.end(1, purpose="rollback")

    assert phases == (before, run.state.phase)
    assert run.take(repeated) is None
