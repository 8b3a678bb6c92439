"""The rules of planning at their limits: what is just allowed, what is one too many, and how much is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scheduler.limits import default_workflow_timeout
from scheduler.rules import ERRORS_LIMIT, PARAMETERS_LIMIT, broken, edges
from schemas.workflow import WorkflowSpec
from tests.scheduler.specs import STEPS, a_spec, a_written_step


def with_dependencies(found: WorkflowSpec, dependencies: dict[str, tuple[int, ...]]) -> WorkflowSpec:
    """The spec with `dependencies` beside each step's dependsOn."""
    definition = msgspec.structs.replace(found.workflow_definition, dependencies=dependencies)
    return msgspec.structs.replace(found, workflow_definition=definition)


def test_the_graph_has_the_dependencies_of_both_kinds() -> None:
    """Merged; what names no step is left out, so that a walk finds every number."""
    spec = a_spec(a_written_step(1), a_written_step(2), a_written_step(3, dependsOn=[1, 8]))

    found = edges(with_dependencies(spec, {"3": (2, 9), "2": (1,), "7": (1,), "x": (1,)}))

    assert {1: frozenset(), 2: frozenset({1}), 3: frozenset({1, 2})} == found


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param(12, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12", id="twelve are all named"),
        pytest.param(13, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 … 13", id="of more the last is named"),
    ],
)
def test_an_error_names_the_steps_that_there_are(steps: int, expected: str) -> None:
    """As many as a person can read."""
    first = a_written_step(1, dependsOn=[99])

    found = broken(a_spec(first, *(a_written_step(number) for number in range(2, steps + 1))))

    assert (f"{STEPS}[0].dependsOn[0]: there is no step 99; the steps are {expected}",) == found


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        pytest.param(ERRORS_LIMIT, ERRORS_LIMIT, id="as many as are listed"),
        pytest.param(ERRORS_LIMIT + 2, ERRORS_LIMIT + 1, id="more are counted"),
    ],
)
def test_errors_past_a_hundred_are_counted(errors: int, told: int) -> None:
    """The status has a limit."""
    found = broken(a_spec(*(a_written_step(number + 1, dependsOn=[1000, 1001]) for number in range(errors // 2))))

    assert told == len(found)
    assert (errors > ERRORS_LIMIT) == (found[-1] == f"and {errors - ERRORS_LIMIT} more errors")


def test_an_error_has_at_most_1024_characters() -> None:
    """Whatever a user wrote."""
    found = broken(a_spec(a_written_step(1)), (lambda _: iter(["x" * 1023, "y" * 1024, "z" * 1025]),))

    assert ("x" * 1023, "y" * 1024, "z" * 1024) == found


@pytest.mark.parametrize(("more", "refused"), [(0, False), (1, True)], ids=["at the limit", "a byte more"])
def test_parameters_may_have_32_kib(more: int, *, refused: bool) -> None:
    """Counted as JSON."""
    parameters = {"actionType": "x", "config": {"text": ""}}
    room = PARAMETERS_LIMIT - len(msgspec.json.encode(parameters))
    parameters["config"] = {"text": "x" * (room + more)}

    found = broken(a_spec(a_written_step(1, action="custom", parameters=parameters)))

    assert refused == any("bytes are more than 32768; put large content in a ConfigMap" in each for each in found)


UNDO = {"action": "notify_only", "parameters": {"message": "{{ 1 }}"}}
LONG = f"{'variables.env == 1':<4096}"
"""The longest expression that is allowed; this one names a variable that is not there."""


def too_many(errors: tuple[str, ...]) -> bool:
    """Whether nothing was looked at for the number of characters."""
    return len(errors) == 1 and "characters together; the limit is 65536" in errors[0]


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        pytest.param({}, False, id="at the limit every condition is looked at"),
        pytest.param({"runIf": "1"}, True, id="one more in a condition"),
        pytest.param(UNDO, True, id="one more in the parameters"),
        pytest.param({"rollbackSpec": UNDO}, True, id="one more in what undoes the step"),
    ],
)
@pytest.mark.parametrize("at", [0, 1])
def test_all_expressions_together_may_have_65536_characters(fields: dict[str, Any], at: int, *, refused: bool) -> None:
    """Those of all steps, in conditions and in parameters of both kinds."""
    steps = [a_written_step(1, preConditions=[{"expression": LONG}] * 16), a_written_step(2)]
    steps[at] |= fields

    assert refused == too_many(broken(a_spec(*steps)))


def test_at_the_limit_every_expression_is_looked_at() -> None:
    """Conditions and parameters."""
    conditions = [{"expression": LONG}] * 15 + [{"expression": LONG[:-3]}]
    step = a_written_step(
        1, preConditions=conditions, rollbackSpec={"action": "notify_only", "parameters": {"message": "{{ 1+ }}"}}
    )

    found = broken(a_spec(step))

    assert [*(f"{STEPS}[0].preConditions[{place}].expression" for place in range(16)), f"{STEPS}[0].rollbackSpec"] == [
        error.split(": ")[0].removesuffix(".parameters.message") for error in found
    ]


@pytest.mark.parametrize("where", ["parameters", "rollbackSpec.parameters"])
def test_expressions_in_parameters_may_name_only_what_is_there(where: str) -> None:
    """Steps and variables, in what a step does and in what undoes it."""
    action = {"action": "notify_only", "parameters": {"message": "{{ variables.nope }} {{ steps[7].status }}"}}
    step = a_written_step(1, **(action if where == "parameters" else {"rollbackSpec": action}))

    found = broken(a_spec(step, env="prod"))

    path = f"{STEPS}[0].{where}.message: expression"
    assert (
        f"{path} 'variables.nope' at 1:10: there is no variable nope; the variables are env",
        f"{path} 'steps[7].status' at 1:6: there is no step 7; the steps are 1",
    ) == found


def test_every_step_s_retries_are_looked_at() -> None:
    """Also behind a step that has no policy."""
    policy = {"retryPolicy": {"initialDelay": "6m"}}

    found = broken(a_spec(a_written_step(1), a_written_step(2, **policy), a_written_step(3, **policy)))

    assert [f"{STEPS}[{place}].retryPolicy.initialDelay" for place in (1, 2)] == [e.split(": ")[0] for e in found]


def test_a_workflow_that_is_not_watched_needs_no_time_to_be_watched() -> None:
    """A window of nothing skips the phase."""
    assert () == broken(a_spec(a_written_step(1), strategy={"monitoring": {"window": "0s", "timeout": "0s"}}))


@pytest.mark.parametrize(("timeout", "refused"), [("8760h", False), ("8760h1s", True)])
def test_a_year_can_be_waited_for(timeout: str, *, refused: bool) -> None:
    """And no longer."""
    found = broken(a_spec(a_written_step(1, timeout=timeout)))

    expected = (f"{STEPS}[0].timeout: 8760h1s is too long; at most 8760h can be waited for",)
    assert (expected if refused else ()) == found


@pytest.mark.parametrize(
    ("steps", "expected"), [(1, "10m"), (3, "10m"), (4, "20m"), (10, "20m"), (11, "45m"), (256, "45m")]
)
def test_a_run_without_a_timeout_has_one_by_its_steps(steps: int, expected: str) -> None:
    """As the table of the specification has it."""
    assert expected == default_workflow_timeout(steps)


def test_expressions_may_have_65536_characters_together() -> None:
    """One more, and none of them is compiled: only that is told."""
    conditions = [*[{"expression": "true".ljust(4096)}] * 15, {"expression": "nope".ljust(4096)}]
    full = a_written_step(1, preConditions=conditions)

    at_the_limit, over_it = broken(a_spec(full)), broken(a_spec(full | {"runIf": "1"}))

    assert [f"{STEPS}[0].preConditions[15].expression"] == [each.partition(":")[0] for each in at_the_limit]
    assert len(over_it) == 1
    assert "have 65537 characters together; the limit is 65536, so make them shorter" in over_it[0]


def test_those_in_templates_count_as_well() -> None:
    """And are not compiled either when they are too many."""
    step = a_written_step(1, preConditions=[{"expression": "true".ljust(4096)}] * 15)

    def with_name(text: str) -> tuple[str, ...]:
        return broken(a_spec(step | {"parameters": step["parameters"] | {"deployment": "{{" + text + "}}"}}))

    assert [f"{STEPS}[0].parameters.deployment"] == [
        each.partition(":")[0] for each in with_name(f"nope == '{'x' * 4086}'")
    ]
    assert "have 65537 characters together" in with_name(f"nope == '{'x' * 4087}'")[0]
