"""Every request in every phase: what `scheduler.control_table` says is what happens; docs/control.md is made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scheduler.control_page import page
from scheduler.control_table import ENDED, OPERATIONS, SITUATIONS, VALIDATING, Operation
from schemas.messages import CheckFinding
from schemas.names import FINALIZER
from schemas.workflow_status import TERMINAL_PHASES
from tests.scheduler.builders import Run, a_step, a_workflow, definition_of

DOCS = Path(__file__).parents[2] / "docs"
DOWN = {"deployment": "checkout", "namespace": "shop", "replicas": 1}
UNDO = {"rollbackSpec": {"action": "scale_deployment", "parameters": DOWN}}
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}
WELL = CheckFinding(subject="Deployment/shop/checkout", state="passed")
Say = Callable[[Run], Any]


def nothing(_run: Run) -> None:
    """Nobody says anything."""


def a_run(*, critical: bool = False, approval: bool = False, admitted: bool = True, **strategy: Any) -> Run:
    """Step 1 can be undone, 2 is to fail, 3 leads to 4, 5 was skipped because of 2 or cancelled."""
    steps = (
        a_step(1, **UNDO),
        a_step(2, criticalStep=critical),
        a_step(3, after=(1,), **UNDO),
        a_step(4, after=(3,)),
        a_step(5, after=(2,), criticalStep=False),
    )
    strategy = {"monitoring": {"window": "2s"}, "approvalRequired": approval, **strategy}
    return Run(a_workflow(*steps, executionStrategy=strategy), admitted=admitted)


def executing(*, approval: bool, critical: bool = False, first: Say = nothing, **strategy: Any) -> Run:
    """Step 1 has completed, 2 has failed, 3 is in flight and was seen, 4 waits for it."""
    run = a_run(approval=approval, critical=critical, **strategy)
    if approval:
        run.say("approved", by="alice")
    run.end(1)
    run.see(2)
    run.see(3)
    first(run)
    run.fail(2)
    return run


def put(situation: str, *, approval: bool = False, first: Say = nothing) -> Run:
    """A run in that situation. `first`: what was said while it could still be said."""
    if situation in {"executing", "closing"}:
        run = executing(approval=approval, critical=situation == "closing", first=first)
    elif situation in {"queued", *VALIDATING}:
        asks: dict[str, Any] = {"checks": {"safetyChecks": [{"type": "rbac"}]}}
        asks |= {"dry run": {"dryRunFirst": True, "parallelismLimit": 1}, "approval": {"approvalRequired": True}}
        run = a_run(approval=approval, admitted=situation != "queued", **asks.get(situation, {}))
        first(run)
    elif situation == "rolling_back":
        run = executing(approval=approval, critical=True, first=first, rollbackStrategy="automatic")
        run.end(3)
    else:
        run = executing(approval=approval, critical=situation == "failed")
        if situation in {"monitoring", "completed"}:
            run.end(3)
        first(run)
        if situation == "cancelled":
            run.ask(cancel={"mode": "stop"}, **run.workflow["spec"].get("control", {}))
        play(run, until=situation)
    assert SITUATIONS[situation].partition(":")[0] == run.state.phase
    return run


def play(run: Run, until: str = "") -> None:
    """All that is in flight ends well, and what was commanded to end ends; nobody says anything."""
    before = None
    while run.state is not before and run.state.phase not in {until, *TERMINAL_PHASES}:
        before = run.state
        for check in before.checks:
            if check.passed is None:
                run.report(check.id)
        for purpose, rows in (("dry_run", before.dry_runs), ("rollback", before.rollbacks), ("execute", before.steps)):
            for row in rows:
                if row.phase == "executing":
                    run.take(
                        run.execution(
                            row.number, "" if row.ending else "completed", purpose=purpose, deleted=bool(row.ending)
                        )
                    )
        if run.state.phase == "monitoring" and run.state.monitor:
            run.report(f"monitor-{run.state.monitor.looks}", findings=(WELL,))
            if "poll" in run.state.timers:
                run.wait_for("poll")


def pause(run: Run) -> None:
    """A person pauses it."""
    run.ask(paused=True)


def delete(run: Run) -> None:
    """The object is deleted, and goes once our finalizer is off."""
    metadata = run.workflow["metadata"] | GOING | {"resourceVersion": "9000"}
    run.take(definition_of(run.workflow | {"metadata": metadata}))


def asking(run: Run, **control: Any) -> None:
    """Ask on top of what was asked before."""
    before = run.workflow["spec"].get("control", {})
    run.ask(generation=50, **(before | control))


ASK: dict[str, Say] = {
    "pause": lambda run: asking(run, paused=True),
    "resume": lambda run: asking(run, paused=False),
    "cancel (stop)": lambda run: asking(run, cancel={"mode": "stop"}),
    "cancel (rollback)": lambda run: asking(run, cancel={"mode": "rollback"}),
    "cancel (terminate)": lambda run: asking(run, cancel={"mode": "terminate"}),
    "skip": lambda run: asking(run, overrides=[{"stepNumber": 3, "operation": "skip", "reason": "by hand"}]),
    "retry": lambda run: asking(run, overrides=[{"stepNumber": 2, "operation": "retry", "reason": "mended"}]),
    "rollback": lambda run: asking(run, rollback={"reason": "worse"}),
    "approve": lambda run: run.say("approved", by="bob"),
    "reject": lambda run: run.say("rejected", by="bob"),
    "delete the object": delete,
}
NAMED = {"skip": "skip-3", "retry": "retry-2", "approve": "approval", "reject": "approval"}
CASES = [
    pytest.param(name, situation, id=f"{name}, {SITUATIONS[situation]}")
    for name in OPERATIONS
    for situation in SITUATIONS
]


def before(name: str, situation: str) -> Run:
    """The run that is asked: a paused one to be resumed, one that asks for approval where that is the request."""
    first = pause if name == "resume" else nothing
    return put(situation, approval=name in {"approve", "reject"}, first=first)


def refusal_of(run: Run, name: str) -> str:
    """The reason of the refusal; empty when it was accepted."""
    return run.state.refusals.get(NAMED.get(name, name.partition(" ")[0]), "")


@pytest.mark.parametrize(("name", "situation"), CASES)
def test_what_the_table_says_is_what_happens(name: str, situation: str) -> None:
    """Accepted: the run rests where it says. Refused: in its very words, and the run goes on as if nobody had asked."""
    expected = OPERATIONS[name].answers[situation]
    run, alone = before(name, situation), before(name, situation)

    ASK[name](run)
    refused = refusal_of(run, name)
    play(run)
    play(alone)

    if expected.accepted:
        assert ("", expected.rests) == (refused, run.state.phase)
    else:
        assert ("" if expected.by_cluster else expected.text) == refused
        assert (alone.state.phase, alone.phases()) == (run.state.phase, run.phases())


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_pause_is_seen_where_it_is_accepted_and_gone_where_it_is_taken_back(situation: str) -> None:
    """Or the run has nothing left to hold back."""
    run = put(situation)
    ASK["pause"](run)
    paused = run.state.control.paused, bool(run.state.paused_at)
    accepted = OPERATIONS["pause"].answers[situation].accepted

    ASK["resume"](run)

    assert (accepted, accepted) == paused
    assert (False, 0) == (run.state.control.paused, run.state.paused_at)


@pytest.mark.parametrize(
    ("name", "situation", "steps"),
    [
        pytest.param("cancel (stop)", "executing", {1: "completed", 3: "completed", 4: "cancelled"}, id="stop"),
        pytest.param(
            "cancel (rollback)", "executing", {1: "rolled_back", 3: "cancelled", 4: "cancelled"}, id="roll back"
        ),
        pytest.param(
            "cancel (rollback)", "closing", {1: "rolled_back", 3: "cancelled", 4: "cancelled"}, id="roll back, closing"
        ),
        pytest.param(
            "cancel (rollback)", "monitoring", {1: "rolled_back", 3: "rolled_back", 4: "completed"}, id="watched"
        ),
        pytest.param(
            "cancel (terminate)", "executing", {1: "completed", 3: "cancelled", 4: "cancelled"}, id="terminate"
        ),
        pytest.param("cancel (stop)", "closing", {1: "completed", 3: "completed", 4: "cancelled"}, id="stop, closing"),
        pytest.param(
            "cancel (terminate)", "rolling_back", {1: "completed", 3: "completed", 4: "cancelled"}, id="end rollbacks"
        ),
        pytest.param("skip", "executing", {1: "completed", 3: "skipped", 4: "completed"}, id="skip"),
        pytest.param("skip", "closing", {1: "completed", 3: "skipped", 4: "cancelled"}, id="skip, closing"),
        pytest.param("skip", "checks", {1: "completed", 3: "skipped", 4: "completed"}, id="skip before"),
        pytest.param("retry", "executing", {2: "completed", 4: "completed", 5: "completed"}, id="retry"),
        pytest.param("retry", "closing", {2: "completed", 4: "completed", 5: "completed"}, id="retry, closing"),
        pytest.param("rollback", "failed", {1: "rolled_back", 3: "rolled_back", 4: "cancelled"}, id="on demand"),
        pytest.param("delete the object", "executing", {1: "completed", 3: "cancelled", 4: "cancelled"}, id="delete"),
    ],
)
def test_what_becomes_of_the_steps(name: str, situation: str, steps: dict[int, str]) -> None:
    """The effect that the table tells in words."""
    run = put(situation)

    ASK[name](run)
    play(run)

    assert steps == {number: phase for number, phase in run.phases().items() if number in steps}


def test_a_skip_in_the_queue_is_done_once_there_is_a_plan() -> None:
    """It is kept until then."""
    run = put("queued")
    ASK["skip"](run)

    assert ((3, "skip", "by hand"),) == run.state.control.later


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_the_table_has_an_answer_for_every_situation(operation: Operation) -> None:
    """And no other."""
    assert set(SITUATIONS) == set(operation.answers)
    assert all(answer.rests if answer.accepted else not answer.rests for answer in operation.answers.values())


def test_the_situations_are_all_the_phases_in_which_a_run_can_rest() -> None:
    """Those that have ended are the final phases."""
    assert set(ENDED) == TERMINAL_PHASES


def test_the_docs_show_the_table_as_it_is() -> None:
    """`make generate` writes the page."""
    assert page() == (DOCS / "control.md").read_text()
