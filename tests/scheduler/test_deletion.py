"""The object of a run goes: in any phase the run is cancelled, and nothing holds the deletion up."""

from __future__ import annotations

import pytest

from scheduler.decide import decide
from scheduler.inputs import Input
from scheduler.plan import make
from schemas.messages import Cause, CreateExecution, DeleteExecution, ReleaseWorkflow
from schemas.names import FINALIZER
from tests.scheduler.builders import Run, a_step, a_workflow, definition_of

GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}
UNDO = {
    "rollbackSpec": {"action": "scale_deployment", "parameters": {"deployment": "x", "namespace": "y", "replicas": 1}}
}
DELETED = "the workflow was deleted before it had ended"


def waiting() -> Run:
    """A run in the queue."""
    return Run(a_workflow(), admitted=False)


def validating() -> Run:
    """A run that waits for an approval, with a dry run that has been seen and one that has not."""
    run = Run(a_workflow(a_step(1), a_step(2), executionStrategy={"dryRunFirst": True}))
    run.see(1, purpose="dry_run")
    return run


def executing() -> Run:
    """A run with a step that has been seen, one that has not and one that is pending."""
    run = Run(a_workflow(a_step(1), a_step(2), a_step(3, after=(1,))))
    run.see(1)
    return run


def closing() -> Run:
    """A run that is about to fail, with a step that was commanded to end."""
    run = executing()
    run.ask(cancel={"mode": "terminate"})
    return run


def monitoring() -> Run:
    """A run whose targets are watched."""
    run = Run(a_workflow(executionStrategy={"monitoring": {"window": "30s"}}))
    run.end(1)
    return run


def rolling_back() -> Run:
    """A run that undoes two steps, one seen."""
    run = Run(
        a_workflow(
            a_step(1, **UNDO),
            a_step(2, **UNDO),
            a_step(3, after=(1, 2)),
            executionStrategy={"rollbackStrategy": "automatic"},
        )
    )
    run.end(1)
    run.end(2)
    run.fail(3)
    run.see(1, purpose="rollback")
    return run


@pytest.mark.parametrize(
    ("run", "deleted", "released"),
    [
        pytest.param(waiting(), [], False, id="queued: it was not held yet"),
        pytest.param(validating(), [("dry_run", 1)], True, id="validating: the dry run that was seen is ended"),
        pytest.param(executing(), [("execute", 1)], True, id="executing: the step that was seen is ended"),
        pytest.param(closing(), [], True, id="closing: its end was commanded already"),
        pytest.param(monitoring(), [], True, id="monitoring: nothing is in flight"),
        pytest.param(rolling_back(), [("rollback", 1)], True, id="rolling back: the rollback that was seen is ended"),
    ],
)
def test_a_run_whose_object_is_deleted_is_cancelled_in_any_phase(
    run: Run,
    deleted: list[tuple[str, int]],
    released: bool,  # noqa: FBT001
) -> None:
    """What was seen is ended, the rest given up, our finalizer taken off, and nothing is due any more."""
    before = run.state.phase

    run.take(
        definition_of(a_workflow(version=500, metadata=GOING if released else {"deletionTimestamp": "2026-01-01"}))
    )

    commands = run.last.commands
    assert ("cancelled", "cancelled", DELETED) == (run.state.phase, run.state.outcome, run.state.failure_reason)
    assert deleted == [(c.purpose, c.step) for c in commands if isinstance(c, DeleteExecution)]
    assert released == (ReleaseWorkflow() in commands)
    assert (0, (), {}, False, released) == (
        run.state.in_flight,
        run.state.ready,
        run.state.timers,
        run.state.held,
        run.state.deleting,
    )
    assert (before, "cancelled", "workflow_deleted") == (
        run.last.transitions[-1].before,
        run.last.transitions[-1].what,
        run.last.transitions[-1].reason,
    )
    assert not any(isinstance(command, CreateExecution) for command in commands)
    assert not {"pending", "executing", "waiting_retry"} & {
        each.phase for each in (*run.state.steps, *run.state.dry_runs, *run.state.rollbacks)
    }
    assert 500 == run.state.object_version
    cancelled = {"cancelled"} & {step.phase for step in run.state.steps}
    assert not cancelled or "workflow_deleted" in {step.reason for step in run.state.steps}


def test_an_object_that_is_deleted_before_our_finalizer_is_on_is_let_go_all_the_same() -> None:
    """The command that puts it on may be on its way."""
    run = executing()

    run.take(definition_of(a_workflow(version=500, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})))

    assert (False, True) == (run.state.held, ReleaseWorkflow() in run.last.commands)


def test_what_an_object_asks_for_that_is_being_deleted_is_not_looked_at() -> None:
    """It is not refused either: it goes with the object."""
    run = executing()
    asks = {"control": {"paused": True, "cancel": {"mode": "stop"}, "rollback": {}}}

    run.take(definition_of(a_workflow(version=500, metadata=GOING, **asks)))

    assert {} == run.state.refusals


def test_a_new_object_that_is_gone_already_is_told_as_cancelled_and_deleted() -> None:
    """Only its tombstone was ever seen."""
    plan = make(definition_of(a_workflow(), deleted=True))
    cause = Cause("message-1", 1, "whatever")

    decision = decide(plan, None, [Input(cause=cause, time_ms=5, fact=plan.definition)]).decision

    assert decision is not None
    assert ["cancelled", "deleted"] == [t.what for t in decision.transitions if t.what]
    assert ("cancelled", True, ()) == (decision.state.phase, decision.state.gone, decision.commands)


def test_every_step_and_rollback_that_has_not_ended_is_cancelled_with_the_object() -> None:
    """Pending, in flight or waiting for a retry; each is told, with the reason and the time."""
    slow = {"maxRetries": 1, "retryPolicy": {"initialDelay": "5m"}}
    run = Run(a_workflow(a_step(1), a_step(2, **slow), a_step(3, after=(1,))))
    run.fail(2)

    run.take(definition_of(a_workflow(version=500, metadata=GOING)))

    assert ["1 cancelled", "2 cancelled", "3 cancelled", "cancelled"] == run.told()[-4:]
    assert [("cancelled", "workflow_deleted", run.last.now)] * 3 == [
        (step.phase, step.reason, step.ended_at) for step in run.state.steps
    ]


def test_every_rollback_that_has_not_ended_is_cancelled_with_the_object() -> None:
    """One waits for its retry, one was commanded to end, one is pending."""
    slow = {"maxRetries": 1, "retryPolicy": {"initialDelay": "5m"}}
    timed = {"rollbackSpec": UNDO["rollbackSpec"] | {"timeout": "30s"}}
    steps = (a_step(1, **UNDO), a_step(2, after=(1,), **timed), a_step(3, after=(1,), **UNDO, **slow))
    run = Run(a_workflow(*steps, a_step(4, after=(2, 3)), executionStrategy={"rollbackStrategy": "automatic"}))
    for step in (1, 2, 3):
        run.end(step)
    run.fail(4)
    run.see(2, purpose="rollback")
    run.fail(3, purpose="rollback")
    run.wait_for("undo:2")
    before = [side.phase for side in run.state.rollbacks]

    run.take(definition_of(a_workflow(version=500, metadata=GOING)))

    assert ["pending", "executing", "waiting_retry", "skipped"] == before
    assert [("cancelled", "workflow_deleted", run.last.now, "")] * 3 == [
        (side.phase, side.reason, side.ended_at, side.ending) for side in run.state.rollbacks[:3]
    ]


def test_what_is_given_up_with_the_object_is_deleted_should_it_show_up() -> None:
    """Its creation was under way, of whatever kind it is."""
    run = rolling_back()
    late = run.execution(2, purpose="rollback")
    run.take(definition_of(a_workflow(version=500, metadata=GOING)))

    run.take(late)

    assert [(2, "rollback")] == [(c.step, c.purpose) for c in run.last.commands if isinstance(c, DeleteExecution)]
    assert {"cancelled"} == {side.phase for side in run.state.rollbacks if side.number != 3}


def test_a_paused_run_that_is_deleted_is_not_paused_any_more() -> None:
    """It has ended."""
    run = executing()
    run.ask(paused=True)

    run.take(definition_of(a_workflow(version=500, metadata=GOING)))

    assert (0, {}) == (run.state.paused_at, run.state.stopped)


def test_a_deletion_is_taken_in_once() -> None:
    """Versions with the finalizer still on come until it is off."""
    run = executing()
    run.take(definition_of(a_workflow(version=500, metadata=GOING)))

    assert run.take(definition_of(a_workflow(version=501, metadata=GOING))) is None


def test_a_tombstone_after_the_deletion_tells_it() -> None:
    """The public event comes when the object is gone, not before."""
    run = executing()
    run.take(definition_of(a_workflow(version=500, metadata=GOING)))
    before = run.told()[-1]

    run.take(definition_of(a_workflow(version=501, metadata=GOING), deleted=True))

    assert ("cancelled", "deleted") == (before, run.told()[-1])
    assert (True, True, 501, ()) == (
        run.state.gone,
        run.state.deleting,
        run.state.object_version,
        run.last.commands,
    )
    assert "workflow_deleted" == run.last.transitions[-1].reason


def test_an_object_that_is_gone_at_once_ends_its_run() -> None:
    """Somebody took the finalizer off by hand: there is nothing to let go of."""
    run = executing()

    run.take(definition_of(a_workflow(version=500), deleted=True))

    assert ("cancelled", True, False) == (run.state.phase, run.state.gone, run.state.held)
    assert ReleaseWorkflow() not in run.last.commands


def test_after_the_tombstone_nothing_is_taken_in() -> None:
    """A version that comes late."""
    run = executing()
    run.take(definition_of(a_workflow(version=500), deleted=True))

    assert run.take(definition_of(a_workflow(version=501, control={"paused": True}))) is None


def test_a_new_object_that_is_going_already_is_cancelled_before_it_begins() -> None:
    """It was created and deleted while nobody looked; it waits for no place."""
    run = Run(a_workflow(metadata=GOING), admitted=False)

    assert ("cancelled", [ReleaseWorkflow()], True) == (run.state.phase, list(run.last.commands), run.state.deleting)
    assert ["cancelled"] == run.told()
    assert ("planning", "planning") == (run.last.transitions[0].after, run.last.transitions[1].before)


def test_a_new_object_that_is_going_already_is_recorded_like_any_other() -> None:
    """Its end is not all that is known of it: which version, of which generation, by which spec."""
    run = Run(a_workflow(metadata=GOING | {"generation": 3}))

    assert (3, 5, 1, run.plan.definition.spec_hash) == (
        run.state.generation,
        run.state.object_version,
        run.state.definition_sequence,
        run.state.spec_hash,
    )


def test_a_run_that_had_ended_lets_go_of_what_was_put_on_too_late() -> None:
    """A bridge put the finalizer on after the end was recorded, and died: the deletion is not held up."""
    run = Run(a_workflow())
    run.end(1)
    assert ("completed", False) == (run.state.phase, run.state.held)

    run.take(definition_of(a_workflow(version=500, metadata=GOING)))

    assert ("completed", True, (ReleaseWorkflow(),)) == (run.state.phase, run.state.deleting, run.last.commands)
