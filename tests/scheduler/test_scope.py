"""What an expression sees of a run: the run itself, its steps as they are at that moment, the time of the decision."""

from __future__ import annotations

import pytest

from scheduler.draft import Draft
from scheduler.scope import scope_of
from tests.scheduler.builders import UID, Run, a_step, a_workflow


def seen(expression: str) -> tuple[str, Run]:
    """What an expression gives, as text, that is filled in as the last step starts, and the run.

    Before it 1 fails twice, a person skips 2, 3 is skipped by its own condition, and 4 goes on.
    """
    told = "it is {{ " + expression + " }}"
    run = Run(
        a_workflow(
            a_step(1, name="grow", maxRetries=1, criticalStep=False),
            a_step(2),
            a_step(3, skipIf="true"),
            a_step(4),
            a_step(5, after=(1, 2, 3), runIf="true", action="notify_only", parameters={"message": told}),
            definition={"variables": {"env": "prod"}},
        )
    )
    run.ask(overrides=[{"stepNumber": 2, "operation": "skip", "reason": "by hand"}])
    run.see(2, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    run.fail(1)
    run.wait_for("step:1")
    run.fail(1)
    return run.create_of(5).parameters["message"].removeprefix("it is "), run


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("variables.env", "prod", id="a variable"),
        pytest.param("workflow.name", "leak", id="the name of the object"),
        pytest.param("workflow.namespace", "shop", id="its namespace"),
        pytest.param("workflow.uid", UID, id="its uid"),
        pytest.param("workflow.phase", "executing", id="how far the run is"),
        pytest.param("steps[1].status", "failed", id="a step that failed"),
        pytest.param("steps[1].error", "it broke", id="its error"),
        pytest.param("steps[1].attempts", "2", id="how often it was tried"),
        pytest.param("steps[1].name", "grow", id="its name"),
        pytest.param("steps[1].result", "{}", id="an empty result of a step that gave none"),
        pytest.param("steps[2].status", "completed", id="a step that a person skipped, which counts as completed"),
        pytest.param("steps[3].status", "skipped", id="a step that was skipped by its own condition"),
        pytest.param("steps[4].status", "executing", id="a step in flight"),
        pytest.param("size(steps)", "5", id="all steps, where none is named"),
        pytest.param("steps.filter(n, steps[n].status == 'skipped')", "[3]", id="all steps in a loop"),
    ],
)
def test_an_expression_sees_the_run_as_it_is(expression: str, expected: str) -> None:
    """What it gives goes into the parameters of a step."""
    assert expected == seen(expression)[0]


def test_an_expression_knows_when_the_run_began_and_what_time_it_is() -> None:
    """By the clock of the log, so that another scheduler decides the same."""
    times, run = seen("[int(workflow.startedAt), int(now)]")

    assert f"[{run.state.started_at // 1000},{run.last.now // 1000}]" == times


def test_only_the_steps_that_are_asked_for_are_put_together() -> None:
    """A condition about one step costs no more in a run of many."""
    run = Run(a_workflow(*(a_step(n) for n in range(1, 5))))
    draft = Draft(run.plan, run.state, run.last.now, phase=run.state.phase)

    assert {2, 4} == scope_of(draft, frozenset({2, 4})).steps.keys()
