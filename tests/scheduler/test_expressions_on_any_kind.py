"""Expressions on values whose kind shows only as they are evaluated: what each operator and function is not for."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.cel.limits import MOST_COST
from scheduler.expressions import Budget, ExpressionError, evaluate, problem
from tests.scheduler.scopes import a_scope, a_step_seen

KINDS = {
    "null": "null",
    "true": "a boolean",
    "1": "a whole number",
    "1.5": "a number",
    "'a'": "text",
    "[1]": "a list",
    "{'a': 1}": "a map",
    "now": "a time",
    "duration('1s')": "a duration",
}
"""One value of each kind, and its name in an error."""
SCOPE = a_scope(a_step_seen(result={"at": 1}), text="x" * 640, long="x" * 4097, zero="a\0b")
NUMBERS = {"1", "1.5"}
ORDERED = {(a, b) for a in NUMBERS for b in NUMBERS} | {(a, a) for a in ("true", "'a'", "now", "duration('1s')")}
ADDED = {(a, a) for a in ("1", "1.5", "'a'", "[1]", "duration('1s')")} | {
    ("now", "duration('1s')"),
    ("duration('1s')", "now"),
}
TAKEN = {(a, a) for a in ("1", "1.5", "now", "duration('1s')")} | {("now", "duration('1s')")}
FACTORS = {(a, a) for a in NUMBERS}
FITTING = dict.fromkeys(["<", "<=", ">", ">="], ORDERED) | {
    "+": ADDED,
    "-": TAKEN,
    "*": FACTORS,
    "/": FACTORS,
    "%": {("1", "1")},
    "in": {(a, b) for a in KINDS for b in ("[1]", "{'a': 1}")},
}
"""For each operator the kinds that it is for."""


@pytest.mark.parametrize("operator", FITTING)
def test_an_operator_works_on_its_kinds_and_names_all_others(operator: str) -> None:
    """Whatever stands on the left and on the right."""
    for a, left in KINDS.items():
        for b, right in KINDS.items():
            text = f"dyn({a}) {operator} dyn({b})"
            if (a, b) in FITTING[operator]:
                evaluate(text, SCOPE)
                continue
            with pytest.raises(ExpressionError) as raised:
                evaluate(text, SCOPE)
            assert str(raised.value).endswith(f": {operator} does not work on {left} and {right}"), text


@pytest.mark.parametrize("function", ["contains", "startsWith", "endsWith", "matches"])
def test_a_function_of_texts_is_for_texts_only(function: str) -> None:
    """On both sides."""
    for a, left in KINDS.items():
        for b, right in KINDS.items():
            if (a, b) != ("'a'", "'a'"):
                with pytest.raises(ExpressionError) as raised:
                    evaluate(f"dyn({a}).{function}(dyn({b}))", SCOPE)
                assert str(raised.value).endswith(f": {function} does not work on {left} and {right}")


@pytest.mark.parametrize(
    ("text", "name", "kinds"),
    [
        ("-dyn({})", "-", {"1", "1.5"}),
        ("!dyn({})", "!", {"true"}),
        ("size(dyn({}))", "size", {"'a'", "[1]", "{'a': 1}"}),
        ("int(dyn({}))", "int", {"1", "1.5", "now"}),
        ("double(dyn({}))", "double", {"1", "1.5"}),
        ("bool(dyn({}))", "bool", {"true"}),
        ("timestamp(dyn({}))", "timestamp", {"1", "now"}),
        ("duration(dyn({}))", "duration", {"duration('1s')"}),
        ("dyn({}).getFullYear()", "getFullYear", {"now"}),
        ("dyn({}).getMonth()", "getMonth", {"now"}),
        ("dyn({}).getDayOfYear()", "getDayOfYear", {"now"}),
        ("dyn({}).getDayOfMonth()", "getDayOfMonth", {"now"}),
        ("dyn({}).getDate()", "getDate", {"now"}),
        ("dyn({}).getDayOfWeek()", "getDayOfWeek", {"now"}),
        ("dyn({}).getHours()", "getHours", {"now", "duration('1s')"}),
        ("dyn({}).getMinutes()", "getMinutes", {"now", "duration('1s')"}),
        ("dyn({}).getSeconds()", "getSeconds", {"now", "duration('1s')"}),
        ("dyn({}).getMilliseconds()", "getMilliseconds", {"now", "duration('1s')"}),
    ],
)
def test_a_function_works_on_its_kinds_and_names_all_others(text: str, name: str, kinds: set[str]) -> None:
    """Texts that say no such value have errors of their own."""
    for value, kind in KINDS.items():
        if value in kinds:
            evaluate(text.format(value), SCOPE)
        elif value != "'a'" or name not in {"int", "double", "bool", "timestamp", "duration"}:
            with pytest.raises(ExpressionError) as raised:
                evaluate(text.format(value), SCOPE)
            assert str(raised.value).endswith(f": {name} does not work on {kind}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dyn([1])[dyn(true)]", "[ ] does not work on a list and a boolean"),
        ("dyn([1])[dyn('a')]", "[ ] does not work on a list and text"),
        ("dyn(1)[dyn(1)]", "[ ] does not work on a whole number and a whole number"),
        ("dyn([1])[dyn(-1)]", "there is no element -1 in a list of 1"),
        ("dyn([1])[dyn(1)]", "there is no element 1 in a list of 1"),
        ("dyn({'a': 1})[dyn(true)]", "there is no entry a boolean"),
        ("dyn({'a': 1})['b']", "there is no entry 'b'"),
        ("dyn({'a': 1})[1000000000000000000]", "there is no entry a whole number"),
        ("dyn({'a': 1})[999999999999999999]", "there is no entry 999999999999999999"),
        ("dyn(1).nope", "a whole number has no field nope"),
        ("has(dyn(1).nope)", "a whole number has no field nope"),
        ("{'a': dyn([1]).nope}", "a list has no field nope"),
        ("{dyn(1.5): 1}", "a number cannot be a key of a map; only text and whole numbers can"),
        ("dyn(1) ? 1 : 2", "? does not work on a whole number"),
        ("dyn(1) && true", "&& does not work on a whole number"),
        ("false || dyn('a')", "|| does not work on text"),
        ("[1].filter(x, dyn(x))", "filter does not work on a whole number"),
        ("dyn('a').map(x, x)", "text cannot be looped over"),
        ("dyn('a').all(x, x)", "text cannot be looped over"),
        ("string(dyn([1]))", "a list cannot be made text"),
        ("now.getHours(dyn(1))", "getHours does not work on a time"),
        ("'a'.matches(variables.zero)", "matches: the pattern holds a character that cannot be searched"),
        ("variables.zero.matches('a')", "matches: the text holds a character that cannot be searched"),
        ("variables.long.matches('a')", "matches: the text has 4097 characters; the limit is 4096"),
        (f"'a'.matches('{'a' * 257}')", "matches: the pattern has 257 characters; the limit is 256"),
        ("'a'.matches('a{41}b{50}')", "matches: the pattern repeats too much; use smaller counts in { }"),
    ],
)
def test_what_a_value_is_not_for_is_an_error_in_words(text: str, message: str) -> None:
    """With the kinds as people call them."""
    with pytest.raises(ExpressionError) as raised:
        evaluate(text, SCOPE)

    assert str(raised.value).endswith(f": {message}")


def test_half_a_character_cannot_be_searched() -> None:
    """An executor's result may hold one."""
    with pytest.raises(ExpressionError, match="the text holds a character that cannot be searched"):
        evaluate("variables.half.matches('a')", a_scope(half="\ud800"))


@pytest.mark.parametrize(
    ("pattern", "program"),
    [
        pytest.param("a", 1, id="a character"),
        pytest.param(".", 1 + 12, id="any character"),
        pytest.param("[^a]", 4 + 12, id="any but some"),
        pytest.param(r"\\D\\S\\W", 6 + 36, id="wide classes"),
        pytest.param("(?i)a", 5 + 12, id="either case"),
        pytest.param("a{3}", 4 * 3, id="three times"),
        pytest.param("a{1}", 4, id="once"),
        pytest.param("a{0}", 4, id="never"),
        pytest.param("a{2,}", 5 * 2, id="at least twice"),
        pytest.param("a{1,5}b{2}", 10 * 5 * 2, id="one and another"),
    ],
)
@pytest.mark.parametrize("characters", [0, 3, 64, 640])
def test_a_pattern_is_paid_for_by_its_size_times_the_text(pattern: str, program: int, characters: int) -> None:
    """Counted repetitions are written out, wide classes are many ranges."""
    budget, scope = Budget(), a_scope(text="x" * characters)

    evaluate(f"variables.text.matches('{pattern}')", scope, budget)

    assert 10 + program // 2 + characters * program // 64 == MOST_COST - budget.left


@pytest.mark.parametrize("text", ["'a'.matches('a{40}b{50}')", "variables.text.matches('x')"])
def test_a_pattern_and_a_text_at_their_limits_are_searched(text: str) -> None:
    """20,000 parts with repetitions written out, 4096 characters."""
    assert evaluate(text, a_scope(text="x" * 4096)) in (True, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timestamp('2024-12-31T23:58:57.123456Z').getFullYear()", 2024),
        ("timestamp('2024-12-31T23:58:57.123456Z').getMonth()", 11),
        ("timestamp('2024-12-31T23:58:57.123456Z').getDayOfYear()", 365),
        ("timestamp('2024-12-31T23:58:57.123456Z').getDayOfMonth()", 30),
        ("timestamp('2024-12-31T23:58:57.123456Z').getDate()", 31),
        ("timestamp('2024-12-29T23:58:57.123456Z').getDayOfWeek()", 0),
        ("timestamp('2024-12-31T23:58:57.123456Z').getHours()", 23),
        ("timestamp('2024-12-31T23:58:57.123456Z').getMinutes()", 58),
        ("timestamp('2024-12-31T23:58:57.123456Z').getSeconds()", 57),
        ("timestamp('2024-12-31T23:58:57.123456Z').getMilliseconds()", 123),
        ("timestamp('2024-12-31T23:58:57.123456Z').getMilliseconds('+01:30')", 123),
        ("timestamp('2024-12-31T23:58:57Z').getFullYear('+00:02')", 2025),
        ("timestamp('2024-01-01T00:00:00Z').getDate('-00:01')", 31),
        ("duration('2h3m4.567s').getHours()", 2),
        ("duration('2h3m4.567s').getMinutes()", 123),
        ("duration('2h3m4.567s').getSeconds()", 7384),
        ("duration('2h3m4.567s').getMilliseconds()", 567),
        ("duration('-2h3m4.567s').getHours()", -2),
        ("duration('-2h3m4.567s').getMilliseconds()", -567),
        ("int(timestamp('1969-12-31T23:59:59.5Z'))", -1),
    ],
)
def test_the_parts_of_a_time_and_of_a_duration(text: str, expected: int) -> None:
    """Months, days of the year and of the week from 0, as CEL has them; a duration in whole units."""
    assert expected == evaluate(text, SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{'a': steps[9].status}", id="in a value of a map"),
        pytest.param("{steps[9].status: 1}", id="in a key of a map"),
        pytest.param("[steps[9].status]", id="in a list"),
        pytest.param("[1].map(x, steps[9].status)", id="in a loop"),
        pytest.param("steps[9].result.map(x, x)", id="in what a loop goes over"),
        pytest.param("true ? steps[9].status : ''", id="in a choice"),
        pytest.param("size(steps[9].status)", id="in an argument"),
    ],
)
def test_planning_looks_at_every_part_of_an_expression(text: str) -> None:
    """Wherever it stands."""
    assert "there is no step 9" in (problem(text, boolean=False, steps=frozenset({1})) or "")


def show(value: Any) -> str:
    """A value as `string()` gives it."""
    return str(evaluate(f"string({value})", SCOPE))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("false", "false"),
        ("-7", "-7"),
        ("2.0", "2"),
        ("timestamp('0001-02-03T04:05:06Z')", "0001-02-03T04:05:06Z"),
        ("timestamp('2024-01-01T00:00:00.5Z')", "2024-01-01T00:00:00.500Z"),
        ("timestamp('2024-01-01T00:00:00.000005Z')", "2024-01-01T00:00:00.000005Z"),
        ("timestamp('2024-01-01T00:00:00.000000005Z')", "2024-01-01T00:00:00.000000005Z"),
        ("timestamp('1969-12-31T23:59:59.999Z')", "1969-12-31T23:59:59.999Z"),
        ("duration('-1.5s')", "-1.500s"),
        ("duration('1ns')", "0.000000001s"),
        ("duration('1us')", "0.000001s"),
        ("duration('1µs')", "0.000001s"),
        ("duration('1ms')", "0.001s"),
        ("duration('1m')", "60s"),
        ("duration('1h')", "3600s"),
        ("duration('0')", "0s"),
        ("duration('+1.25h')", "4500s"),
        ("duration('1.s')", "1s"),
    ],
)
def test_values_become_text_as_in_cel(value: str, expected: str) -> None:
    """Times and durations with no, three, six or nine digits."""
    assert expected == show(value)
