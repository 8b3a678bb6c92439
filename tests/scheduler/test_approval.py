"""The approval of a plan: whose word counts, when, for which plan, and how long it is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.inputs import Place
from schemas.messages import TimerDue
from schemas.names import ANNOTATION_APPROVAL, ANNOTATION_APPROVED_PLAN, ANNOTATION_APPROVER
from schemas.run_state import LearnedAction
from tests.scheduler.builders import UID, Run, a_step, a_workflow, definition_of

RBAC = {"type": "rbac"}


def guarded(**strategy: Any) -> Run:
    """A run that asks for an approval."""
    return Run(a_workflow(executionStrategy={"approvalRequired": True, **strategy}))


def digest(run: Run) -> str:
    """The digest of the plan."""
    assert run.plan.state is not None
    return run.plan.state.digest


def annotated(verdict: str, *, plan: str = "", by: str = "alice", **strategy: Any) -> dict[str, Any]:
    """A workflow with an approval on it from the start."""
    said = {ANNOTATION_APPROVAL: verdict, ANNOTATION_APPROVER: by} | ({ANNOTATION_APPROVED_PLAN: plan} if plan else {})
    return a_workflow(metadata={"annotations": said}, executionStrategy={"approvalRequired": True, **strategy})


def last_reason(run: Run) -> str:
    """Why the newest transition was."""
    return run.last.transitions[-1].reason


def test_an_approval_starts_the_run_and_stands_in_every_command() -> None:
    """Who, why and for which plan is recorded, with the time of the message."""
    run = guarded()
    waiting = (run.state.phase, run.told())

    run.say("approved", by="alice", reason="CHG-1042", plan=digest(run))

    approval = run.state.approval
    assert approval is not None
    assert ("validating", ["planned", "validated"]) == waiting
    assert ("approved", "alice", "CHG-1042", run.last.now, digest(run)) == (
        approval.verdict,
        approval.by,
        approval.reason,
        approval.at,
        approval.plan,
    )
    assert run.create_of(1).approved
    told = [(t.what, t.reason, t.message) for t in run.last.transitions if t.what == "approved"]
    assert [("approved", "approval_approved", "approved by alice: CHG-1042")] == told


def test_a_run_that_asks_for_no_approval_is_not_called_approved() -> None:
    """The executor is told so."""
    assert not Run(a_workflow()).create_of(1).approved


def test_an_approval_that_names_no_plan_is_of_the_plan_that_there_is() -> None:
    """It came after there was one."""
    run = guarded()

    run.say("approved")

    assert ("executing", digest(run)) == (run.state.phase, run.state.approval and run.state.approval.plan)
    assert "approved by alice" == run.last.transitions[0].message


def test_an_approval_of_another_plan_counts_for_nothing() -> None:
    """The run still waits, and a right one is taken."""
    run = guarded()

    run.say("approved", plan="0123456789abcdef0000")
    refused = (run.state.phase, run.state.refusals)
    run.say("approved", plan=digest(run))

    message = f"it names plan 0123456789abcdef, and this run's plan is {digest(run)[:16]}"
    assert ("validating", {"approval": message}) == refused
    assert ("executing", {}) == (run.state.phase, run.state.refusals)


def test_a_rejection_ends_the_run() -> None:
    """With who and why; nothing was executed."""
    run = guarded()

    run.say("rejected", by="bob", reason="not before the weekend")

    assert ("failed", "approval_rejected") == (run.state.phase, last_reason(run))
    assert "rejected by bob: not before the weekend" == run.state.failure_reason
    assert ["planned", "validated", "rejected", "1 cancelled", "failed"] == run.told()
    assert [] == run.creates()


def test_an_approval_may_come_before_the_checks_have_ended() -> None:
    """The plan is known, and that is what it is about."""
    run = guarded(safetyChecks=[RBAC])

    run.say("approved")
    early = (run.state.phase, run.told())
    run.report("check-1")

    assert ("validating", ["planned", "approved"]) == early
    assert ["planned", "approved", "validated", "started", "1 ready"] == run.told()


@pytest.mark.parametrize(
    ("verdict", "by", "refused"),
    [
        pytest.param("approved", "alice", "", id="the same again, with another reason"),
        pytest.param("approved", "bob", "the run was approved by alice already", id="by somebody else"),
        pytest.param("rejected", "alice", "the run was approved by alice already", id="the opposite"),
    ],
)
def test_the_first_word_counts(verdict: str, by: str, refused: str) -> None:
    """A later one is answered, not taken."""
    run = guarded()
    run.say("approved", by="alice")

    run.say(verdict, by=by, reason="second thoughts")

    assert ("executing", "alice") == (run.state.phase, run.state.approval and run.state.approval.by)
    said = f"{refused}; while it goes on, a cancel stops it" if refused else ""
    assert said == run.state.refusals.get("approval", "")


def test_an_approval_without_a_name_is_not_taken_for_another_one_when_it_is_seen_again() -> None:
    """Each version of the object carries it."""
    run = guarded()
    run.say("approved", by="")

    run.ask(generation=3)

    assert ({}, "somebody who is not named") == (run.state.refusals, run.state.approval and run.state.approval.by)


def test_a_word_that_is_no_verdict_is_refused() -> None:
    """Never silently dropped."""
    run = guarded()

    run.say("yes")

    assert ("validating", {"approval": "'yes' is neither approved nor rejected"}) == (
        run.state.phase,
        run.state.refusals,
    )


def test_an_approval_that_nobody_asked_for_is_refused_once_for_ever() -> None:
    """Whatever phase the run is in, with the same words, so that it is told once."""
    run = Run(a_workflow(executionStrategy={"safetyChecks": [RBAC]}))
    run.say("approved")
    first = run.state.refusals

    run.report("check-1")
    run.end(1)

    assert {"approval": "this run asks for none"} == first
    assert "completed" == run.state.phase
    assert run.ask(generation=2) is None


@pytest.mark.parametrize("admitted", [True, False])
def test_an_approval_that_was_written_before_there_was_a_plan_approves_nothing(
    admitted: bool,  # noqa: FBT001
) -> None:
    """It stands on the object from the start, whether the run waits for its place or not; it is refused once."""
    run = Run(annotated("approved"), admitted=admitted)
    said = (run.state.approval, run.state.refusals)
    run.take(Place(admitted=True))

    again = run.ask(generation=1)

    words = {"approval": "it was written before there was a plan; look at the plan and approve again"}
    assert (None, words) == said
    assert ("validating", None, words) == (run.state.phase, run.state.approval, run.state.refusals)
    assert again is None
    run.say("approved", reason="looked at it")
    assert "executing" == run.state.phase


def test_an_approval_while_the_run_is_queued_is_too_early() -> None:
    """It is not taken once there is a plan, either."""
    run = Run(a_workflow(executionStrategy={"approvalRequired": True}), admitted=False)

    run.say("approved")
    run.take(Place(admitted=True))

    assert ("validating", None) == (run.state.phase, run.state.approval)
    assert run.state.early_approval


@pytest.mark.parametrize("admitted", [True, False])
@pytest.mark.parametrize(
    ("verdict", "phase", "told"),
    [
        pytest.param("approved", "executing", ["planned", "approved", "validated", "started", "1 ready"], id="yes"),
        pytest.param("rejected", "failed", ["planned", "rejected", "1 cancelled", "failed"], id="no"),
    ],
)
def test_an_early_approval_that_names_the_very_plan_counts(
    verdict: str,
    phase: str,
    told: list[str],
    admitted: bool,  # noqa: FBT001
) -> None:
    """Somebody knew the plan, so it is about it; it is told once there is one."""
    named = digest(guarded())

    run = Run(annotated(verdict, plan=named), admitted=admitted)
    queued = run.told()
    run.take(Place(admitted=True))

    assert (phase, {}) == (run.state.phase, run.state.refusals)
    assert told == run.told()
    assert admitted or [] == queued


def test_an_early_approval_of_another_plan_counts_for_nothing() -> None:
    """What it names is quoted."""
    run = Run(annotated("approved", plan="beef" * 8))

    assert ("validating", None) == (run.state.phase, run.state.approval)
    assert run.state.refusals["approval"].startswith("it names plan beefbeefbeefbeef, and")


def test_an_early_approval_is_dropped_when_the_plan_has_become_another_one() -> None:
    """Learned figures changed while the run was queued."""
    learning = {"adaptiveOrchestration": {"learningFromHistory": True}}
    run = Run(a_workflow(executionStrategy={"approvalRequired": True}, **learning), admitted=False)
    run.say("approved", plan=digest(run))
    held = run.state.approval
    other = Run(
        a_workflow(executionStrategy={"approvalRequired": True}, **learning),
        learned={"scale_deployment": LearnedAction(9, 1.0, 7.0, 9.0)},
    )
    named, run.plan = digest(run), other.plan

    run.take(Place(admitted=True))

    assert held is not None
    assert ("validating", None) == (run.state.phase, run.state.approval)
    assert {"approval": f"it names plan {named[:16]}, and this run's plan is {digest(other)[:16]}"} == (
        run.state.refusals
    )


@pytest.mark.parametrize("verdict", ["approved", "rejected"])
def test_an_approval_of_a_run_that_has_ended_is_refused(verdict: str) -> None:
    """Nobody had approved in time."""
    run = guarded()
    run.wait_for("phase")

    run.say(verdict)

    assert {"approval": "the run has ended; `kubernaut rerun` runs it again from a step"} == run.state.refusals
    assert "failed" == run.state.phase


def test_an_approval_of_a_run_that_planning_refused_is_too_early_for_ever() -> None:
    """One on the object from the start is told once, one that comes later hears that the run has ended."""
    bad = annotated("approved") | {"spec": a_workflow(a_step(1, after=(9,)))["spec"]}
    run = Run(bad)
    early = run.state.refusals

    run.say("approved", by="bob")

    assert early["approval"].startswith("it was written before there was a plan")
    assert run.state.refusals["approval"].startswith("the run has ended")


def test_an_approval_in_the_same_batch_as_the_timer_came_in_time() -> None:
    """As above."""
    run = guarded()
    due = late(run)
    said = definition_of(annotated("approved", plan=digest(run)) | {"metadata": approved_metadata()}, sequence=9)

    run.take(due, said)

    assert ("executing", "alice") == (run.state.phase, run.state.approval and run.state.approval.by)


def approved_metadata() -> dict[str, Any]:
    """Of a newer version that alice has approved."""
    return annotated("approved")["metadata"] | {"resourceVersion": "300"}


def test_a_wait_for_a_person_is_part_of_the_five_minutes() -> None:
    """Then the run has failed, and says how to go on."""
    run = guarded()

    run.wait_for("phase")

    assert ("failed", "approval_timed_out") == (run.state.phase, last_reason(run))
    assert "nobody approved the run within 5 minutes; apply it again under a new name" == run.state.failure_reason


def test_a_failed_check_in_the_same_batch_as_the_timer_is_the_reason() -> None:
    """Not that nobody approved."""
    run = guarded(safetyChecks=[RBAC])
    due = late(run)

    run.take(due, run.found("check-1", passed=False))

    assert ("failed", "check_failed") == (run.state.phase, last_reason(run))


def test_a_failed_dry_run_in_the_same_batch_as_the_timer_is_the_reason() -> None:
    """As above."""
    run = guarded(dryRunFirst=True)
    due = late(run)

    run.take(due, run.execution(1, "failed", purpose="dry_run"))

    assert ("failed", "dry_run_failed") == (run.state.phase, last_reason(run))


def test_an_approval_is_waited_for_after_the_dry_runs_have_passed() -> None:
    """And it is what was missing then, whatever became of a check that was not required."""
    run = guarded(dryRunFirst=True, safetyChecks=[RBAC | {"required": False}])
    run.report("check-1", passed=False)
    run.end(1, purpose="dry_run")

    run.wait_for("phase")

    assert ("failed", "approval_timed_out") == (run.state.phase, last_reason(run))


def test_a_last_check_in_the_same_batch_leaves_no_time_for_an_approval() -> None:
    """Nobody has approved."""
    run = guarded(safetyChecks=[RBAC])
    due = late(run)

    run.take(due, run.found("check-1"))

    assert "approval_timed_out" == last_reason(run)


def test_the_events_of_validating_come_in_order() -> None:
    """Planned, validated, approved, started."""
    run = guarded(safetyChecks=[RBAC], dryRunFirst=True)
    run.report("check-1")
    run.end(1, purpose="dry_run")

    run.say("approved")

    assert ["planned", "validated", "approved", "started", "1 ready"] == run.told()


def late(run: Run) -> TimerDue:
    """The wake-up at the end of validating, and the time it is then."""
    run.time = run.state.timers["phase"]
    return TimerDue(workflow_uid=UID, due_at=run.time)
