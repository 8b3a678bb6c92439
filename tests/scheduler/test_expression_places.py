"""What an evaluation says when it fails, with the place; what a name means within loops and after; what loops cost."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.cel.limits import MOST_COST
from scheduler.expressions import Budget, ExpressionError, evaluate
from tests.scheduler.scopes import a_scope, a_step_seen

SCOPE = a_scope(a_step_seen(result={"items": [1, 2, 3]}), odd="x" * 650)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  dyn(1) ? 1 : 2", "1:10: ? does not work on a whole number"),
        ("  has(steps[1].attempts.x)", "1:6: a whole number has no field x"),
        ("true &&  dyn(1)", "1:6: && does not work on a whole number"),
        ("false ||  dyn(1)", "1:7: || does not work on a whole number"),
        ("  steps[1].attempts.x", "1:20: a whole number has no field x"),
        ("  steps[1].result.nope", "1:18: there is no nope; ask with has() first"),
        ("[1].filter(x,  dyn(x))", "1:11: filter does not work on a whole number"),
        ("{dyn(1.5): 1}", "1:5: a number cannot be a key of a map; only text and whole numbers can"),
        ("{'a': 1, 'a': 2}", "1:10: the map has the same key twice"),
        ("  steps[1].attempts.all(x, true)", "1:11: a whole number cannot be looped over"),
        ("  steps[1].attempts.map(x, x)", "1:11: a whole number cannot be looped over"),
        ("[0].all(i, 1 / i == 1)", "1:14: division by zero"),
        ("[1, 0].exists_one(i, 1 / i == 1)", "1:24: division by zero"),
        (" -dyn('a')", "1:2: - does not work on text"),
        ("size(dyn(1))", "1:5: size does not work on a whole number"),
        ("1 + dyn('a')", "1:3: + does not work on a whole number and text"),
        ("dyn(true) + 1", "1:11: + does not work on a boolean and a whole number"),
        ("1 - dyn(true)", "1:3: - does not work on a whole number and a boolean"),
        ("dyn(true) * dyn(true)", "1:11: * does not work on a boolean and a boolean"),
        ("1 / dyn(true)", "1:3: / does not work on a whole number and a boolean"),
        (f"dyn({{}})['{'k' * 40}']", f"1:8: there is no entry '{'k' * 32}'"),
    ],
)
def test_a_failure_says_what_and_where(text: str, message: str) -> None:
    """Line and column, counted from 1."""
    with pytest.raises(ExpressionError) as wrong:
        evaluate(text, SCOPE)

    assert str(wrong.value).endswith(f" at {message}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("[1, 2].exists(x, x == 1)", True, id="decided by the first"),
        pytest.param("[1, 2].all(x, x == 2)", False, id="decided against by the first"),
        pytest.param("[1, 2].all(x, [3].exists(x, x == 3) && x < 3)", True, id="an inner loop over the same name"),
        pytest.param("[1, 2].all(x, [3].map(x, x) == [3] && x < 3)", True, id="an inner list by the same name"),
        pytest.param(
            "[1].all(now, now == 1) && now > timestamp('2000-01-01T00:00:00Z')", True, id="the name after a loop"
        ),
        pytest.param(
            "[1].map(now, now) == [1] && now > timestamp('2000-01-01T00:00:00Z')", True, id="the name after a list"
        ),
        pytest.param("[1, 2].exists_one(x, [5].exists(y, y == 5) && x == 1)", True, id="a loop within a count"),
        pytest.param("[1, 0, 2].exists(x, 2 / x == 1)", True, id="a failure before the one that decides"),
    ],
)
def test_a_name_means_what_is_nearest(text: str, value: Any) -> None:
    """And what it meant before, once the loop is over."""
    assert evaluate(text, SCOPE) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[].all(x, x == 1)", True),
        ("[].exists(x, x == 1)", False),
        ("[].exists_one(x, x == 1)", False),
        ("[].map(x, x)", []),
        ("[].filter(x, x == 1)", []),
        ("{}.all(key, key == 'a')", True),
    ],
)
def test_a_loop_over_nothing_has_a_value(text: str, value: Any) -> None:
    """An action may have found nothing."""
    assert value == evaluate(text, SCOPE)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 < 2", True),
        ("2 < 2", False),
        ("2 <= 2", True),
        ("3 <= 2", False),
        ("2 >= 2", True),
        ("1 >= 2", False),
        ("7.0 * 2.0", 14.0),
        ("7.0 / 2.0", 3.5),
        ("7.0 - 2.0", 5.0),
        ("-(1 + 2)", -3),
        ("-(1.5 + 1.0)", -2.5),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7 % -2", 1),
        ("0.0 / 0.0 == 0.0 / 0.0", False),
        ("(0.0 / 0.0) / 0.0 == (0.0 / 0.0) / 0.0", False),
        ("1.0 / 0.0 > 1e300", True),
        ("1.0 / -0.0 < -1e300", True),
        ("-1.0 / 0.0 < -1e300", True),
        ("duration('1h') + timestamp('2024-01-01T00:00:00Z') == timestamp('2024-01-01T01:00:00Z')", True),
        ("timestamp('2024-01-01T01:00:00Z') - timestamp('2024-01-01T00:00:00Z') == duration('1h')", True),
        ("duration('2h').getHours()", 2),
        ("[1] == [1, 2]", False),
        ("[1, 2] == [1, 2]", True),
        ("dyn([1]) == dyn(1)", False),
        ("{'a': 1} == {'b': 1}", False),
    ],
)
def test_operators_give_what_cel_says(text: str, value: Any) -> None:
    """At the places where two of them are easily mistaken for each other."""
    found = evaluate(text, SCOPE)

    assert (type(value), value) == (type(found), found)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("[1, 2].all(x, x > 0)", 14),
        ("[1, 2].exists(x, x > 0)", 16),
        ("[1, 2].exists_one(x, x > 1)", 18),
        ("[1, 2].map(i, i)", 11),
        ("[1, 2].filter(i, i > 1)", 20),
        ("[1, 2].map(i, i > 1, i)", 20),
        ("variables.odd < 'y'", 10),
        ("variables.odd", 10),
        ("(variables.odd + variables.odd).size()", 20),
        ("variables.odd.contains(variables.odd)", 20),
    ],
)
def test_rounds_of_loops_and_long_texts_are_paid_for(text: str, units: int) -> None:
    """By what a round holds, and by 64 characters; a loop that is decided makes no more rounds."""
    budget = Budget()

    evaluate(text, SCOPE, budget)

    assert units == MOST_COST - budget.left
