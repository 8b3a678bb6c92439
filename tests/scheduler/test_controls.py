"""What people ask of a run: pause and cancel; what each does, and that nothing is dropped in silence.

In which phase each means something is the table of docs/control.md, which test_control_matrix tries whole.
"""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.inputs import Place
from schemas.messages import DeleteExecution, Refusal
from tests.scheduler.builders import Run, a_step, a_workflow, definition_of

OVER = "the run has ended; `kubernaut rerun` runs it again from a step"
SLOWLY = {"maxRetries": 2, "retryPolicy": {"initialDelay": "5m"}}
UNDO = {
    "rollbackSpec": {"action": "scale_deployment", "parameters": {"deployment": "x", "namespace": "y", "replicas": 1}}
}


def skip(number: int) -> dict[str, Any]:
    """A person's word."""
    return {"stepNumber": number, "operation": "skip", "reason": "by hand"}


def started(run: Run) -> list[int]:
    """Steps that were commanded, in order."""
    return [create.step for create in run.creates() if create.purpose == "execute"]


def test_while_a_run_is_paused_no_step_starts_and_those_in_flight_finish() -> None:
    """Resumed, it goes on where it was."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,))))
    run.ask(paused=True)
    run.end(1)
    held = (started(run), run.phases(), run.state.ready)

    run.ask(paused=False)

    assert ([1], {1: "completed", 2: "pending"}, (2,)) == held
    assert [1, 2] == started(run)
    told = [(t.what, t.reason, t.message) for d in run.decisions for t in d.transitions if t.what.endswith("ed")]
    assert ("paused", "paused", "no new step starts; steps in flight finish") in told
    assert ("resumed", "resumed", "") in told


def test_pausing_twice_is_pausing_once() -> None:
    """Another version of the object asks for the same."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.ask(paused=True)
    since = run.state.paused_at

    assert run.ask(generation=2, paused=True) is None
    assert (1, run.decisions[1].now) == (run.told().count("paused"), since)


def test_the_time_of_the_run_stands_still_while_it_is_paused() -> None:
    """That of a step in flight does not."""
    run = Run(a_workflow(a_step(1), executionStrategy={"workflowTimeout": "1h"}))
    step, due = run.state.timers["step:1"], run.state.timers["workflow"]

    run.ask(paused=True)
    left, paused = due - run.last.now, run.state
    run.wait(100)
    run.ask(paused=False)

    assert ({"workflow": left}, {"step:1": step}) == (paused.stopped, paused.timers)
    assert (run.last.now + left, {}, 0) == (run.state.timers["workflow"], run.state.stopped, run.state.paused_at)
    assert step == run.state.timers["step:1"]


def test_a_retry_that_is_planned_while_the_run_is_paused_waits_its_own_time() -> None:
    """Only the time of the run and of its phase stands still."""
    run = Run(a_workflow(a_step(1, maxRetries=1, retryPolicy={"initialDelay": "5m"})))
    run.ask(paused=True)

    run.fail(1)

    assert ({"step:1"}, {"workflow"}) == (set(run.state.timers), set(run.state.stopped))


def test_the_time_for_validating_stands_still_too() -> None:
    """A person may think about it over the weekend."""
    run = Run(a_workflow(executionStrategy={"approvalRequired": True, "workflowTimeout": "1h"}))
    due = dict(run.state.timers)

    run.ask(paused=True)
    left = {name: at - run.last.now for name, at in due.items()}
    stopped, timers = run.state.stopped, run.state.timers
    run.wait(200_000)
    run.ask(paused=False)

    assert ({"phase", "workflow"}, left, {}) == (set(left), stopped, timers)
    assert {name: run.last.now + rest for name, rest in left.items()} == run.state.timers


def test_a_paused_run_leaves_validating_and_starts_nothing() -> None:
    """The time for validating does not come back when it is resumed."""
    run = Run(a_workflow(executionStrategy={"approvalRequired": True}))
    run.ask(paused=True)

    run.say("approved")
    held = (run.state.phase, run.creates(), set(run.state.stopped))
    run.ask(paused=False)

    assert ("executing", [], {"workflow"}) == held
    assert {"workflow", "step:1"} == set(run.state.timers)


def test_a_run_that_is_paused_from_the_start_starts_nothing() -> None:
    """The request stands on the object already."""
    run = Run(a_workflow(control={"paused": True}))

    assert ("executing", [], run.last.now) == (run.state.phase, run.creates(), run.state.paused_at)
    assert ["planned", "paused", "validated", "started"] == run.told()


def test_a_pause_in_the_queue_makes_the_run_no_longer() -> None:
    """It has its whole time from when it is resumed, and not an hour more."""
    run = Run(a_workflow(executionStrategy={"workflowTimeout": "10m"}), admitted=False)
    run.ask(paused=True)
    run.wait(3600)
    run.take(Place(admitted=True))
    run.wait(3600)

    run.ask(paused=False)

    assert ("executing", run.last.now + 600_000) == (run.state.phase, run.state.timers["workflow"])


def test_a_run_that_ends_while_it_is_paused_is_not_paused_any_more() -> None:
    """Its last step finished."""
    run = Run(a_workflow())
    run.ask(paused=True)

    run.end(1)
    ended = run.state
    run.ask(generation=3, paused=False)

    assert ("completed", 0, {}) == (ended.phase, ended.paused_at, ended.stopped)
    assert "resumed" not in run.told()
    assert not run.state.control.paused


@pytest.mark.parametrize("phase", ["monitoring", "completed"])
def test_a_pause_that_could_hold_nothing_back_is_refused(phase: str) -> None:
    """Said once, and forgotten when it is not asked for any more."""
    window = "30s" if phase == "monitoring" else "0s"
    run = Run(a_workflow(executionStrategy={"monitoring": {"window": window}}))
    run.end(1)

    run.ask(paused=True)
    refused, control = run.last.refusals, run.state.control
    again = run.ask(generation=2, paused=True)
    run.ask(generation=3, paused=False)

    why = "nothing starts any more that a pause could hold back"
    assert (phase, (Refusal(operation="pause", message=f"pause is refused: {why}"),)) == (run.state.phase, refused)
    assert not control.paused
    assert again is not None
    assert () == again.refusals
    assert {} == run.state.refusals


def test_a_pause_that_was_refused_is_granted_where_it_means_something_again() -> None:
    """The request still stands on the object when the run is rolled back on demand."""
    run = Run(a_workflow(a_step(1, **UNDO), a_step(2, after=(1,))))
    run.end(1)
    run.fail(2)
    run.ask(paused=True)
    refused = run.state.refusals

    run.ask(generation=3, paused=True, rollback={"reason": "worse"})

    assert {"pause"} == set(refused)
    assert ({}, "rolling_back") == (run.state.refusals, run.state.phase)
    assert (True, run.last.now) == (run.state.control.paused, run.state.paused_at)


def test_a_pause_that_stands_holds_the_rollback_too() -> None:
    """It was accepted while the steps ran, and nobody has taken it back."""
    run = Run(a_workflow(a_step(1, **UNDO), a_step(2), executionStrategy={"rollbackStrategy": "automatic"}))
    run.end(1)
    run.ask(paused=True)

    since = run.state.paused_at
    run.fail(2)
    held = (run.state.phase, [create.purpose for create in run.creates()], run.state.paused_at)
    run.ask(generation=3, paused=False)

    assert ("rolling_back", ["execute", "execute"], since) == held
    assert "rollback" == run.creates()[-1].purpose


def test_a_pause_of_before_the_end_holds_a_rollback_on_demand() -> None:
    """spec.control.paused is true all the time."""
    run = Run(a_workflow(a_step(1, **UNDO), a_step(2)))
    run.end(1)
    run.ask(paused=True)
    run.fail(2)
    ended = run.state.paused_at

    run.ask(generation=3, paused=True, rollback={})
    held = (run.state.paused_at, [create.purpose for create in run.creates()])
    run.ask(generation=4, paused=False, rollback={})

    assert 0 == ended
    assert (run.decisions[-2].now, ["execute", "execute"]) == held
    assert "rollback" == run.creates()[-1].purpose


def test_a_version_that_cannot_be_read_asks_for_nothing() -> None:
    """Too large for the log: that it shows no pause is no word to go on."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.ask(paused=True)
    metadata = run.workflow["metadata"] | {"resourceVersion": "900"}

    run.take(definition_of({"metadata": metadata}, oversized=2_000_000))

    assert run.state.control.paused
    assert run.state.paused_at


@pytest.mark.parametrize("reason", ["", "wrong cluster"])
def test_a_cancel_with_stop_lets_running_steps_end(reason: str) -> None:
    """No new one starts; what never started is cancelled."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,))))

    run.ask(cancel={"mode": "stop", "reason": reason})
    asked, said = run.state, run.last.transitions
    run.end(1)

    why = "cancelled by a person (stop)" + (": wrong cluster" if reason else "")
    assert why == run.last.transitions[-1].message
    assert ("executing", "cancelled", "cancelled", why) == (
        asked.phase,
        asked.closing,
        asked.closing_reason,
        asked.failing,
    )
    assert [("", "cancelled", why)] == [(t.what, t.reason, t.message) for t in said]
    assert ("cancelled", "cancelled", why) == (run.state.phase, run.state.outcome, run.state.failure_reason)
    assert {1: "completed", 2: "cancelled"} == run.phases()
    assert ("stop", "cancelled", []) == (run.state.control.cancel, run.last.transitions[-1].reason, run.deletes())


def test_no_mode_is_stop() -> None:
    """The gentlest one."""
    run = Run(a_workflow(a_step(1), a_step(2)))

    run.ask(cancel={})

    assert ("stop", []) == (run.state.control.cancel, run.deletes())


def test_a_cancel_with_terminate_ends_what_is_in_flight() -> None:
    """One that was never seen is given up at once."""
    run = Run(a_workflow(a_step(1), a_step(2), a_step(3, after=(1,)), a_step(4, **SLOWLY)))
    run.see(1)
    run.fail(4)

    run.ask(cancel={"mode": "terminate"})
    asked = (run.state.phase, run.phases(), run.state.in_flight)
    ending, timers = run.state.steps[0].ending, set(run.state.timers)
    run.see(1, deleted=True)

    assert ("executing", {1: "executing", 2: "cancelled", 3: "pending", 4: "waiting_retry"}, 1) == asked
    assert [DeleteExecution(name="leak-step-1", uid="execution-1-1", step=1)] == run.deletes()
    assert {1: "cancelled", 2: "cancelled", 3: "cancelled", 4: "cancelled"} == run.phases()
    assert ("cancelled", "cancelled", "cancelled") == (ending, run.state.phase, run.state.outcome)
    assert ("1 cancelled" in run.told(), {"workflow", "step:4"}) == (True, timers)
    assert {"cancelled"} == {step.reason for step in run.state.steps}


def test_a_cancel_with_rollback_ends_what_is_in_flight_and_undoes_what_was_done() -> None:
    """The run has been cancelled in the end, whatever its strategy."""
    run = Run(a_workflow(a_step(1, **UNDO), a_step(2), executionStrategy={"rollbackStrategy": "none"}))
    run.end(1)
    run.see(2)

    run.ask(cancel={"mode": "rollback", "reason": "wrong node"})
    run.see(2, deleted=True)
    rolling = run.state
    run.end(1, purpose="rollback")

    why = "cancelled by a person (rollback): wrong node"
    assert ("rolled_back", why) == (run.last.transitions[-1].reason, run.last.transitions[-1].message)
    assert ("rolling_back", "cancelled", why) == (rolling.phase, rolling.closing_reason, rolling.rollback_reason)
    assert ("cancelled", "cancelled", why) == (run.state.phase, run.state.outcome, run.state.failure_reason)
    assert {1: "rolled_back", 2: "cancelled"} == run.phases()
    assert ["rolled_back", "cancelled"] == run.told()[-2:]


def test_a_cancel_overrides_how_a_failing_run_would_have_gone_on() -> None:
    """A person's word is the last one."""
    run = Run(a_workflow(a_step(1), a_step(2), executionStrategy={"rollbackStrategy": "automatic"}))
    run.fail(1)

    run.ask(cancel={"mode": "stop"})
    run.end(2)

    assert ("cancelled", (), "cancelled by a person (stop)") == (
        run.state.phase,
        run.state.rollbacks,
        run.state.failure_reason,
    )


def test_a_cancel_is_taken_once() -> None:
    """The same object comes in another version."""
    run = Run(a_workflow(a_step(1), a_step(2)))
    run.ask(cancel={"mode": "stop"})

    assert run.ask(generation=2, cancel={"mode": "stop"}) is None


@pytest.mark.parametrize("mode", ["stop", "rollback", "terminate"])
@pytest.mark.parametrize("phase", ["queued", "validating"])
def test_before_anything_was_executed_every_cancel_is_the_same(phase: str, mode: str) -> None:
    """There is nothing to end and nothing to undo."""
    run = Run(a_workflow(executionStrategy={"approvalRequired": True}), admitted=phase == "validating")
    before = run.state.phase

    run.ask(cancel={"mode": mode, "reason": "no need"})

    why = f"cancelled by a person ({mode}): no need"
    assert (phase, "cancelled", "cancelled", why) == (
        before,
        run.state.phase,
        run.state.outcome,
        run.state.failure_reason,
    )
    last = run.last.transitions[-1]
    assert ([], "cancelled", "cancelled", why) == (run.creates(), last.what, last.reason, last.message)


@pytest.mark.parametrize("mode", ["stop", "terminate"])
def test_a_cancel_while_the_targets_are_watched_ends_the_run_at_once(mode: str) -> None:
    """All steps have ended."""
    run = Run(a_workflow(executionStrategy={"monitoring": {"window": "30s"}}))
    run.end(1)

    run.ask(cancel={"mode": mode, "reason": "no need"})

    why = f"cancelled by a person ({mode}): no need"
    assert ("cancelled", {1: "completed"}, why) == (run.state.phase, run.phases(), run.state.failure_reason)


def test_a_cancel_with_rollback_while_the_targets_are_watched_undoes_what_was_done() -> None:
    """And then the run is cancelled; another version that asks for it is no news."""
    run = Run(a_workflow(a_step(1, **UNDO), executionStrategy={"monitoring": {"window": "30s"}}))
    run.end(1)

    run.ask(cancel={"mode": "rollback"})
    rolling = run.state
    again = run.ask(generation=2)
    run.end(1, purpose="rollback")

    assert again is None
    assert ("rolling_back", "cancelled", "cancelled", "cancelled by a person (rollback)") == (
        rolling.phase,
        rolling.closing_reason,
        run.state.phase,
        run.state.failure_reason,
    )


def rolling_back(*extra: dict[str, Any]) -> Run:
    """A run that undoes step 2, and then step 1."""
    run = Run(
        a_workflow(
            a_step(1, **UNDO),
            a_step(2, after=(1,), maxRetries=3, **UNDO),
            a_step(3, after=(2,)),
            *extra,
            executionStrategy={"rollbackStrategy": "automatic"},
        )
    )
    run.end(1)
    run.end(2)
    run.fail(3)
    return run


@pytest.mark.parametrize("how", ["completed", "failed"])
def test_a_stop_lets_a_rollback_in_flight_end_and_begins_no_other(how: str) -> None:
    """What is left undone is cancelled; an attempt that fails is not tried again."""
    run = rolling_back()

    run.ask(cancel={"mode": "stop", "reason": "enough"})
    asked = run.state
    run.end(2, how, purpose="rollback")

    assert ("rolling_back", "cancelled", "cancelled") == (asked.phase, asked.closing_reason, run.state.phase)
    assert {1: "cancelled", 2: how, 3: "skipped"} == {side.number: side.phase for side in run.state.rollbacks}
    why = "cancelled by a person (stop): enough"
    assert (why, why) == (run.state.failure_reason, run.last.transitions[-1].message)
    assert ("cancelled", "cancelled", "cancelled") == (
        run.state.outcome,
        run.state.rollbacks[0].reason,
        run.last.transitions[-1].reason,
    )


def test_a_terminate_ends_a_rollback_in_flight() -> None:
    """It has not failed: a person ended it."""
    run = rolling_back()
    run.see(2, purpose="rollback")

    run.ask(cancel={"mode": "terminate"})
    asked = (run.state.phase, run.state.rollbacks[1].ending)
    run.see(2, purpose="rollback", deleted=True)

    assert ("rolling_back", "cancelled") == asked
    assert [(2, "rollback", "rollback-2-1")] == [(d.step, d.purpose, d.uid) for d in run.deletes()]
    side = run.state.rollbacks[1]
    assert ("cancelled", "cancelled", run.last.now, "") == (side.phase, side.reason, side.ended_at, side.ending)
    assert ("cancelled", False, "") == (run.state.phase, run.state.rollback_failed, side.error)
    assert {1: "completed", 2: "completed", 3: "failed"} == run.phases()


def test_a_rollback_that_completes_although_its_end_was_asked_for_is_done() -> None:
    """What was done is done."""
    run = rolling_back()
    run.see(2, purpose="rollback")
    run.ask(cancel={"mode": "terminate"})

    run.end(2, purpose="rollback")

    assert {1: "completed", 2: "rolled_back", 3: "failed"} == run.phases()
    assert "cancelled" == run.state.phase


def test_a_terminate_of_a_rollback_that_nobody_has_seen_ends_the_run_at_once() -> None:
    """Should its execution show up, it is deleted."""
    run = rolling_back()
    late = run.execution(2, purpose="rollback")

    run.ask(cancel={"mode": "terminate"})
    ended = run.state.phase
    run.take(late)

    assert "cancelled" == ended
    assert [(2, "rollback")] == [(d.step, d.purpose) for d in run.deletes()]


def two_undone(limit: int) -> Run:
    """A run that undoes two steps that do not depend on each other."""
    strategy = {"rollbackStrategy": "automatic", "parallelismLimit": limit}
    run = Run(a_workflow(a_step(1, **UNDO), a_step(2, **UNDO), a_step(3, after=(1, 2)), executionStrategy=strategy))
    run.end(1)
    run.end(2)
    run.fail(3)
    return run


def test_a_rollback_that_was_still_to_come_is_not_ready_any_more_once_the_run_has_ended() -> None:
    """Only the limit had kept it back."""
    run = two_undone(1)
    ready = run.state.ready
    run.ask(cancel={"mode": "stop"})

    run.end(2, purpose="rollback")

    assert ((1,), (), "cancelled") == (ready, run.state.ready, run.state.phase)


def test_a_terminate_leaves_no_timer_of_a_rollback_that_has_ended_by_it() -> None:
    """One was seen and is waited for, the other was not."""
    run = two_undone(2)
    run.see(1, purpose="rollback")

    run.ask(cancel={"mode": "terminate"})

    assert ({1: "executing", 2: "cancelled", 3: "skipped"}, {}) == (
        {side.number: side.phase for side in run.state.rollbacks},
        run.state.timers,
    )


def test_a_rollback_cannot_be_asked_for_by_cancel_while_there_is_one() -> None:
    """It is refused, and one with another mode is still free."""
    run = rolling_back()

    run.ask(cancel={"mode": "rollback"})
    refused = run.state.refusals
    run.ask(generation=3, cancel={"mode": "stop"})

    assert {"cancel": "it is being rolled back already"} == refused
    assert ({}, "stop") == (run.state.refusals, run.state.control.cancel)


def test_a_run_that_has_ended_cannot_be_cancelled() -> None:
    """It says how to run it again."""
    run = Run(a_workflow())
    run.end(1)

    run.ask(cancel={"mode": "stop"})

    assert ({"cancel": OVER}, "", "completed") == (run.state.refusals, run.state.control.cancel, run.state.phase)


@pytest.mark.parametrize("control", [{"paused": True}, {"cancel": {"mode": "stop"}}], ids=["pause", "cancel"])
def test_a_version_that_asks_once_more_for_what_was_refused_is_noted(control: dict[str, Any]) -> None:
    """So that it cannot come again, late, when the phase is another."""
    run = Run(a_workflow())
    run.end(1)
    run.ask(generation=2, **control)

    run.ask(generation=2, **control)

    assert run.version == run.state.object_version


def test_what_a_person_writes_is_kept_to_a_length() -> None:
    """The state stays small."""
    run = Run(a_workflow(a_step(1), a_step(2)))

    run.ask(cancel={"mode": "stop", "reason": "x" * 999})

    assert f"cancelled by a person (stop): {'x' * 256}" == run.state.failing


def test_several_requests_in_one_version_are_all_looked_at() -> None:
    """In the order pause, cancel, overrides, rollback."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,))))

    run.ask(paused=True, cancel={"mode": "stop"}, overrides=[skip(2)], rollback={"reason": "now"})

    assert ["pause", "cancel"] == [
        "pause" if t.what == "paused" else "cancel" for t in run.last.transitions if t.entity == "workflow"
    ]
    assert ({1: "executing", 2: "skipped"}, {"rollback"}) == (run.phases(), set(run.state.refusals))


def test_nothing_asked_for_is_nothing_to_decide() -> None:
    """A version that differs in a label."""
    run = Run(a_workflow(a_step(1), a_step(2)))

    assert run.ask(generation=1) is None


def test_requests_of_an_object_that_is_being_deleted_are_not_looked_at() -> None:
    """It goes, and takes them along."""
    deleting = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    run = Run(a_workflow(metadata=deleting, control={"paused": True, "cancel": {"mode": "stop"}}))

    assert ("cancelled", {}, "the workflow was deleted before it had ended") == (
        run.state.phase,
        run.state.refusals,
        run.state.failure_reason,
    )
