"""`{{ }}` in parameters: what is put in, what is refused, and that nothing is looked through twice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.expressions import ExpressionError
from scheduler.templates import problems, render, steps_in
from tests.scheduler.scopes import a_scope, a_step_seen

SCOPE = a_scope(
    a_step_seen(result={"replicas": 4, "labels": {"app": "shop"}, "hostile": "{{ variables.team }}"}),
    team="ops",
    count="5",
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("{{ steps[1].result.replicas + 1 }}", 5, id="one expression alone keeps its type"),
        pytest.param("  {{ variables.team }}\n", "ops", id="spaces around do not count"),
        pytest.param("{{steps[1].result.labels}}", {"app": "shop"}, id="a map"),
        pytest.param("to {{ variables.team }}!", "to ops!", id="within text"),
        pytest.param("{{ variables.team }}-{{ steps[1].result.replicas }}", "ops-4", id="two in one text"),
        pytest.param("{{ steps[1].result.labels }} {{ true }} {{ null }}", '{"app":"shop"} true null', id="as JSON"),
        pytest.param("{{ now - workflow.startedAt }}", "60s", id="a duration"),
        pytest.param("{{ {'a': 1}['a'] }}", 1, id="braces in the expression"),
        pytest.param("{{ 1 +\n 1 }}", 2, id="over two lines"),
        pytest.param("{{ no end", "{{ no end", id="braces that do not close"),
        pytest.param("{ { x } }", "{ { x } }", id="other braces"),
        pytest.param([{"to": ["{{ variables.count }}"]}, 3], [{"to": ["5"]}, 3], id="at any depth"),
    ],
)
def test_expressions_are_replaced(value: Any, expected: Any) -> None:
    """By their values."""
    found = render({"config": value, "kept": None}, SCOPE)

    assert {"config": expected, "kept": None} == found


def test_parameters_without_expressions_are_the_same_object() -> None:
    """They cost nothing."""
    parameters = {"message": "hello"}

    assert render(parameters, SCOPE) is parameters


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(
            {"to": ["{{ variables.nope }}"]},
            "parameters.config.to[0]: expression 'variables.nope' at 1:10: there is no nope",
            id="a variable that is not there",
        ),
        pytest.param(
            {"to": "the {{ variables.nope }}"},
            "parameters.config.to: expression 'variables.nope' at 1:10: there is no nope",
            id="a variable that is not there, within text",
        ),
        pytest.param("{{ 1 + }}", "parameters.config: expression '1 +' at 1:4: Syntax error", id="no expression"),
        pytest.param("{{ }}", "parameters.config: expression '' at 1:1", id="nothing"),
        pytest.param("{{ steps[1].result.hostile }}", "holds {{ }} itself", id="a result that is a template"),
        pytest.param("{{ '{' }}{ x }}", "holds {{ }} itself", id="a template put together"),
        pytest.param(
            ["{{ steps[1].result.labels }}"] * 4000,
            "the expressions give more than 32768 characters together",
            id="much text",
        ),
        pytest.param(["{{ [1, 2, 3, 4].all(x, x > 0) }}"] * 4000, "too many steps", id="many expressions"),
    ],
)
def test_what_cannot_be_replaced_is_an_error_with_its_path(value: Any, message: str) -> None:
    """And what comes out is never replaced again."""
    with pytest.raises(ExpressionError) as raised:
        render({"config": value}, SCOPE)

    assert str(raised.value).startswith("parameters.config")
    assert message in str(raised.value)


def test_planning_finds_every_expression_that_makes_no_sense() -> None:
    """In the order in which they are written, each with its path."""
    parameters = {
        "config": {"to": "{{ variables.team }} {{ variables.nope }}", "{{ x }}": 1},
        "list": ["{{ steps[9].status }}", "{{ 1 + 1 }}", "{{ 1 + }}"],
    }

    found = list(problems(parameters, frozenset({1}), frozenset({"team"})))

    assert [
        ("parameters.config", "a {{ }} in the name of a parameter is not replaced; write the name itself"),
        (
            "parameters.config.to",
            "expression 'variables.nope' at 1:10: there is no variable nope; the variables are team",
        ),
        ("parameters.list[0]", "expression 'steps[9].status' at 1:6: there is no step 9; the steps are 1"),
        ("parameters.list[2]", "expression '1 +' at 1:4: Syntax error: mismatched input '<EOF>'"),
    ] == found


def test_expressions_may_give_32768_characters_together() -> None:
    """The limit itself is allowed, one more is not."""
    scope = a_scope(half="x" * 16_384)

    made = render({"a": "{{ variables.half }} {{ variables.half }}"}, scope)
    with pytest.raises(ExpressionError, match="more than 32768 characters"):
        render({"a": "{{ variables.half }} {{ variables.half }}", "b": "{{ 'y' }}"}, scope)

    assert {"a": f"{'x' * 16_384} {'x' * 16_384}"} == made


def in_objects(levels: int) -> dict[str, Any]:
    """Objects within each other, with an expression beside them: as many levels with the parameters."""
    value: dict[str, Any] = {}
    for _ in range(levels - 2):
        value = {"a": value}
    return {"message": "{{ 1 }}", "deep": value}


def in_lists(levels: int) -> dict[str, Any]:
    """The same with lists."""
    value: list[Any] = []
    for _ in range(levels - 2):
        value = [value]
    return {"message": "{{ 1 }}", "deep": value}


@pytest.mark.parametrize(("deep", "path"), [(in_objects, "parameters.deep.a"), (in_lists, "parameters.deep[0]")])
@pytest.mark.parametrize("levels", [65, 900])
def test_values_beside_expressions_may_not_be_too_deep(
    deep: Callable[[int], dict[str, Any]], path: str, levels: int
) -> None:
    """Found in planning and refused in executing, at the same depth: 64 levels are allowed."""
    assert list(problems(deep(64))) == []
    assert render(deep(64), SCOPE)["message"] == 1

    ((where, wrong),) = problems(deep(levels))
    with pytest.raises(ExpressionError, match="64 levels") as raised:
        render(deep(levels), SCOPE)

    assert (True, True) == (where.startswith(path), "64 levels deep" in wrong)
    assert str(raised.value).startswith(f"{where}: ")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(
            ["{{ steps[3].status }} {{ steps[1].result.n }}", "{{ steps[7].error }}"], {1, 3, 7}, id="by number"
        ),
        pytest.param(["{{ variables.team }}", "steps[2]"], set(), id="none"),
        pytest.param(["{{ steps[1].status }}", "{{ steps.all(n, n > 0) }}"], None, id="any"),
        pytest.param(["{{ steps[1].status }}", "{{ 1 + }}"], None, id="one that is no expression"),
    ],
)
def test_the_steps_that_parameters_look_at_are_known(texts: list[str], expected: set[int] | None) -> None:
    """So that only these are put into the scope."""
    assert expected == steps_in({"config": {"to": texts}})


JSON = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["{{ 1 }}", "a {{ variables.team }} b", "{{ x", "}} {{", "{{{{ 1 }}}}", "{{ '}}' }}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@given(parameters=st.dictionaries(st.text(max_size=4), JSON, max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_parameters_give_parameters_or_an_expression_error(parameters: dict[str, Any]) -> None:
    """What planning finds nothing wrong with still may fail when it is replaced, but in no other way."""
    found = list(problems(parameters))
    with contextlib.suppress(ExpressionError):
        render(parameters, SCOPE)

    assert all(path.startswith("parameters") and wrong for path, wrong in found)
