"""The oracle of the chaos runs sees what it is there for: each guarantee broken once, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.ports import Stored
from schemas.names import EXECUTION_GROUP, WORKFLOW_GROUP
from tests.chaos.faults import TWICE, draw
from tests.chaos.journal import Change
from tests.chaos.truth import Truth
from tests.chaos.words import Words

UID = "u1"


def a_workflow(sequence: int = 0, phase: str = "", limit: int = 2) -> dict[str, Any]:
    """A workflow of three steps, the last after the first."""
    steps: list[dict[str, Any]] = [{"stepNumber": 1}, {"stepNumber": 2}, {"stepNumber": 3, "dependsOn": [1]}]
    return {
        "metadata": {"uid": UID, "name": "w"},
        "spec": {"workflowDefinition": {"steps": steps}, "executionStrategy": {"parallelismLimit": limit}},
        "status": {"sequence": sequence, "phase": phase},
    }


def an_execution(step: int, uid: str, phase: str = "executing", action: str = "restart_pod") -> dict[str, Any]:
    """An execution of a step of it."""
    reference = {"workflowExecutionRef": {"uid": UID}}
    return {
        "metadata": {"uid": uid, "name": f"w-step-{step}"},
        "spec": reference | {"stepNumber": step, "attempt": 1, "purpose": "execute", "action": action},
        "status": {"phase": phase},
    }


def truth_of(*bodies: tuple[str, dict[str, Any] | None]) -> Truth:
    """Take in these writes, each with the name of its object."""
    truth = Truth()
    for revision, (name, body) in enumerate(bodies, 1):
        group = EXECUTION_GROUP if "step" in name else WORKFLOW_GROUP
        truth.take(Change(revision=revision, key=f"/registry/{group}/things/shop/{name}", body=body))
    return truth


def test_a_run_as_it_should_be_has_no_problem() -> None:
    """One after another, never more than the limit."""
    truth = truth_of(
        ("w", a_workflow(1, "executing")),
        ("w-step-1", an_execution(1, "e1")),
        ("w-step-2", an_execution(2, "e2")),
        ("w-step-1", an_execution(1, "e1", "completed")),
        ("w-step-3", an_execution(3, "e3")),
        ("w-step-2", an_execution(2, "e2", "failed")),
        ("w-step-3", an_execution(3, "e3", "completed")),
        ("w", a_workflow(9, "failed")),
    )

    assert [] == truth.problems
    assert (3, 0, 2) == (truth.executions, truth.in_flight, truth.most[UID])
    assert [] == truth.running


@pytest.mark.parametrize(
    ("writes", "problem"),
    [
        pytest.param((("w", a_workflow(5)), ("w", a_workflow(4))), "G7", id="a status goes back"),
        pytest.param(
            (
                ("w", a_workflow(limit=1)),
                ("w-step-1", an_execution(1, "e1")),
                ("w-step-2", an_execution(2, "e2")),
            ),
            "G6",
            id="one more is in flight than may be",
        ),
        pytest.param(
            (
                ("w", a_workflow()),
                ("w-step-1", an_execution(1, "e1")),
                ("w-step-1", None),
                ("w-step-1", an_execution(1, "e9")),
            ),
            "G5",
            id="what may not be done twice is created twice",
        ),
        pytest.param(
            (("w", a_workflow()), ("w-step-1", an_execution(1, "e1")), ("w-step-3", an_execution(3, "e3"))),
            "order",
            id="a step begins before the one that it depends on has ended",
        ),
    ],
)
def test_what_must_not_be_is_seen(writes: tuple[tuple[str, dict[str, Any] | None], ...], problem: str) -> None:
    """Each guarantee broken once, and nothing else told."""
    (found,) = truth_of(*writes).problems

    assert problem == found.partition(":")[0]


def test_what_somebody_deleted_unseen_may_come_again() -> None:
    """An idempotent action; it is counted apart."""
    truth = truth_of(
        ("w", a_workflow()),
        ("w-step-1", an_execution(1, "e1", action="cordon_node")),
        ("w-step-1", None),
        ("w-step-1", an_execution(1, "e2", action="cordon_node")),
    )

    assert ([], 1) == (truth.problems, truth.again)


def test_what_is_still_to_be_taken_away_is_seen() -> None:
    """Deleted, or left by a workflow that is gone: whoever collects it comes when he has time, and writes then."""
    body = an_execution(1, "e1")
    deleted = ("w-step-1", body | {"metadata": body["metadata"] | {"deletionTimestamp": "now"}})
    writes = (("w", a_workflow()), ("w-step-1", body))

    assert [] == truth_of(*writes).leaving
    assert ["w-step-1"] == truth_of(*writes, deleted).leaving
    assert ["w-step-1"] == truth_of(*writes, ("w", None)).leaving
    assert [] == truth_of(*writes, ("w", None), ("w-step-1", None)).leaving


def a_message(sequence: int, subject: str, **headers: str) -> Stored:
    """A message of the log."""
    named = {f"ce-{name}": value for name, value in headers.items()}
    return Stored(stream="KUBERNAUT", sequence=sequence, time_ms=0, subject=subject, headers=named, data=b"{}")


CHANGE = f"kubernaut.change.workflow.shop.{UID}"


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        pytest.param([a_message(2, CHANGE, id="a", uid=UID, version="1")], "the log", id="a message is missing"),
        pytest.param(
            [a_message(1, CHANGE, id="a", uid=UID, version="1"), a_message(2, CHANGE, id="a", uid=UID, version="2")],
            "G2",
            id="an id is there twice",
        ),
        pytest.param(
            [a_message(1, CHANGE, id="a", uid=UID, version="2"), a_message(2, CHANGE, id="b", uid=UID, version="1")],
            "G2",
            id="a version goes back",
        ),
        pytest.param([a_message(1, "kubernaut.deadletter.scheduler", id="a")], "G11", id="a message was buried"),
    ],
)
def test_a_log_that_is_wrong_is_seen(messages: list[Stored], problem: str) -> None:
    """Each promise of the log broken once."""
    words = Words(Truth())
    for message in messages:
        words.take(message)

    assert [problem] == [each.partition(":")[0] for each in words.problems]


def test_one_seed_has_one_schedule_and_all_of_it_is_over_in_time() -> None:
    """The same faults for the same seed, others for another, at least one each few seconds."""
    faults = draw(7, 600.0, TWICE)

    assert faults == draw(7, 600.0, TWICE)
    assert faults != draw(8, 600.0, TWICE)
    assert max(fault.over for fault in faults) <= 600.0
    assert len(faults) > 150
