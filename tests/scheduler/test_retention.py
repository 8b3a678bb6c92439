"""What becomes of the object of a run that has ended."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.messages import CheckReported, DeleteWorkflow, RunCheck
from schemas.names import FINALIZER
from tests.scheduler.builders import Run, a_step, a_workflow, definition_of

DAY_MS = 86_400_000
OWNER = {"apiVersion": "remediation.kubernaut.io/v1", "kind": "RemediationRequest", "name": "r", "uid": "u"}
OWNED = {"ownerReferences": [OWNER]}
DELETING = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}


def ended(metadata: dict[str, Any] | None = None, **strategy: Any) -> Run:
    """A run that has completed."""
    run = Run(a_workflow(metadata=metadata, executionStrategy=strategy))
    run.end(1)
    return run


def asked(run: Run) -> list[str]:
    """The questions whether the audit holds the run."""
    return [c.check for c in run.commands() if isinstance(c, RunCheck) and c.type == "audit"]


def deletions(run: Run) -> int:
    """How often the deletion of the object was commanded."""
    return sum(isinstance(command, DeleteWorkflow) for command in run.commands())


@pytest.mark.parametrize(
    ("strategy", "ms"),
    [
        pytest.param({}, DAY_MS, id="a day when nothing is said"),
        pytest.param({"ttlAfterFinished": "90s"}, 90_000, id="as it says"),
    ],
)
def test_an_object_is_kept_for_its_time(strategy: dict[str, Any], ms: int) -> None:
    """From the end of the run; nothing else is due."""
    run = ended(**strategy)

    assert {"ttl": run.last.now + ms} == run.state.timers
    assert run.state.timers["ttl"] == run.wakes[-1] or run.wakes[-1] < run.state.timers["ttl"]


@pytest.mark.parametrize(
    "workflow",
    [
        pytest.param(a_workflow(a_step(1, after=(9,)), executionStrategy={"ttlAfterFinished": "90s"}), id="refused"),
        pytest.param(
            a_workflow(executionStrategy={"ttlAfterFinished": "90s"}, status={"phase": "executing", "sequence": 4}),
            id="its log was lost",
        ),
    ],
)
def test_a_run_that_never_began_is_kept_for_its_time_too(workflow: dict[str, Any]) -> None:
    """A person must be able to read why."""
    run = Run(workflow)

    assert {"ttl": run.last.now + 90_000} == run.state.timers


def test_an_object_whose_time_cannot_be_read_is_kept_for_a_day() -> None:
    """It is one of its errors."""
    run = Run(a_workflow(executionStrategy={"ttlAfterFinished": "soon"}))

    assert ("failed", {"ttl": run.last.now + DAY_MS}) == (run.state.phase, run.state.timers)


def test_when_its_time_is_over_it_is_asked_whether_the_audit_holds_everything() -> None:
    """And asked again should no answer come."""
    run = ended()

    run.wait_for("ttl")
    first = (list(run.last.commands), run.state.timers, run.state.audit_looks)
    run.wait_for("ttl")

    assert ([RunCheck(check="audit-1", type="audit")], {"ttl": run.decisions[-2].now + 600_000}, 1) == first
    assert (["audit-1", "audit-2"], 0) == (asked(run), deletions(run))


def test_an_object_is_deleted_only_once_the_audit_holds_everything() -> None:
    """Until then it is asked again every minute."""
    run = ended()
    run.wait_for("ttl")

    run.report("audit-1", passed=False)
    not_yet = (deletions(run), run.state.timers["ttl"] - run.last.now)
    run.wait_for("ttl")
    run.report("audit-2")

    assert (0, 60_000) == not_yet
    assert (["audit-1", "audit-2"], 1) == (asked(run), deletions(run))
    assert {"ttl": run.last.now + 600_000} == run.state.timers


def test_an_object_that_is_still_there_after_its_deletion_is_asked_about_again() -> None:
    """And deleted again, for the command may have been lost."""
    run = ended()
    run.wait_for("ttl")
    run.report("audit-1")

    run.wait_for("ttl")
    run.report("audit-2")

    assert (["audit-1", "audit-2"], 2) == (asked(run), deletions(run))


@pytest.mark.parametrize("passed", [True, False])
def test_an_answer_counts_once(passed: bool) -> None:  # noqa: FBT001
    """The message comes twice."""
    run = ended()
    run.wait_for("ttl")
    answer = run.found("audit-1", passed=passed)
    run.take(answer)

    assert run.take(answer) is None


@pytest.mark.parametrize("check", ["audit-0", "audit-1", "audit-9"])
def test_an_answer_to_another_question_deletes_nothing(check: str) -> None:
    """It was asked again since, or never."""
    run = ended()
    if check == "audit-1":
        run.wait_for("ttl")
        run.wait_for("ttl")

    seen = run.take(CheckReported(workflow=run.last.workflow, command_id="c", check=check, type="audit", passed=True))

    assert (None, 0) == (seen, deletions(run))


def test_an_object_that_a_remediation_request_owns_is_not_ours_to_delete() -> None:
    """Its owner decides."""
    run = ended(OWNED)

    assert ({}, True) == (run.state.timers, run.state.owned)


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param(OWNER | {"kind": "Job"}, id="of another kind"),
        pytest.param(OWNER | {"apiVersion": "batch/v1"}, id="of another group"),
    ],
)
def test_other_owners_do_not_matter(owner: dict[str, Any]) -> None:
    """Only a RemediationRequest keeps it."""
    assert {"ttl"} == set(ended({"ownerReferences": [owner]}).state.timers)


def test_an_owner_that_comes_later_keeps_the_object() -> None:
    """Even when the question is on its way."""
    run = ended()
    run.wait_for("ttl")

    run.ask(generation=1, metadata=OWNED)
    timers = run.state.timers
    answer = run.report("audit-1")

    assert ({}, None, 0) == (timers, answer, deletions(run))


def test_an_owner_that_lets_go_lets_the_object_be_deleted() -> None:
    """Its time counts from the end of the run, so it may be over at once."""
    run = ended(OWNED)
    end = run.state.ended_at
    run.time += 1000

    run.ask(generation=1, metadata={"ownerReferences": []})
    kept_until = run.state.timers
    late = ended(OWNED)
    late.time += 2 * DAY_MS
    late.ask(generation=1, metadata={"ownerReferences": []})

    assert {"ttl": end + DAY_MS} == kept_until
    assert ["audit-1"] == asked(late)


def test_an_owner_that_changes_while_the_run_goes_on_is_noted() -> None:
    """It decides at the end."""
    run = Run(a_workflow())

    run.ask(generation=1, metadata=OWNED)
    timers = run.state.timers
    run.end(1)

    assert "ttl" not in timers
    assert ({}, "completed") == (run.state.timers, run.state.phase)


def test_a_run_that_is_kept_for_no_time_is_looked_at_again_at_once() -> None:
    """A wake-up is armed for it, right behind the end."""
    run = ended(ttlAfterFinished="0s")
    end, wake = run.last.now, run.wakes[-1]

    run.wait((wake - run.time) / 1000)

    assert (end + 1, ["audit-1"]) == (wake, asked(run))


def test_a_wake_up_is_armed_although_another_one_fires_at_the_same_moment() -> None:
    """The end comes in the very millisecond of the last wake-up, which is used up by that."""
    step = a_step(1, timeout="30s", criticalStep=False)
    run = Run(a_workflow(step, executionStrategy={"ttlAfterFinished": "0s"}))

    run.lose(1)

    assert ("completed", run.last.now) == (run.state.phase, run.state.timers["ttl"])
    assert run.last.now + 1 == run.wakes[-1] == run.state.wake_at


def test_an_object_that_is_being_deleted_is_left_alone() -> None:
    """Our finalizer came on late and was taken off; the rest is up to whoever deletes it."""
    run = ended()
    run.take(definition_of(a_workflow(version=500, metadata=DELETING)))

    run.wait_for("ttl")

    assert ([], {}) == (asked(run), run.state.timers)


def test_an_answer_about_an_object_that_is_being_deleted_deletes_nothing() -> None:
    """Somebody was faster."""
    run = ended()
    run.wait_for("ttl")
    run.take(definition_of(a_workflow(version=500, metadata=DELETING)))

    assert (None, 0) == (run.report("audit-1"), deletions(run))


def test_nothing_is_due_any_more_once_the_object_is_gone() -> None:
    """The run is told as deleted, once."""
    run = ended()

    run.take(definition_of(a_workflow(version=500), deleted=True))
    again = run.take(definition_of(a_workflow(version=501), deleted=True))

    assert ({}, True, "deleted", None) == (run.state.timers, run.state.gone, run.told()[-1], again)


def test_a_rollback_on_demand_makes_an_answer_void_and_begins_the_time_anew() -> None:
    """The question was about a run that had ended, which it has not any more."""
    undo = {"action": "scale_deployment", "parameters": {"deployment": "c", "namespace": "shop", "replicas": 1}}
    run = Run(a_workflow(a_step(1, rollbackSpec=undo), a_step(2, after=(1,))))
    run.end(1)
    run.fail(2)
    run.wait_for("ttl")
    run.ask(rollback={})

    void = run.report("audit-1")
    run.end(1, purpose="rollback")

    assert (None, 0) == (void, deletions(run))
    assert {"ttl": run.last.now + DAY_MS} == run.state.timers
    run.wait_for("ttl")
    assert ["audit-1", "audit-2"] == asked(run)
