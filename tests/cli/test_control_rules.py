"""What may be asked of a run in which phase, and how the answer is read from its status."""

from __future__ import annotations

from typing import Any

import pytest

from kubernaut.cli.approval import what_is_approved
from kubernaut.cli.steering import Asked, SteeringError, Verb, change_for
from kubernaut.cli.verdicts import last_word, verdict_of
from schemas.names import (
    ANNOTATION_APPROVAL,
    ANNOTATION_APPROVAL_REASON,
    ANNOTATION_APPROVED_PLAN,
    ANNOTATION_APPROVER,
)
from tests.cli.steered import DIGEST, a_condition, a_run, a_waiting_run, told

ENDED = ("completed", "failed", "cancelled")
UNENDED = ("", "queued", "planning", "validating", "executing", "monitoring", "rolling_back")
APPROVE = Asked(verb="approve", user="alice", plan=DIGEST, reason="CHG-1")
PAUSE, RESUME = Asked(verb="pause"), Asked(verb="resume")
CANCEL = Asked(verb="cancel", mode="stop", reason="wrong node")
SKIP, RETRY = Asked(verb="skip", step=3, reason="by hand"), Asked(verb="retry", step=3, reason="again")
ROLLBACK = Asked(verb="rollback", reason="worse")
OVERRIDE = {"stepNumber": 3, "operation": "skip", "reason": "by hand"}


def refusal(body: dict[str, Any], asked: Asked) -> str:
    """Return why a request is not even written."""
    with pytest.raises(SteeringError) as caught:
        change_for(body, asked)
    return str(caught.value)


@pytest.mark.parametrize("phase", UNENDED)
@pytest.mark.parametrize(
    ("asked", "control"),
    [
        (PAUSE, {"paused": True}),
        (CANCEL, {"cancel": {"mode": "stop", "reason": "wrong node"}}),
        (Asked(verb="cancel", mode="terminate"), {"cancel": {"mode": "terminate"}}),
        (SKIP, {"overrides": [OVERRIDE]}),
        (RETRY, {"overrides": [OVERRIDE | {"operation": "retry", "reason": "again"}]}),
    ],
    ids=lambda value: value.verb if isinstance(value, Asked) else "",
)
def test_a_run_that_has_not_ended_is_asked(phase: str, asked: Asked, control: dict[str, Any]) -> None:
    """The scheduler says whether it means something in that phase."""
    assert change_for(a_run(phase), asked) == {"spec": {"control": control}}


@pytest.mark.parametrize("phase", ENDED)
@pytest.mark.parametrize("asked", [APPROVE, PAUSE, RESUME, CANCEL, SKIP, RETRY], ids=lambda asked: asked.verb)
def test_a_run_that_has_ended_is_not_asked(phase: str, asked: Asked) -> None:
    """The way out is a new run."""
    text = refusal(a_run(phase, failureReason="step 2 failed"), asked)

    assert f"leak has ended as {phase} (step 2 failed)" in text
    assert "`kubernaut rerun leak -n shop`" in text


def test_overrides_are_added_behind_those_that_are_there() -> None:
    """They are append only: what is there stays as it is."""
    earlier = OVERRIDE | {"stepNumber": 2}

    change = change_for(a_run(control={"overrides": [earlier], "paused": True}), SKIP)

    assert change == {"spec": {"control": {"overrides": [earlier, OVERRIDE]}}}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (a_run(), "leak has no step 9; the steps are 1, 2, 3, 4"),
        (
            a_run(stepStatuses=told("pending", "pending", "pending", "pending", "pending")),
            "the steps are 1, 2, 3, 4, 5",
        ),
    ],
    ids=["before they are told", "with one that a recommendation became"],
)
def test_a_step_that_is_not_there_is_told_with_those_that_are(body: dict[str, Any], words: str) -> None:
    """A wrong number is found before it is written, for overrides cannot be taken back."""
    assert words in refusal(body, Asked(verb="skip", step=9, reason="x"))


def test_a_step_that_a_recommendation_will_become_is_not_refused_before_the_plan() -> None:
    """Before planning nobody knows its number here."""
    body = a_run("queued")
    body["spec"]["workflowDefinition"]["aiRecommendations"] = {
        "recommendations": [{"id": "a", "action": "restart_pod"}]
    }

    assert change_for(body, Asked(verb="skip", step=5, reason="x"))


@pytest.mark.parametrize(
    ("body", "asked", "words"),
    [
        (a_run(waitingFor="The end of step 2."), RESUME, "leak is not paused; it waits for: The end of step 2."),
        (
            a_run(control={"cancel": {"mode": "stop", "reason": "late"}}),
            CANCEL,
            "(mode stop, because: late); a cancel is",
        ),
        (a_run("failed", control={"cancel": {}}), CANCEL, "It is in phase failed"),
        (a_run("rolling_back"), Asked(verb="cancel", mode="rollback"), "is being rolled back already; mode stop or"),
        (a_run(), ROLLBACK, "`kubernaut cancel leak -n shop --mode rollback`"),
        (a_run("completed"), ROLLBACK, "only a failed run is rolled back on demand"),
        (a_run("failed", control={"rollback": {}}), ROLLBACK, "asked for already, and is given once"),
    ],
    ids=[
        "resume",
        "second cancel",
        "cancel after it",
        "rollback twice",
        "too early",
        "nothing failed",
        "second rollback",
    ],
)
def test_what_cannot_be_is_told_with_a_way_out(body: dict[str, Any], asked: Asked, words: str) -> None:
    """A field that is given once must not be used up for nothing."""
    assert words in refusal(body, asked)


def test_a_run_that_is_never_rolled_back_is_not_asked_to() -> None:
    """The strategy of the plan counts, then that of the spec."""
    body = a_run("failed")
    body["status"]["executionPlan"] = body["status"]["executionPlan"] | {"rollbackStrategy": "none"}

    assert "rollbackStrategy is none" in refusal(body, ROLLBACK)


@pytest.mark.parametrize(("reason", "written"), [("worse", {"reason": "worse"}), ("", {})])
def test_a_failed_run_is_rolled_back_on_demand(reason: str, written: dict[str, str]) -> None:
    """With a reason or without."""
    assert change_for(a_run("failed"), Asked(verb="rollback", reason=reason)) == {
        "spec": {"control": {"rollback": written}}
    }


@pytest.mark.parametrize(("verb", "word"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision_names_who_and_which_plan(verb: Verb, word: str) -> None:
    """The reason of an earlier word is taken away where there is none."""
    change = change_for(a_waiting_run(), Asked(verb=verb, user="alice", plan=DIGEST))

    assert change["metadata"]["annotations"] == {
        ANNOTATION_APPROVAL: word,
        ANNOTATION_APPROVER: "alice",
        ANNOTATION_APPROVAL_REASON: None,
        ANNOTATION_APPROVED_PLAN: DIGEST,
    }


def decided(word: str, digest: str = DIGEST, **status: Any) -> dict[str, Any]:
    """Return a run that waits, with a word on it."""
    body = a_waiting_run(**status)
    written = {ANNOTATION_APPROVAL: word, ANNOTATION_APPROVER: "bob", ANNOTATION_APPROVED_PLAN: digest}
    body["metadata"]["annotations"] = written
    return body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (a_run(""), "has no plan yet (nobody has taken it up)"),
        (a_run("queued", waitingFor="A free place."), "has no plan yet (phase queued; it waits for: A free place.)"),
        (a_run("executing"), "waits for no approval (phase executing)"),
        (a_run("validating"), "waits for no approval (phase validating)"),
        (
            a_run(validationResults={"approvalReceived": True, "approvedBy": "bob", "approvalTimestamp": "T"}),
            "was approved already by bob at T",
        ),
        (decided("rejected"), "was rejected already by bob; the scheduler has not taken it in yet"),
        (a_waiting_run() | {"status": {"phase": "validating"}}, "shows no digest of its plan"),
    ],
    ids=["unseen", "queued", "executing", "not asked for", "approved", "not taken in", "no digest"],
)
def test_what_does_not_wait_for_an_approval_says_what_it_is(body: dict[str, Any], words: str) -> None:
    """Each has its sentence."""
    assert words in refusal(body, APPROVE)


@pytest.mark.parametrize(
    "body",
    [decided("approved", "another"), decided("approved", "")],
    ids=["about another plan", "about none"],
)
def test_a_word_that_is_not_about_this_plan_may_be_replaced(body: dict[str, Any]) -> None:
    """Such a word approves nothing."""
    assert change_for(body, APPROVE)


def test_a_word_that_was_refused_may_be_replaced() -> None:
    """The condition says so."""
    body = decided("approved")
    body["status"]["conditions"] = [a_condition("Approved", "False", "Refused", "bob may not approve")]

    assert change_for(body, APPROVE)


def test_a_plan_that_changed_after_it_was_shown_is_not_approved() -> None:
    """The person has seen another one."""
    text = refusal(a_waiting_run(), Asked(verb="approve", user="alice", plan="older"))

    assert f"({DIGEST}, not older); nothing was written" in text


def test_high_risk_asks_for_an_approval_without_the_strategy() -> None:
    """Recommendations set it in planning; the spec does not say so."""
    body = a_run("validating")
    recommended = [{"id": "a", "action": "restart_pod", "risk": "high"}]
    body["spec"]["workflowDefinition"]["aiRecommendations"] = {"recommendations": recommended}

    assert change_for(body, APPROVE)


def after(asked: Asked, phase: str = "executing", *, observed: int = 2, **status: Any) -> str | None:
    """Return what is read from a status after a request of generation 2: `REFUSED: why`, what was done, or None."""
    before = a_run() | {"metadata": a_run()["metadata"] | {"generation": 1}}
    now = a_run(phase, **(status | {"observedGeneration": observed}))
    now["metadata"]["generation"] = 2
    verdict = verdict_of(asked, before, now)
    return None if verdict is None else f"{'REFUSED: ' if verdict.refused else ''}{verdict.text}"


def reconciling(message: str) -> list[dict[str, str]]:
    """Return the conditions with refusals in them."""
    return [a_condition("Reconciling", "True", "Executing", message)]


@pytest.mark.parametrize("asked", [PAUSE, RESUME, CANCEL, SKIP, RETRY, ROLLBACK], ids=lambda asked: asked.verb)
def test_a_status_of_an_older_generation_tells_nothing(asked: Asked) -> None:
    """Whatever stands in it is about an earlier request."""
    conditions = [*reconciling("cancel was refused: old"), a_condition("Paused", "False", "Refused", "old")]

    assert after(asked, observed=1, conditions=conditions) is None


PAUSED = a_condition("Paused", "True", "Paused", "No new step starts.")
PAUSED_AGAIN = a_condition("Paused", "True", "Paused", "No new step starts. resume was refused: no")
NOT_PAUSED = a_condition("Paused", "False", "Refused", "nothing starts any more")


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        (PAUSE, {"conditions": [PAUSED]}, "paused: no new step starts; steps in flight finish"),
        (PAUSE, {"conditions": [NOT_PAUSED]}, "REFUSED: nothing starts any more"),
        (PAUSE, {"conditions": reconciling("pause was refused: too late")}, "REFUSED: too late"),
        (RESUME, {}, "resumed"),
        (RESUME, {"conditions": [NOT_PAUSED]}, "resumed"),
        (RESUME, {"conditions": [PAUSED_AGAIN]}, "REFUSED: No new step starts. resume was refused: no"),
        (CANCEL, {"phase": "cancelled"}, "the run has ended as cancelled"),
        (CANCEL, {}, "is being cancelled (steps in flight end by themselves, no new one starts)"),
        (CANCEL, {"conditions": reconciling("cancel was refused: it is over")}, "REFUSED: it is over"),
        (CANCEL, {"conditions": reconciling("pause was refused: a; skip-1 was refused: b")}, "is being cancelled ("),
        (SKIP, {"stepStatuses": told("completed", "executing", "skipped")}, "step 3 is skipped"),
        (SKIP, {"stepStatuses": told("completed", "executing", "executing")}, "step 3 will be skipped; it"),
        (SKIP, {"conditions": reconciling("skip-3 was refused: done; skip-4 was refused: x")}, "REFUSED: done"),
        (SKIP, {"conditions": reconciling("retry-3 was refused: x; skip-33 was refused: x")}, "step 3 will be skipped"),
        (RETRY, {"stepStatuses": told("completed", "failed", "executing")}, "step 3 is tried again; it is"),
        (RETRY, {"conditions": reconciling("cancel was refused: x; retry-3 was refused: it ran")}, "REFUSED: it ran"),
        (ROLLBACK, {"phase": "rolling_back"}, "the rollback has begun"),
        (ROLLBACK, {"conditions": [a_condition("RolledBack", "False", "Refused", "nothing")]}, "REFUSED: nothing"),
        (
            ROLLBACK,
            {"conditions": [a_condition("RolledBack", "True", "RolledBack", "Undone: 1. rollback was refused: twice")]},
            "REFUSED: twice",
        ),
    ],
)  # fmt: skip
def test_the_answer_is_read_from_the_status(asked: Asked, status: dict[str, Any], expected: str) -> None:
    """Its own condition, else the sentence in Reconciling, about this operation and this step only."""
    found = after(asked, **status)

    assert found is not None
    assert found.startswith(expected)


APPROVED = {"approvalReceived": True, "approvedBy": "bob"}
REFUSED = a_condition("Approved", "False", "Refused", "it names another plan")


@pytest.mark.parametrize(
    ("verb", "phase", "status", "expected"),
    [
        ("approve", "validating", {}, None),
        ("approve", "validating", {"validationResults": APPROVED}, (False, "approved by bob")),
        ("approve", "executing", {}, (False, "the run goes on, phase executing")),
        ("approve", "failed", {"failureReason": "too late"}, (True, "the run has ended as failed: too late")),
        ("approve", "validating", {"conditions": [REFUSED]}, (True, "it names another plan")),
        (
            "reject",
            "failed",
            {"failureReason": "rejected by bob"},
            (False, "the run has ended as failed: rejected by bob"),
        ),
        ("reject", "validating", {"validationResults": APPROVED}, (True, "approved by bob")),
        ("reject", "executing", {}, (True, "the run goes on, phase executing")),
    ],
)
def test_what_came_of_a_decision(
    verb: Verb, phase: str, status: dict[str, Any], expected: tuple[bool, str] | None
) -> None:
    """Annotations change no generation: the status tells by itself."""
    verdict = verdict_of(Asked(verb=verb, user="alice"), a_waiting_run(), a_run(phase, **status))

    assert expected == (None if verdict is None else (verdict.refused, verdict.text))


def test_a_refusal_that_stood_there_before_is_no_answer_until_the_time_is_up() -> None:
    """It may be about the word before; if nothing else comes it is about this one."""
    body = a_waiting_run() | {"status": a_waiting_run()["status"] | {"conditions": [REFUSED]}}

    assert verdict_of(APPROVE, body, body) is None
    assert last_word(APPROVE, body) is not None
    assert last_word(APPROVE, a_waiting_run()) is None
    assert last_word(PAUSE, body) is None


def test_what_is_approved_is_shown_whole() -> None:
    """Plan, checks, dry run, and each step with its action and its target."""
    results = {
        "checks": [{"type": "rbac", "passed": False, "required": False, "message": "no such account"}],
        "dryRunResults": {
            "overallSuccess": False,
            "stepResults": [
                {"stepNumber": 2, "success": False, "message": "quota"},
                {"stepNumber": 1, "success": True},
            ],
            "resourceChanges": ["web gets 3 replicas"],
            "potentialIssues": ["2 pods are moved"],
        },
    }

    lines = what_is_approved(a_waiting_run(validationResults=results))

    assert lines == [
        "workflow      shop/leak, fix-it 1.0",
        "plan          sequential-with-parallel, typically 3s, at most 5 steps at once",
        f"digest        {DIGEST}",
        "rollback      manual",
        "check rbac    failed, not required: no such account",
        "dry run       FAILED",
        "              step 2 failed: quota",
        "would change  web gets 3 replicas",
        "may go wrong  2 pods are moved",
        "",
        "WAVE   STEP   NAME     ACTION             TARGET                PARAMETERS",
        "1      1      drain    drain_node         Node/worker-1         node=worker-1",
        "2      2      step 2   scale_deployment   Deployment/shop/web   deployment=web, namespace=shop, replicas=3",
        "2      3      step 3   notify_only        -                     message=hi",
        "3      4      step 4   notify_only        -                     message=hi",
    ]


def test_what_recommendations_become_is_shown_too() -> None:
    """An approval is for them as well; high risk is why it was asked for."""
    body = a_waiting_run()
    recommended = {"id": "cordon", "action": "cordon_node", "parameters": {"node": "worker-2"}, "risk": "high"}
    body["spec"]["workflowDefinition"]["aiRecommendations"] = {"recommendations": [recommended]}
    body["status"]["executionPlan"] = body["status"]["executionPlan"] | {"waves": [[1, 5], [2, 3], [4]]}

    lines = what_is_approved(body)

    assert [line.split() for line in lines if "cordon" in line] == [
        ["1", "5", "cordon", "cordon_node", "Node/worker-2", "node=worker-2"]
    ]


def test_what_is_not_known_yet_is_said() -> None:
    """Checks and a dry run that have not ended are no good news."""
    lines = what_is_approved(a_waiting_run())

    assert [line for line in lines if "yet" in line] == [
        "check rbac  has not ended yet",
        "dry run     has not ended yet",
    ]
