"""The conditions that people and rollbacks change: Approved, Paused, RolledBack; and where a refusal is told."""

from __future__ import annotations

import msgspec
import pytest

from executor_bridge.definition import Definition
from schemas.run_state import ControlState, MonitorState, RunState
from tests.executor_bridge.builders import START, a_state, a_step
from tests.executor_bridge.view import a_check, a_side, an_approval, some_words, told, validating

ASKED = some_words(approval_required=True)
APPROVE = "kubernaut approve restart-web -n shop"
RESUME = "kubernaut resume restart-web -n shop"
REFUSED = {"approval": "it names plan p0, but the plan is p1"}


def failed(state: RunState, **fields: object) -> RunState:
    """The run failed after three seconds."""
    return msgspec.structs.replace(state, phase="failed", outcome="failed", ended_at=START + 3000, **fields)


@pytest.mark.parametrize(
    ("state", "words", "expected"),
    [
        pytest.param(validating(), some_words(), None, id="no approval was asked for"),
        pytest.param(
            validating(),
            ASKED,
            ("Unknown", "Waiting", f"It waits for an approval: {APPROVE}", "00:00:00.005Z"),
            id="nobody has said anything",
        ),
        pytest.param(
            validating(early_approval="mark"),
            ASKED,
            (
                "Unknown",
                "Waiting",
                "The approval that was written before the plan was made does not count. It waits for an approval: "
                + APPROVE,
                "00:00:00.005Z",
            ),
            id="somebody said it before there was a plan",
        ),
        pytest.param(
            validating(refusals=REFUSED),
            ASKED,
            (
                "False",
                "Refused",
                f"it names plan p0, but the plan is p1. It waits for an approval: {APPROVE}",
                "00:00:00.005Z",
            ),
            id="the approval of another plan was refused",
        ),
        pytest.param(
            a_state(approval=an_approval(reason="checked")),
            ASKED,
            ("True", "Approved", "Approved by alice: checked.", "00:00:02.000Z"),
            id="it is approved",
        ),
        pytest.param(
            a_state(approval=an_approval(), refusals={"approval": "it is approved already"}),
            ASKED,
            (
                "True",
                "Approved",
                "Approved by alice. approval was refused: it is approved already",
                "00:00:02.000Z",
            ),
            id="a second word is refused and the first one holds",
        ),
        pytest.param(
            failed(validating(approval=an_approval("rejected", reason="too risky"))),
            ASKED,
            ("False", "Rejected", "Rejected by alice: too risky.", "00:00:02.000Z"),
            id="it is rejected",
        ),
        pytest.param(
            failed(validating()),
            ASKED,
            ("False", "TimedOut", "Nobody approved it in time.", "00:00:03.000Z"),
            id="nobody said anything in time",
        ),
        pytest.param(
            failed(validating(checks=(a_check(passed=False),))),
            ASKED,
            ("False", "CheckFailed", "The run failed before it was approved.", "00:00:03.000Z"),
            id="a check failed before",
        ),
        pytest.param(
            failed(RunState(phase="planning", errors=("no",))),
            ASKED,
            ("False", "Invalid", "The workflow was refused before an approval could be given.", "00:00:03.000Z"),
            id="the workflow makes no sense",
        ),
        pytest.param(
            msgspec.structs.replace(validating(), phase="cancelled", ended_at=START + 3000),
            ASKED,
            ("False", "Cancelled", "The run ended before it was approved.", "00:00:03.000Z"),
            id="it was cancelled while it waited",
        ),
    ],
)
def test_approved(state: RunState, words: Definition, expected: tuple[str, ...] | None) -> None:
    """Approved says who said what and when, and while nobody has, how it is said."""
    assert told(state, "Approved", words) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(a_state(), None, id="nobody paused it"),
        pytest.param(
            a_state(a_step(1, "executing"), paused_at=START + 700),
            (
                "True",
                "Paused",
                f"No new step starts. In flight: step 1 (name-1). To go on: {RESUME}",
                "00:00:00.700Z",
            ),
            id="it is paused",
        ),
        pytest.param(
            a_state(paused_at=START + 700, refusals={"pause": "frozen"}),
            (
                "True",
                "Paused",
                f"No new step starts. To go on: {RESUME} pause was refused: frozen",
                "00:00:00.700Z",
            ),
            id="a word about the pause was refused",
        ),
        pytest.param(
            a_state(refusals={"pause": "it has ended"}),
            ("False", "Refused", "it has ended", "00:00:00.000Z"),
            id="pausing was refused",
        ),
        pytest.param(failed(a_state(paused_at=START + 700)), None, id="it ended while paused"),
    ],
)
def test_paused(state: RunState, expected: tuple[str, ...] | None) -> None:
    """Paused is True while the run is paused, and False only when a request was refused."""
    assert told(state, "Paused") == expected


ROLLING = {"phase_times": {"planning": START, "executing": START + 10, "rolling_back": START + 500}}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(a_state(), None, id="nothing was rolled back"),
        pytest.param(
            a_state(refusals={"rollback": "the run has not failed"}),
            ("False", "Refused", "the run has not failed", "00:00:00.000Z"),
            id="it was refused",
        ),
        pytest.param(
            a_state(
                phase="rolling_back",
                rollbacks=(a_side(1, "pending"), a_side(2), a_side(3, "skipped", reason="not_done")),
                **ROLLING,
            ),
            ("Unknown", "RollingBack", "1 of 2 rollbacks are done.", "00:00:00.500Z"),
            id="it goes on",
        ),
        pytest.param(
            a_state(
                phase="rolling_back",
                rollbacks=(a_side(1, "executing"), a_side(2, "failed", error="no such node")),
                rollback_failed=True,
                **ROLLING,
            ),
            (
                "False",
                "RollbackFailed",
                "Not undone, a person must look: step 2 (name-2): no such node.",
                "00:00:01.000Z",
            ),
            id="one failed, and that is said before the others have ended",
        ),
        pytest.param(
            failed(a_state(rollbacks=(a_side(1), a_side(2), a_side(3, "skipped", reason="not_done")), **ROLLING)),
            ("True", "RolledBack", "Undone: step 1 (name-1) and step 2 (name-2).", "00:00:03.000Z"),
            id="all that was done is undone",
        ),
        pytest.param(
            failed(a_state(rollbacks=(a_side(1), a_side(2, "skipped", reason="no_rollback_spec")), **ROLLING)),
            (
                "True",
                "RolledBack",
                "Undone: step 1 (name-1). Left as it is, because it has no rollbackSpec: step 2 (name-2).",
                "00:00:03.000Z",
            ),
            id="what cannot be undone is named",
        ),
        pytest.param(
            failed(a_state(rollbacks=(a_side(2, "skipped", reason="no_rollback_spec"),), **ROLLING)),
            (
                "True",
                "NothingUndone",
                "Left as it is, because it has no rollbackSpec: step 2 (name-2).",
                "00:00:03.000Z",
            ),
            id="nothing can be undone",
        ),
        pytest.param(
            failed(a_state(**ROLLING)),
            ("True", "NothingUndone", "No step had been done that was to be undone.", "00:00:03.000Z"),
            id="nothing had been done",
        ),
        pytest.param(
            failed(a_state(rollbacks=(a_side(1, "pending"), a_side(2, "cancelled")), **ROLLING)),
            (
                "False",
                "RollbackStopped",
                "It ended before step 2 (name-2) and step 1 (name-1) could be undone.",
                "00:00:03.000Z",
            ),
            id="it was ended before it was done",
        ),
    ],
)
def test_rolled_back(state: RunState, expected: tuple[str, ...] | None) -> None:
    """RolledBack is True when all that can be undone was, and False as soon as that cannot be any more."""
    assert told(state, "RolledBack") == expected


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"approval": an_approval("rejected")}, "ApprovalRejected", id="rejected"),
        pytest.param({"checks": (a_check(passed=False),)}, "CheckFailed", id="a required check failed"),
        pytest.param({"checks": (a_check(passed=False, required=False),)}, "TimedOut", id="another check failed"),
        pytest.param({"dry_runs": (a_side(1, "failed"),)}, "DryRunFailed", id="a dry run failed"),
    ],
)
def test_a_run_that_fails_in_validating_is_not_validated(fields: dict[str, object], reason: str) -> None:
    """Validated is False with the reason in one word, although the definition made sense."""
    state = failed(validating(**fields), failure_reason="so it is")

    assert told(state, "Validated") == ("False", reason, "so it is", "00:00:03.000Z")


def test_a_run_that_was_not_approved_had_been_validated() -> None:
    """Checks and dry runs that passed are a fact, whatever people say of the run then."""
    times = {"planning": START, "validating": START + 5, "validated": START + 6}
    state = failed(validating(phase_times=times, approval=an_approval("rejected")))

    assert told(state, "Validated") == ("True", "Valid", "The definition makes sense.", "00:00:00.006Z")


def test_a_run_that_failed_and_is_rolled_back_on_demand_goes_on() -> None:
    """Succeeded and Reconciling are open again since the rollback was asked for, not since the run began."""
    state = a_state(phase="rolling_back", control=ControlState(rollback=True), ended_at=START + 90, **ROLLING)

    assert told(state, "Succeeded") == ("Unknown", "RollingBack", "The run has not ended.", "00:00:00.500Z")
    assert told(state, "Reconciling") == ("True", "RollingBack", "", "00:00:00.500Z")
    assert told(state, "Stalled") is None


def test_a_run_that_could_not_be_verified_says_what_was_seen() -> None:
    """An outcome that is unknown is no success, and Succeeded names what was not healthy."""
    state = a_state(
        phase="completed",
        outcome="unknown",
        ended_at=START + 3000,
        monitor=MonitorState(looks=2, message="web is down"),
    )

    said = "The steps have completed, but what they changed was not seen to be healthy: web is down"
    assert told(state, "Succeeded") == ("False", "Unknown", said, "00:00:03.000Z")


def test_every_refusal_is_told_in_one_condition() -> None:
    """What has no condition of its own, or none on this run, is told in Reconciling."""
    refusals = {"skip-3": "it has ended", "approval": "none was asked for", "cancel": "not twice", "pause": "no"}
    state = a_state(refusals=refusals, failing="step 2 failed")

    reconciling = told(state, "Reconciling")

    assert reconciling is not None
    assert reconciling[2] == (
        "approval was refused: none was asked for; cancel was refused: not twice; skip-3 was refused: it has ended;"
        " step 2 failed"
    )
    assert told(state, "Paused") == ("False", "Refused", "no", "00:00:00.000Z")


def test_a_run_that_waits_for_a_person_is_not_stalled() -> None:
    """A stalled object counts as failed for kstatus; one that waits for a word is being reconciled."""
    assert told(validating(), "Stalled", ASKED) is None
    assert told(validating(), "Reconciling", ASKED) == ("True", "Validating", "", "00:00:00.000Z")
