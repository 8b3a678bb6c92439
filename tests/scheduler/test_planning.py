"""Planning: every rule, its words and its field path; all errors at once."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.plan import make
from tests.scheduler.builders import Run, a_step, a_workflow, definition_of, plan_of, ten_steps

STEPS = "spec.workflowDefinition.steps"


@pytest.mark.parametrize(
    ("workflow", "expected"),
    [
        pytest.param(
            a_workflow(a_step(1), a_step(2), a_step(1)),
            f"{STEPS}: step number 1 is used by entries 0, 2; give each step its own",
            id="two steps of one number",
        ),
        pytest.param(
            a_workflow(a_step(1), a_step(2, after=(9,))),
            f"{STEPS}[1].dependsOn[0]: there is no step 9; the steps are 1, 2",
            id="a dependency on a step that is not there",
        ),
        pytest.param(
            a_workflow(a_step(1), definition={"dependencies": {"7": [1]}}),
            "spec.workflowDefinition.dependencies['7']: the key names no step; the steps are 1",
            id="dependencies of a step that is not there",
        ),
        pytest.param(
            a_workflow(a_step(1), definition={"dependencies": {"first": [1]}}),
            "spec.workflowDefinition.dependencies['first']: the key names no step; the steps are 1",
            id="a key that is no number",
        ),
        pytest.param(
            a_workflow(a_step(1, after=(3,)), a_step(2, after=(1,)), a_step(3, after=(2,))),
            f"{STEPS}: steps depend on each other in a cycle: 1 -> 3 -> 2 -> 1; take one of these dependencies out",
            id="a cycle, named",
        ),
        pytest.param(
            a_workflow(a_step(4, after=(4,))),
            f"{STEPS}: steps depend on each other in a cycle: 4 -> 4; take one of these dependencies out",
            id="a step that waits for itself",
        ),
    ],
)
def test_a_workflow_that_makes_no_sense_is_refused(workflow: dict[str, Any], expected: str) -> None:
    """The error says where, what and what to do."""
    assert (expected,) == plan_of(workflow).errors


def test_parameters_that_would_not_fit_the_log_are_refused() -> None:
    """Ten of them have to fit one message."""
    step = a_step(1, action="custom", parameters={"actionType": "x", "config": {"text": "x" * 40_000}})

    errors = plan_of(a_workflow(step)).errors

    assert (
        f"{STEPS}[0].parameters: 40039 bytes are more than 32768; put large content in a ConfigMap and name it"
        in errors
    )


def test_all_errors_are_told_at_once() -> None:
    """In the order of the rules, each with its path."""
    workflow = a_workflow(
        a_step(1, action="scale_deploymnt"),
        a_step(2, after=(5,), parameters={"deployment": "checkout", "namespace": "shop", "replicas": -1}),
        a_step(3, after=(3,), maxRetries=1),
    )

    errors = plan_of(workflow).errors

    assert [
        f"{STEPS}[1].dependsOn[0]",
        STEPS,
        f"{STEPS}[0].action",
        f"{STEPS}[1].parameters.replicas",
    ] == [error.split(": ")[0] for error in errors]


def test_more_errors_than_anybody_reads_are_counted() -> None:
    """A hundred are listed."""
    workflow = a_workflow(*(a_step(n, after=(1000, 1001)) for n in range(1, 101)))

    errors = plan_of(workflow).errors

    assert (101, "and 100 more errors") == (len(errors), errors[-1])


def test_a_refused_workflow_ends_as_failed_with_every_error_in_its_state() -> None:
    """Nothing is commanded."""
    run = Run(a_workflow(a_step(1, after=(9,)), a_step(2, after=(8,))))

    assert ("failed", 2, ()) == (run.last.state.phase, len(run.last.state.errors), run.last.commands)
    assert run.last.state.failure_reason.endswith("(and 1 more)")
    assert ["failed"] == run.told()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            {"workflowDefinition": {"name": 7}}, "the object cannot be read: Expected `str`", id="a wrong type"
        ),
        pytest.param({}, "the object cannot be read: Object missing required field", id="no definition"),
        pytest.param("text", "the object cannot be read: Expected `object`", id="a spec that is no object"),
    ],
)
def test_an_object_that_cannot_be_read_fails_its_own_run(spec: Any, expected: str) -> None:
    """Reading raises nothing, and the error names the field."""
    run = Run(a_workflow() | {"spec": spec})

    assert "failed" == run.last.state.phase
    assert run.last.state.errors[0].startswith(expected)


def test_an_object_too_large_for_the_log_is_refused_with_the_way_out() -> None:
    """Its message holds the metadata only."""
    definition = definition_of({"metadata": a_workflow()["metadata"]}, oversized=1_400_000)

    errors = make(definition).errors

    assert 1 == len(errors)
    assert "the object has 1400000 bytes" in errors[0]
    assert "max_payload" in errors[0]


@pytest.mark.parametrize(
    ("workflow", "strategy"),
    [
        pytest.param(a_workflow(), "sequential", id="one step"),
        pytest.param(a_workflow(a_step(1), a_step(2, after=(1,))), "sequential", id="a chain"),
        pytest.param(a_workflow(a_step(1), a_step(2)), "parallel", id="no dependencies"),
        pytest.param(ten_steps(), "sequential-with-parallel", id="a graph of both"),
    ],
)
def test_the_strategy_is_named_by_the_shape(workflow: dict[str, Any], strategy: str) -> None:
    """By waves: one step each, one wave, or both."""
    state = plan_of(workflow).state

    assert state is not None
    assert strategy == state.strategy


def test_the_plan_has_waves_critical_path_and_estimate() -> None:
    """Ten scale actions of 30 s each, at most five at once."""
    state = plan_of(ten_steps()).state

    assert state is not None
    assert ((1,), (2, 3, 4, 5, 6), (7,), (8, 9), (10,)) == state.waves
    assert (1, 2, 7, 8, 10) == state.critical_path
    assert 150.0 == state.estimated_seconds
