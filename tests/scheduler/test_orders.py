"""What an execution is told to do: parameters as written, or filled in and checked again; its time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scheduler.orders import holds_template
from schemas.actions import check
from schemas.messages import CreateExecution
from schemas.names import idempotency_key
from tests.scheduler.builders import UID, Run, a_step, a_workflow


def ordered(parameters: dict[str, Any], *, action: str = "custom", variables: Any = None, **step: Any) -> Run:
    """A run of one step with these parameters."""
    return Run(
        a_workflow(a_step(1, action=action, parameters=parameters, **step), definition={"variables": variables or {}})
    )


def config(**values: Any) -> dict[str, Any]:
    """Parameters of a custom action."""
    return {"actionType": "x", "config": values}


@pytest.mark.parametrize(
    ("parameters", "held"),
    [
        pytest.param({"a": "{{ 1 }}"}, True, id="a text"),
        pytest.param({"a": {"b": ["x", "{{ 1 }}"]}}, True, id="deep within"),
        pytest.param({"a": "{ 1 }", "b": 7, "c": None}, False, id="none"),
        pytest.param({}, False, id="no parameters"),
    ],
)
def test_whether_anything_is_to_be_replaced(parameters: dict[str, Any], held: bool) -> None:  # noqa: FBT001
    """Looked at in every text, however deep."""
    assert held == holds_template(parameters)


def test_parameters_without_expressions_are_passed_on_as_they_are() -> None:
    """And nothing is said to have been replaced."""
    create = ordered(config(a="b")).create_of(1)

    assert (config(a="b"), False, False) == (create.parameters, create.rendered, create.derived)


def test_parameters_with_expressions_are_filled_in() -> None:
    """And it is said, because the object does not hold what came out."""
    create = ordered(config(a="{{ variables.v }}"), variables={"v": "w"}).create_of(1)

    assert ("custom", config(a="w"), True) == (create.action, create.parameters, create.rendered)


def test_what_comes_out_must_fit_the_action() -> None:
    """All that is wrong is said."""
    parameters = {"deployment": "{{ variables.bad }}", "namespace": "shop", "replicas": "{{ 0 - 1 }}"}

    run = ordered(parameters, action="scale_deployment", variables={"bad": "Not A Name"})

    wrong = check("scale_deployment", {"deployment": "Not A Name", "namespace": "shop", "replicas": -1})
    assert 2 == len(wrong)
    assert f"once its expressions are replaced: {'; '.join(wrong)}" == run.state.steps[0].error


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_what_comes_out_must_fit_the_log(more: int, fits: bool) -> None:  # noqa: FBT001
    """As what is written out must: 32 KiB of it."""
    values = {f"k{n}": "x" * 2000 for n in range(15)} | {"t": ""}
    rest = 32 * 1024 - len(msgspec.json.encode(config(**values)))

    run = ordered(config(**values | {"t": "{{ variables.v }}"}), variables={"v": "y" * (rest + more)})

    assert fits == bool(run.creates())
    expected = "once its expressions are replaced: the parameters have 32769 bytes, more than 32768"
    assert ("" if fits else expected) == run.state.steps[0].error


@pytest.mark.parametrize(
    ("step", "timeout"),
    [
        pytest.param({}, "5m", id="five minutes when nothing is said"),
        pytest.param({"timeout": "90s"}, "1m30s", id="as written"),
        pytest.param({"timeout": "2h"}, "10m", id="no more than the run has"),
    ],
)
def test_an_execution_has_its_time(step: dict[str, Any], timeout: str) -> None:
    """Which is also when it is looked at again."""
    run = ordered(config(a="b"), **step)

    assert timeout == run.create_of(1).timeout
    assert run.state.timers["step:1"] <= run.state.timers["workflow"]


def test_an_execution_has_at_least_a_second() -> None:
    """However little the run has left; it ends with the run then."""
    run = Run(a_workflow(a_step(1), a_step(2, after=(1,)), executionStrategy={"workflowTimeout": "10s"}))
    run.time = run.state.timers["workflow"] - 200 - run.tick

    run.end(1)

    create = run.create_of(2)
    assert ("1s", run.last.now + 1000) == (create.timeout, run.state.timers["step:2"])


def test_a_command_names_all_that_the_bridge_needs() -> None:
    """Name, attempt, purpose, action, cluster, key; held only where doing it twice would do more."""
    run = Run(a_workflow(a_step(3, targetCluster="west")))

    expected = CreateExecution(
        name="leak-step-3",
        step=3,
        attempt=1,
        action="scale_deployment",
        parameters={"deployment": "checkout", "namespace": "shop", "replicas": 3},
        target_cluster="west",
        timeout="5m",
        idempotency_key=idempotency_key(UID, 3, 1, "execute"),
    )
    assert expected == run.create_of(3)


@pytest.mark.parametrize(
    ("action", "parameters", "hold"),
    [
        pytest.param("cordon_node", {"node": "a"}, False, id="an action that may be repeated"),
        pytest.param("restart_pod", {"pod": "a", "namespace": "b"}, True, id="one that may not"),
        pytest.param("custom", {"actionType": "x", "config": {}}, True, id="one that nobody knows"),
    ],
)
def test_what_must_not_be_done_twice_is_held(action: str, parameters: dict[str, Any], hold: bool) -> None:  # noqa: FBT001
    """By our finalizer, until its end is in the log."""
    run = ordered(parameters, action=action)

    assert (hold, hold) == (run.create_of(1).hold, run.state.steps[0].held)
