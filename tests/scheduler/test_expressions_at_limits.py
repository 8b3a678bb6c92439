"""Expressions at their limits: what is just allowed, what is one too many, what each part costs."""

from __future__ import annotations

import pytest

from scheduler.cel.limits import MOST_COST
from scheduler.expressions import Budget, ExpressionError, evaluate, problem
from tests.scheduler.scopes import a_scope, a_step_seen

SCOPE = a_scope(a_step_seen(result={"items": [1, 2, 3]}), text="x" * 640, half="x" * 16_384)


def cost(text: str) -> int:
    """The units that one evaluation takes."""
    budget = Budget()
    evaluate(text, SCOPE, budget)
    return MOST_COST - budget.left


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("true" + " " * 4092, id="4096 characters"),
        pytest.param(" && ".join(["[1].all(x, true)"] * 16), id="16 loops"),
        pytest.param("[1].map(a, [1].map(b, 1))", id="two loops within each other"),
        pytest.param(f"'a'.matches('{'a' * 256}')", id="a pattern of 256 characters"),
    ],
)
def test_planning_takes_what_is_at_a_limit(text: str) -> None:
    """The limits themselves are allowed."""
    assert problem(text, boolean=False) is None


@pytest.mark.parametrize(
    ("text", "units"),
    [
        pytest.param("1 + 1 == 2", 0, id="nothing without loops and texts"),
        pytest.param("1 / 0 > 0 || true", 25, id="a failure that is absorbed"),
        pytest.param(
            "[0, 1].exists(i, 1 / i == 1)", 2 * 10 + 2 * 25, id="a failure that a loop carries on and then absorbs"
        ),
        pytest.param("[1, 2].map(i, i)", 2 * 4 + 3, id="a loop, and a list of two as result"),
        pytest.param("variables.text == ''", 10, id="a text of 640 characters compared"),
        pytest.param("variables.text < 'y'", 10, id="a text of 640 characters set in order"),
        pytest.param("variables.text + variables.text == ''", 20 + 20, id="put together, then compared"),
        pytest.param("variables.text.contains(variables.text)", 20, id="searched for a text as long"),
        pytest.param("4 in [1, 2, 3]", 3, id="looked up in a list of three"),
        pytest.param("[1, 2] + [3] == [1]", 3, id="lists put together"),
        pytest.param("[1, 2] == [1, 3]", 3, id="lists compared"),
        pytest.param("variables.text", 10, id="a text as result"),
        pytest.param("steps[1].result", 2 + 4, id="a map and a list as result"),
    ],
)
def test_what_is_done_is_paid_for(text: str, units: int) -> None:
    """By the size of what is gone through."""
    assert units == cost(text)


def test_the_budget_may_be_used_up_to_the_last_unit() -> None:
    """One less is too little."""
    enough, too_little = Budget(), Budget()
    enough.left, too_little.left = 10, 9

    assert "x" * 640 == evaluate("variables.text", SCOPE, enough)
    with pytest.raises(ExpressionError, match="too many steps; loop over less, or compare less text"):
        evaluate("variables.text", SCOPE, too_little)

    assert 0 == enough.left


def test_texts_may_have_32768_characters() -> None:
    """Put together; one more is refused with the number."""
    assert 32_768 == evaluate("size(variables.half + variables.half)", SCOPE)
    with pytest.raises(ExpressionError, match="a text of 32769 characters; the limit is 32768"):
        evaluate("size(variables.half + variables.half + 'y')", SCOPE)


def test_a_result_may_have_32768_bytes_as_json() -> None:
    """With its quotes."""
    scope = a_scope(fits="x" * 32_766, not_quite="x" * 32_767)

    assert "x" * 32_766 == evaluate("variables.fits", scope)
    with pytest.raises(ExpressionError, match="its value has 32769 bytes as JSON; the limit is 32768"):
        evaluate("variables.not_quite", scope)


@pytest.mark.parametrize(("levels", "refused"), [(64, False), (65, True)])
@pytest.mark.parametrize("innermost", [[], {}])
def test_values_may_be_nested_64_levels_deep(innermost: object, levels: int, *, refused: bool) -> None:
    """As a result and when compared, lists and maps alike."""
    deep: object = innermost
    for _ in range(levels - 1):
        deep = [deep] if innermost == [] else {"in": deep}
    scope = a_scope(a_step_seen(result={"a": deep, "b": deep}))

    for text in ("steps[1].result.a", "steps[1].result.a == steps[1].result.b"):
        if refused:
            with pytest.raises(ExpressionError, match="deeper than 64 levels"):
                evaluate(text, scope)
        else:
            assert evaluate(text, scope) in (deep, True)


HUGE = a_scope(a_step_seen(result={"n": 2**63}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-9223372036854775807 - 1", -(2**63)),
        ("9223372036854775806 + 1", 2**63 - 1),
        ("string(timestamp('0001-01-01T00:00:00Z'))", "0001-01-01T00:00:00Z"),
        ("string(timestamp('9999-12-31T23:59:59.999999999Z'))", "9999-12-31T23:59:59.999999999Z"),
        ("duration('87660000h')", "315576000000s"),
        ("duration('-87660000h')", "-315576000000s"),
        (f"duration('{'1s' * 32}')", "32s"),
        (f"double('{'0' * 63}1')", 1.0),
        ("double(1e300)", 1e300),
        ("timestamp(0).getMinutes('+23:59')", 59),
        ("timestamp(0).getMinutes('Z')", 0),
    ],
)
def test_values_at_a_limit_are_values(text: str, expected: object) -> None:
    """64 bits, the years 1 to 9999, ten thousand years, 64 characters."""
    assert expected == evaluate(text, SCOPE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-9223372036854775807 - 2", "the whole number does not fit into 64 bits"),
        ("double(steps[1].result.n)", "the whole number does not fit into 64 bits"),
        ("timestamp('0001-01-01T00:00:00Z') - duration('1ns')", "the time is not between the years 1 and 9999"),
        (
            "timestamp('9999-12-31T23:59:59.999999999Z') + duration('1ns')",
            "the time is not between the years 1 and 9999",
        ),
        ("duration('87660000h') + duration('1ns')", "the duration is longer than 10,000 years"),
        ("duration('-87660000h') - duration('1ns')", "the duration is longer than 10,000 years"),
        (
            f"duration('10s{'1s' * 31}')",
            f"'10s{('1s' * 31)[:29]}' is not a duration; write a number and a unit, such as",
        ),
        (f"double('{'0' * 64}1')", f"'{'0' * 32}' is not a number"),
        ("double('x')", "'x' is not a number"),
        ("bool('yes')", "'yes' is not a boolean; write true or false"),
        (
            "timestamp(0).getHours('+24:00')",
            "'+24:00' is not a time zone here; write 'UTC' or an offset such as '+02:00'",
        ),
        ("timestamp(0).getHours('+00:60')", "'+00:60' is not a time zone here"),
        (f"timestamp('2024-01-01T00:00:00Z{' ' * 60}')", "is not a time; write it like '2026-01-31T12:00:00Z'"),
    ],
)
def test_values_past_a_limit_are_errors(text: str, message: str) -> None:
    """Each says what is wrong, and what to write where that helps."""
    with pytest.raises(ExpressionError) as raised:
        evaluate(text, HUGE)

    assert message in str(raised.value)


@pytest.mark.parametrize("text", ["1", "t", "true", "TRUE", "True"])
def test_texts_that_are_true(text: str) -> None:
    """As CEL has them."""
    assert evaluate(f"bool('{text}')", SCOPE) is True


@pytest.mark.parametrize("text", ["0", "f", "false", "FALSE", "False"])
def test_texts_that_are_false(text: str) -> None:
    """As CEL has them."""
    assert evaluate(f"bool('{text}')", SCOPE) is False
