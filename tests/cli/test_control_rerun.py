"""The new run that runs a finished one again."""

from __future__ import annotations

from typing import Any

import pytest

from kubernaut.cli.rerun_body import Rerun, next_name, rerun_of
from kubernaut.cli.steering import SteeringError
from schemas.names import (
    ANNOTATION_APPROVAL,
    ANNOTATION_RERUN_FROM,
    ANNOTATION_RERUN_OF,
    NAME_LIMIT,
)
from tests.cli.builders import UID, a_told_step
from tests.cli.steered import a_run

REQUEST = {"apiVersion": "remediation.kubernaut.io/v1", "kind": "RemediationRequest", "name": "rr-1", "uid": "u"}
OTHER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "v"}


def ended(*states: str, phase: str = "failed", **reasons: str) -> dict[str, Any]:
    """Return an ended run of steps 1, 2 and 3 after 1, 4 after 2 and 3; `reasons` as `s3="run_if_false"`."""
    steps = [a_told_step(n, state, reason=reasons.get(f"s{n}", "")) for n, state in enumerate(states, 1)]
    return a_run(phase, stepStatuses=steps)


def again(body: dict[str, Any], start: int = 0) -> Rerun:
    """Run it again under another name."""
    return rerun_of(body, start=start, name="leak-2")


@pytest.mark.parametrize(
    ("body", "start", "runs"),
    [
        (ended("completed", "failed", "completed", "skipped", s4="dependency_failed"), 0, (2, 4)),
        (ended("completed", "failed", "completed", "cancelled"), 0, (2, 4)),
        (ended("completed", "failed", "completed", "completed"), 0, (2, 4)),
        (ended("completed", "rolled_back", "completed", "completed"), 0, (2, 4)),
        (ended("completed", "skipped", "failed", "pending", s2="run_if_false"), 0, (3, 4)),
        (ended("completed", "skipped", "failed", "pending", s2="skipped_by_person"), 0, (3, 4)),
        (ended("failed", "skipped", "skipped", "skipped", s2="dependency_failed"), 0, (1, 2, 3, 4)),
        (ended("completed", "completed", "completed", "completed", phase="completed"), 2, (2, 4)),
        (ended("completed", "completed", "completed", "completed", phase="completed"), 4, (4,)),
        (ended("completed", "completed", "completed", "completed", phase="completed"), 1, (1, 2, 3, 4)),
        (ended("completed", "failed", "completed", "skipped", s4="dependency_failed"), 3, (2, 3, 4)),
        (a_run("failed"), 0, (1, 2, 3, 4)),
    ],
    ids=[
        "what failed and what was skipped for it",
        "what failed and what did not run",
        "what depends on what failed, although it had completed",
        "what was undone, and what depends on it",
        "a step skipped by its own condition is done",
        "a step skipped by a person is done",
        "everything after the first",
        "a step and what depends on it",
        "the last step alone",
        "the first step, so everything",
        "a step, and what was not done beside it",
        "all of a run that never got to its steps",
    ],
)
def test_what_runs_again(body: dict[str, Any], start: int, runs: tuple[int, ...]) -> None:
    """The chosen step or all that is not done, and their dependents; the rest is taken over."""
    made = again(body, start)

    kept = tuple(number for number in (1, 2, 3, 4) if number not in runs)
    assert (made.again, made.kept) == (runs, kept)
    overrides = made.body["spec"].get("control", {}).get("overrides", [])
    assert tuple(one["stepNumber"] for one in overrides) == kept


def test_what_is_taken_over_says_from_where() -> None:
    """The reason names the old run, and how the step ended in it."""
    made = again(ended("completed", "skipped", "failed", "cancelled", s2="run_if_false"))

    assert made.body["spec"]["control"]["overrides"] == [
        {"stepNumber": 1, "operation": "skip", "reason": "completed in leak"},
        {"stepNumber": 2, "operation": "skip", "reason": "skipped in leak"},
    ]


def test_the_new_run_refers_to_the_old_and_takes_nothing_else_that_was_said() -> None:
    """Spec, request and labels stay; approval, control, status and other owners do not."""
    body = ended("completed", "failed", "completed", "cancelled")
    body["metadata"] |= {
        "labels": {"team": "web"},
        "annotations": {ANNOTATION_APPROVAL: "approved", "note": "x"},
        "ownerReferences": [OTHER, REQUEST],
        "finalizers": ["f"],
        "resourceVersion": "7",
    }
    body["spec"] |= {
        "remediationRequestRef": {"name": "rr-1"},
        "control": {"paused": True, "cancel": {"mode": "stop"}, "overrides": [{"stepNumber": 3, "operation": "retry"}]},
    }

    made = again(body).body

    assert made.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert made["metadata"] == {
        "name": "leak-2",
        "namespace": "shop",
        "labels": {"team": "web"},
        "annotations": {ANNOTATION_RERUN_OF: UID, ANNOTATION_RERUN_FROM: "2"},
        "ownerReferences": [REQUEST],
    }
    assert made["spec"].keys() == body["spec"].keys()
    assert {field: made["spec"][field] for field in ("workflowDefinition", "remediationRequestRef")} == {
        field: body["spec"][field] for field in ("workflowDefinition", "remediationRequestRef")
    }
    assert made["spec"]["control"].keys() == {"overrides"}
    assert [one["operation"] for one in made["spec"]["control"]["overrides"]] == ["skip", "skip"]


def test_a_rerun_of_a_rerun_does_not_do_again_what_the_first_did() -> None:
    """What the first rerun took over is skipped by a person's word there, and still done."""
    first = again(ended("completed", "failed", "completed", "cancelled")).body
    first["metadata"]["uid"] = "second"
    first["status"] = ended(
        "skipped", "completed", "skipped", "failed", s1="skipped_by_person", s3="skipped_by_person"
    )["status"]

    made = rerun_of(first, start=0, name="leak-3")

    assert (made.again, made.kept) == ((4,), (1, 2, 3))
    assert made.body["metadata"]["annotations"][ANNOTATION_RERUN_OF] == "second"


def test_steps_that_recommendations_became_run_again_in_their_order() -> None:
    """Step 5 is the first recommendation, 6 the second, which waits for it."""
    body = ended("completed", "completed", "completed", "completed", "failed", "skipped", s6="dependency_failed")
    body["spec"]["workflowDefinition"]["aiRecommendations"] = {
        "recommendations": [
            {"id": "a", "action": "notify_only", "parameters": {"message": "a"}},
            {"id": "b", "action": "notify_only", "parameters": {"message": "b"}, "dependsOn": ["a"]},
        ]
    }

    made = again(body)

    assert (made.again, made.kept) == ((5, 6), (1, 2, 3, 4))
    assert len(made.body["spec"]["workflowDefinition"]["steps"]) == 4


@pytest.mark.parametrize(
    ("body", "start", "words"),
    [
        (a_run("executing"), 0, "leak has not ended (phase executing); only a finished run is run again"),
        (a_run(""), 0, "has not ended (phase not seen yet)"),
        (ended("completed", "failed"), 9, "leak has no step 9; the steps are 1, 2, 3, 4"),
        (ended(*["completed"] * 4, phase="completed"), 0, "every step of leak was done"),
        ({**ended("failed"), "spec": {"workflowDefinition": {}}}, 0, "the spec of leak cannot be read"),
    ],
    ids=["it runs", "nobody saw it", "no such step", "nothing to do", "broken"],
)
def test_what_cannot_be_run_again_says_why(body: dict[str, Any], start: int, words: str) -> None:
    """Nothing is created."""
    with pytest.raises(SteeringError) as caught:
        again(body, start)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        ("leak", "leak-rerun-abcde"),
        ("leak-rerun-xyz12", "leak-rerun-abcde"),
        ("leak-rerun-by-hand", "leak-rerun-by-hand-rerun-abcde"),
        ("a" * NAME_LIMIT, "a" * (NAME_LIMIT - 12) + "-rerun-abcde"),
        ("a" * (NAME_LIMIT - 13) + ".bbbb", "a" * (NAME_LIMIT - 13) + "-rerun-abcde"),
    ],
    ids=["the first", "a later one", "a name that looks like one", "a long name", "a name cut at a dot"],
)
def test_the_name_of_the_next_run(old: str, expected: str) -> None:
    """Reruns of reruns do not grow, and every name is one."""
    assert (next_name(old, "abcde"), len(expected) <= NAME_LIMIT) == (expected, True)
