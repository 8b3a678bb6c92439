"""The rules of planning about conditions, templates, rollback and times: their words, their paths, all at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.recommend import expand
from scheduler.recommend import problems as recommendation_problems
from scheduler.rules import RULES, broken
from schemas.workflow import (
    AiRecommendations,
    Condition,
    ExecutionStrategy,
    Monitoring,
    Recommendation,
    RetryPolicy,
    RollbackSpec,
    Step,
    WorkflowDefinition,
    WorkflowSpec,
)
from tests.scheduler.builders import a_workflow, plan_of
from tests.scheduler.specs import ADVICE, STEPS, STRATEGY, a_spec, a_written_step, wrong_with

UNDO = {"action": "scale_deployment", "parameters": {"deployment": "checkout", "namespace": "shop", "replicas": 1}}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        pytest.param(
            {"runIf": "variables.nope == 'a'"},
            f"{STEPS}[0].runIf: expression \"variables.nope == 'a'\" at 1:10: there is no variable nope;"
            " the variables are env",
            id="runIf names a variable that is not there",
        ),
        pytest.param(
            {"skipIf": "1 + 1"},
            f"{STEPS}[0].skipIf: expression '1 + 1' at 1:1: it must give true or false, but gives int",
            id="skipIf gives no boolean",
        ),
        pytest.param(
            {"preConditions": [{"expression": "true"}, {"expression": "steps[7].attempts > 1"}]},
            f"{STEPS}[0].preConditions[1].expression: expression 'steps[7].attempts > 1' at 1:6:"
            " there is no step 7; the steps are 1",
            id="a precondition names a step that is not there",
        ),
        pytest.param(
            {"postConditions": [{"expression": "1 +"}]},
            f"{STEPS}[0].postConditions[0].expression: expression '1 +' at 1:4: Syntax error: mismatched input '<EOF>'",
            id="a postcondition is no expression",
        ),
        pytest.param(
            {"parameters": {"deployment": "{{ variables.env + }}", "namespace": "shop", "replicas": "{{ 1 }}"}},
            f"{STEPS}[0].parameters.deployment: expression 'variables.env +' at 1:16: Syntax error:"
            " mismatched input '<EOF>'",
            id="a template is no expression",
        ),
        pytest.param(
            {"rollbackSpec": UNDO | {"action": "undo_all"}},
            f"{STEPS}[0].rollbackSpec.action: unknown action 'undo_all'",
            id="an unknown action undoes",
        ),
        pytest.param(
            {"rollbackSpec": {"action": "scale_deployment", "parameters": UNDO["parameters"] | {"replicas": -1}}},
            f"{STEPS}[0].rollbackSpec.parameters.replicas: must be",
            id="an action undoes with a wrong parameter",
        ),
        pytest.param(
            {"rollbackSpec": {"action": "notify_only", "parameters": {"message": "{{ steps[2].error }}"}}},
            f"{STEPS}[0].rollbackSpec.parameters.message: expression 'steps[2].error' at 1:6: there is no step 2",
            id="an action undoes with a wrong expression",
        ),
        pytest.param(
            {"rollbackSpec": UNDO | {"timeout": "0s"}},
            f"{STEPS}[0].rollbackSpec.timeout: must be more than 0; write a number and a unit",
            id="undoing has no time",
        ),
        pytest.param(
            {"retryPolicy": {"initialDelay": "6m"}},
            f"{STEPS}[0].retryPolicy.initialDelay: 6m is more than maxDelay (5m); make it shorter, or maxDelay longer",
            id="the first wait is longer than the longest",
        ),
        pytest.param({"timeout": "0ms"}, f"{STEPS}[0].timeout: must be more than 0", id="a step has no time"),
        pytest.param(
            {"timeout": "8761h"},
            f"{STEPS}[0].timeout: 8761h is too long; at most 8760h can be waited for",
            id="more than a year",
        ),
        pytest.param(
            {"rollbackSpec": {"action": "custom", "parameters": {"actionType": "x", "config": {"a": "x" * 40_000}}}},
            f"{STEPS}[0].rollbackSpec.parameters: 40036 bytes are more than 32768",
            id="undoing takes too much",
        ),
        pytest.param(
            {"preConditions": [{"expression": " || ".join(["true"] * 500)}] * 16, "runIf": "1 +" + " " * 4000},
            f"{STEPS}: its expressions have 67939 characters together; the limit is 65536",
            id="too many expressions, of which none is looked at",
        ),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(step: dict[str, Any], expected: str) -> None:
    """With one error that says where, what and what to do."""
    errors = wrong_with(step, env="prod")

    assert (1, True) == (len(errors), errors[0].startswith(expected)), errors


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        pytest.param(
            {"monitoring": {"window": "20m"}},
            f"{STRATEGY}.monitoring.window: 20m is more than timeout (10m), so no run could succeed; make it shorter,"
            " or timeout longer",
            id="nothing can be healthy for so long",
        ),
        pytest.param({"workflowTimeout": "0s"}, f"{STRATEGY}.workflowTimeout: must be more than 0", id="no time"),
        pytest.param(
            {"ttlAfterFinished": "999999999h"}, f"{STRATEGY}.ttlAfterFinished: 999999999h is too long", id="for ever"
        ),
        pytest.param(
            {"monitoring": {"window": "0s", "timeout": "9000h"}},
            f"{STRATEGY}.monitoring.timeout: 9000h is too long",
            id="watched for more than a year",
        ),
    ],
)
def test_a_strategy_that_makes_no_sense_is_refused(strategy: dict[str, Any], expected: str) -> None:
    """With one error that says where, what and what to do."""
    errors = wrong_with({}, strategy)

    assert (1, True) == (len(errors), errors[0].startswith(expected)), errors


@pytest.mark.parametrize("field", ["preConditions", "postConditions"])
def test_a_condition_cannot_roll_back_where_nothing_is_rolled_back(field: str) -> None:
    """Both are words of the same user."""
    step = {field: [{"expression": "true", "onFailure": "rollback"}]}

    (error,) = wrong_with(step, {"rollbackStrategy": "none"})

    place = f"{STEPS}[0].{field}[0].onFailure"
    assert f"{place}: asks for a rollback, but {STRATEGY}.rollbackStrategy is none" in error
    assert wrong_with(step, {"rollbackStrategy": "manual"}) == []


def test_what_makes_sense_has_no_errors() -> None:
    """Every field that these rules look at."""
    step = {
        "parameters": {"deployment": "{{ variables.app }}", "namespace": "shop", "replicas": "{{ steps[1].attempts }}"},
        "timeout": "90s",
        "retryPolicy": {"initialDelay": "0s", "multiplier": 1, "maxDelay": "0s"},
        "runIf": "variables.app == 'checkout' && !has(variables.nope)",
        "skipIf": "steps.exists(n, steps[n].status == 'failed')",
        "preConditions": [{"expression": "now - workflow.startedAt < duration('5m')", "onFailure": "rollback"}],
        "postConditions": [{"expression": "steps[1].result.scaleResult.replicas == 3", "onFailure": "retry"}],
        "rollbackSpec": UNDO | {"timeout": "1m"},
    }
    strategy = {"monitoring": {"window": "10m", "timeout": "10m"}, "ttlAfterFinished": "0s", "workflowTimeout": "8760h"}

    assert wrong_with(step, strategy, app="checkout") == []


def test_all_errors_are_told_at_once() -> None:
    """In the order of the rules, each for itself."""
    step = {"runIf": "x", "timeout": "0s", "rollbackSpec": {"action": "x"}, "retryPolicy": {"maxDelay": "1ms"}}

    paths = [error.split(":")[0] for error in wrong_with(step, {"monitoring": {"window": "11m"}})]

    assert [
        f"{STEPS}[0].rollbackSpec.action",
        f"{STEPS}[0].runIf",
        f"{STEPS}[0].timeout",
        f"{STEPS}[0].retryPolicy.initialDelay",
        f"{STRATEGY}.monitoring.window",
    ] == paths


def test_errors_of_steps_made_of_recommendations_name_the_recommendation() -> None:
    """That is what the user wrote."""
    recommended = [
        {"id": "tell", "action": "notify_only", "parameters": {"message": "{{ variables.nope }}"}},
        {"id": "undo", "action": "notify_only", "parameters": {"message": "x"}, "rollbackSpec": UNDO | {"action": "x"}},
    ]
    spec = expand(a_spec(a_written_step(), advice={"recommendations": recommended}))

    paths = [error.split(":")[0] for error in broken(spec)]

    assert [
        f"{ADVICE}.recommendations[1].rollbackSpec.action",
        f"{ADVICE}.recommendations[0].parameters.message",
    ] == paths


def test_a_refused_workflow_is_kept_for_a_year_at_most() -> None:
    """Also when it asks for a time that no state can hold."""
    workflow = a_workflow(executionStrategy={"ttlAfterFinished": "9" * 31 + "h"})

    plan = plan_of(workflow)

    assert (1, 365 * 24 * 3_600_000) == (len(plan.errors), plan.ttl_ms)


TEXT = st.text(max_size=12) | st.sampled_from(
    ["{{ 1 }}", "steps[1].status == ''", "1 +", "90s", "5m", "0s", "9" * 30 + "h"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
)
PARAMETERS = st.dictionaries(st.sampled_from(["deployment", "namespace", "replicas", "x"]), JSON, max_size=3)
ACTION = st.sampled_from(["scale_deployment", "notify_only", "custom", "nope"])
UNDOS = st.none() | st.builds(RollbackSpec, action=ACTION, parameters=PARAMETERS, timeout=st.none() | TEXT)
CONDITIONS = st.lists(
    st.builds(Condition, expression=TEXT, on_failure=st.sampled_from(["fail", "rollback"])), max_size=2
).map(tuple)
A_STEP = st.builds(
    Step,
    step_number=st.integers(1, 4),
    action=ACTION,
    parameters=PARAMETERS,
    depends_on=st.lists(st.integers(1, 5), max_size=2).map(tuple),
    retry_policy=st.none() | st.builds(RetryPolicy, initial_delay=TEXT, max_delay=TEXT),
    timeout=st.none() | TEXT,
    run_if=st.none() | TEXT,
    skip_if=st.none() | TEXT,
    pre_conditions=CONDITIONS,
    post_conditions=CONDITIONS,
    rollback_spec=UNDOS,
)
IDS = st.sampled_from(["a", "b", "c"])
A_RECOMMENDATION = st.builds(
    Recommendation,
    id=IDS,
    action=ACTION,
    parameters=PARAMETERS,
    depends_on=st.lists(IDS, max_size=2).map(tuple),
    rollback_spec=UNDOS,
)
OPTIMIZATION = st.dictionaries(
    st.sampled_from(["stepNumber", "timeout", "maxRetries", "reason", "x"]), JSON, max_size=4
)
SPECS = st.builds(
    WorkflowSpec,
    workflow_definition=st.builds(
        WorkflowDefinition,
        name=st.just("n"),
        version=st.just("1"),
        steps=st.lists(A_STEP, max_size=3).map(tuple),
        dependencies=st.dictionaries(TEXT, st.lists(st.integers(1, 5), max_size=2).map(tuple), max_size=2),
        ai_recommendations=st.none()
        | st.builds(
            AiRecommendations,
            recommendations=st.lists(A_RECOMMENDATION, max_size=3).map(tuple),
            step_optimizations=st.lists(OPTIMIZATION, max_size=2).map(tuple),
        ),
    ),
    execution_strategy=st.builds(
        ExecutionStrategy,
        rollback_strategy=st.sampled_from(["none", "manual"]),
        workflow_timeout=st.none() | TEXT,
        ttl_after_finished=TEXT,
        monitoring=st.none() | st.builds(Monitoring, window=TEXT, timeout=TEXT),
    ),
)


@given(spec=SPECS)
@settings(max_examples=300, deadline=None)
def test_every_rule_answers_on_any_spec(spec: WorkflowSpec) -> None:
    """Whatever the other rules find, and once recommendations without problems have become steps."""
    told = list(recommendation_problems(spec))
    for whole in (spec,) if told else (spec, expand(spec)):
        told += [error for rule in RULES for error in rule(whole)]

    assert all(error.startswith("spec.") for error in told)
    assert msgspec.json.encode(told)
