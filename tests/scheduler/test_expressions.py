"""Expressions: what they mean, what planning finds in them, what bounds them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.cel.limits import MOST_COST
from scheduler.expressions import Budget, ExpressionError, Scope, evaluate, holds, problem
from tests.scheduler.scopes import a_scope, a_step_seen

SCALED = a_step_seen(result={"scaleResult": {"replicas": 4}, "items": [3, 1, 2], "none": None, "map": {"b": 1, "a": 2}})
FAILED = a_step_seen("failed", error="no quota", attempts=3)
SCOPE = a_scope(SCALED, FAILED, env="prod", count="5", text="checkout-7")


def wrong_in(text: str, scope: Scope = SCOPE) -> str:
    """The error of an expression that gives no value."""
    with pytest.raises(ExpressionError) as raised:
        evaluate(text, scope)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("variables.env == 'prod'", True),
        ("variables['env'] != 'prod'", False),
        ("has(variables.nope)", False),
        ("'env' in variables", True),
        ("int(variables.count) + 1", 6),
        ("steps[1].status == 'completed'", True),
        ("steps[2].status", "failed"),
        ("steps[2].attempts > 2 && steps[2].error.contains('quota')", True),
        ("steps[1].result.scaleResult.replicas > 3", True),
        ("steps[1].result['scaleResult']", {"replicas": 4}),
        ("has(steps[1].result.scaleResult) && !has(steps[1].result.x)", True),
        ("steps[1].result.none == null", True),
        ("steps[1].result.none", None),
        ("3 in steps", False),
        ("size(steps)", 2),
        ("steps.all(n, steps[n].status == 'completed')", False),
        ("steps.filter(n, steps[n].status != 'completed')", [2]),
        ("now - workflow.startedAt < duration('5m')", True),
        ("now - workflow.startedAt", "60s"),
        ("now", "2023-11-14T22:14:20Z"),
        ("now.getHours()", 22),
        ("now.getHours('+02:00')", 0),
        ("now.getFullYear() * 100 + now.getMonth()", 202310),
        ("now.getDayOfWeek()", 2),
        ("workflow.name + '/' + workflow.phase", "leak/executing"),
        ("string(workflow.startedAt)", "2023-11-14T22:13:20Z"),
        ("timestamp('2024-02-29T12:00:00.5+01:00') + duration('1.5s')", "2024-02-29T11:00:02Z"),
        ("duration('1h30m').getMinutes()", 90),
        ("duration('-90s')", "-90s"),
        ("steps[1].result.items.map(i, i * 2)", [6, 2, 4]),
        ("steps[1].result.items.map(i, i > 1, string(i))", ["3", "2"]),
        ("steps[1].result.items.exists(i, i == 2)", True),
        ("steps[1].result.items.exists_one(i, i > 1)", False),
        ("[[1, 2], [3]].map(l, l.map(i, i + size(l)))", [[3, 4], [4]]),
        ("[1, 2].map(i, [3].map(i, i)[0] + i)", [4, 5]),
        ("{'a': [1.5, null], 'b': {1: true}}", {"a": [1.5, None], "b": {"1": True}}),
        ("variables.text.matches('^[a-z]+-[0-9]{1,3}$')", True),
        ("variables.text.startsWith('check') && variables.text.endsWith('7')", True),
        ("variables.env == 'prod' ? 3 : 1", 3),
        ("7 / -2 * 10 + 7 % -2", -29),
        ("-7 % 2", -1),
        ("1.0 / 0.0 > 1.0", True),
        ("double('1e3') + double(2)", 1002.0),
        ("string(1.0) + string(0.1) + string(true)", "10.1true"),
        ("dyn(1) == 1.0", True),
        ("dyn(true) == dyn(1)", False),
        ("[dyn(1), 'a'] == [dyn(1.0), 'a']", True),
        ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", True),
        ("bool('true')", True),
        ("'é'.size()", 1),
        ("int(now) - int(workflow.startedAt)", 60),
        ("int(-1.9)", -1),
        ("'a' + 'b' < 'b' && [1] + [2] == [1, 2]", True),
    ],
)
def test_an_expression_gives_its_value(text: str, expected: Any) -> None:
    """As CEL has it; times and durations become text."""
    found = evaluate(text, SCOPE)

    assert (expected, type(expected)) == (found, type(found))
    assert problem(text, boolean=False, steps=frozenset({1, 2})) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("false && 1 / 0 > 0", False),
        ("1 / int(variables.count) > 9 || true", True),
        ("steps[9].status == '' || true", True),
        ("steps[1].result.nope > 1 && false", False),
        ("[0, 1].exists(i, 1 / i == 1)", True),
        ("[0, 1].all(i, 1 / i > 5)", False),
    ],
)
def test_what_decides_alone_decides_although_another_part_fails(text: str, expected: object) -> None:
    """&&, ||, all and exists absorb failures that change nothing."""
    assert expected is holds(text, SCOPE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps[1].result.nope", "at 1:16: there is no nope; ask with has() first"),
        ("steps[9].status == ''", "at 1:6: there is no entry 9"),
        ("variables.env &&\n  variables.nope == ''", "at 1:15: && does not work on (string, bool)"),
        ("true &&\n  variables.nope == ''", "at 2:12: there is no nope; ask with has() first"),
        ("steps[1].result.items[3]", "at 1:22: there is no element 3 in a list of 3"),
        ("steps[1].result.items.nope", "a list has no field nope"),
        ("steps[1].status > 3", "at 1:17: > does not work on text and a whole number"),
        ("steps[1].attempts + steps[1].status", "+ does not work on a whole number and text"),
        ("9223372036854775807 + 1", "at 1:21: the whole number does not fit into 64 bits"),
        ("1 % 0", "at 1:3: division by zero"),
        ("int(variables.env)", "'prod' is not a whole number"),
        ("timestamp(variables.env)", "'prod' is not a time; write it like '2026-01-31T12:00:00Z'"),
        ("timestamp('9999-12-31T23:59:59Z') + duration('1s')", "the time is not between the years 1 and 9999"),
        ("{'a': 1, 'a': 2}", "the map has the same key twice"),
        ("steps[1].result.items.map(i, {i: i / (i - 3)})", "division by zero"),
        ("steps[1].status ? 1 : 2", "? does not work on text"),
        ("steps[1].attempts.map(i, i)", "at 1:9: a whole number cannot be looped over"),
        ("1.0 / 0.0", "its value is not a number that JSON can hold"),
        ("variables.env.matches('(')", "matches: invalid regular expression: missing )"),
        ("1 +", "at 1:4: Syntax error: mismatched input '<EOF>'"),
    ],
)
def test_an_error_names_the_expression_the_place_and_what_is_wrong(text: str, message: str) -> None:
    """So that a person finds it."""
    with pytest.raises(ExpressionError) as raised:
        evaluate(text, SCOPE)

    assert str(raised.value).startswith("expression ")
    assert message in str(raised.value)


@pytest.mark.parametrize(("characters", "more"), [(80, ""), (81, "…"), (200, "…")])
def test_a_long_expression_is_shown_in_part(characters: int, more: str) -> None:
    """80 characters of it."""
    text = "variables.nope == 'x'".ljust(characters)

    assert f"expression {text[:80] + more!r} at 1:10: there is no nope; ask with has() first" == wrong_in(text)


def test_an_expression_of_several_lines_is_shown_in_one() -> None:
    """The place is in the lines as they were written."""
    text = "true &&\ntrue &&\n  variables.nope == ''"

    expected = "expression \"true && true &&   variables.nope == ''\" at 3:12: there is no nope; ask with has() first"
    assert expected == wrong_in(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(" 0.0 / 0.0", "its value is not a number that JSON can hold", id="no number"),
        pytest.param(" [1.0 / 0.0]", "its value is not a number that JSON can hold", id="within a list"),
        pytest.param(" steps[3].result.half", "its value cannot be written as JSON", id="half of a character"),
        pytest.param(" steps[3].result.strange", "its value is something unknown", id="what no message holds"),
    ],
)
def test_a_value_that_is_none_of_json_is_an_error_of_the_whole(text: str, message: str) -> None:
    """It is told at the beginning, as no part of the expression is wrong."""
    scope = a_scope(SCALED, FAILED, a_step_seen(result={"half": "\ud800", "strange": b""}))

    assert f"expression {text!r} at 1:1: {message}" == wrong_in(text, scope)


def test_a_secret_in_an_expression_is_not_shown() -> None:
    """An error goes into statuses and events."""
    wrong = problem("variables.nope == 'password=hunter2hunter2'", boolean=True, variables=frozenset())

    assert wrong is not None
    assert "hunter2" not in wrong


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1 + 1", "a whole number"),
        ("steps[1].attempts", "a whole number"),
        ("now", "a time"),
        ("variables", "a map"),
        ("null", "null"),
    ],
)
def test_a_condition_that_gives_no_boolean_is_an_error(text: str, kind: str) -> None:
    """Nothing is taken for true or false; the whole expression is wrong."""
    with pytest.raises(ExpressionError) as raised:
        holds(text, SCOPE)

    assert f"expression {text!r} at 1:1: it must give true or false, but gives {kind}" == str(raised.value)


def test_what_shows_only_as_it_is_evaluated_may_be_a_condition() -> None:
    """Planning does not know what an executor will report."""
    assert problem("steps[1].result.ok", steps=frozenset({1}), boolean=True) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "at 1:1: Syntax error", id="no text"),
        pytest.param("variabls.env == ''", "at 1:9: there is no variabls.env; the names are variables", id="a name"),
        pytest.param(
            "variables.nope == ''", "at 1:10: there is no variable nope; the variables are env", id="variable"
        ),
        pytest.param("steps[3].status == ''", "at 1:6: there is no step 3; the steps are 1, 2", id="a step"),
        pytest.param("[1].all(x, steps[7].attempts == x)", "there is no step 7", id="a step within a loop"),
        pytest.param(
            "steps[7].result.all(steps, steps)", "there is no step 7", id="a step that is looped over, by its own name"
        ),
        pytest.param("steps[1].statuss == ''", "a step has no statuss; it has status, result", id="a field of a step"),
        pytest.param("steps.all(n, steps[n].state == '')", "a step has no state", id="a field of any step"),
        pytest.param("workflow.age == 1", "workflow has no age; it has name, namespace", id="a field of the workflow"),
        pytest.param("steps['a'].status == ''", "[_] does not work on (map(int, dyn), string)", id="a step by text"),
        pytest.param("1 + 'a' == 2", "at 1:3: + does not work on (int, string)", id="kinds that do not fit"),
        pytest.param("now.later()", "there is no later", id="a function"),
        pytest.param("1 + 1", "at 1:1: it must give true or false, but gives int", id="no boolean"),
        pytest.param("now - duration('5 minutes') < now", "'5 minutes' is not a duration", id="a duration"),
        pytest.param("now < timestamp('tomorrow')", "'tomorrow' is not a time", id="a time"),
        pytest.param("now.getHours('Europe/Berlin') < 6", "write 'UTC' or an offset such as '+02:00'", id="a zone"),
        pytest.param("variables.env.matches('(')", "missing )", id="a pattern"),
        pytest.param("1 / 0 == 1", "division by zero", id="what always fails"),
        pytest.param(
            f"'{'a' * 3000}'.matches('a{{1000}}')", "it takes too many steps", id="what always costs too much"
        ),
        pytest.param("1u == 1u", "unsigned numbers such as 1u are not known here", id="unsigned numbers"),
        pytest.param("b'a' == b'a'", "bytes such as b'a' are not known here", id="bytes"),
        pytest.param("type(1) == type(2)", "at 1:16: the function type is not known here", id="types"),
        pytest.param("int == int", "int is a type; types are not values here", id="a type alone"),
        pytest.param("google.protobuf.Struct{} == {}", "a message of type google.protobuf.Struct", id="a message"),
    ],
)
def test_planning_finds_what_makes_no_sense(text: str, message: str) -> None:
    """Before anything is executed."""
    wrong = problem(text, steps=frozenset({1, 2}), boolean=True, variables=frozenset({"env"}))

    assert wrong is not None
    assert message in wrong


@pytest.mark.parametrize(
    "text",
    [
        "has(variables.nope)",
        "[{'nope': 1}].all(variables, variables.nope == 1)",
        "[[1]].all(steps, steps[9] == 1)",
        "[[{'nope': 1}]].all(steps, steps[0].nope == 1)",
        "[{'nope': 1}].all(workflow, workflow.nope == 1)",
    ],
)
def test_asking_whether_a_variable_exists_is_no_error(text: str) -> None:
    """Nor is a name that a loop gives another meaning."""
    assert problem(text, steps=frozenset(), boolean=True, variables=frozenset()) is None


@pytest.mark.parametrize(
    "text",
    [
        *(f"steps[1].{field} == dyn('')" for field in ("status", "result", "error", "attempts", "name")),
        *(f"workflow.{field} == dyn('')" for field in ("name", "namespace", "uid", "phase", "startedAt")),
    ],
)
def test_every_field_that_there_is_may_be_named(text: str) -> None:
    """Of a step, and of the workflow."""
    assert problem(text, steps=frozenset({1}), boolean=True) is None


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        pytest.param(set(), "there are none", id="none"),
        pytest.param({"v" * 40}, f"the variables are {'v' * 32}", id="a long name is cut"),
        pytest.param(set("abcdefghijkl"), "the variables are a, b, c, d, e, f, g, h, i, j, k, l", id="twelve"),
        pytest.param(set("abcdefghijklm"), "the variables are a, b, c, d, e, f, g, h, i, j, k, l …", id="thirteen"),
    ],
)
def test_an_error_names_the_variables_that_there_are(variables: set[str], told: str) -> None:
    """As many as a person can read."""
    wrong = problem("variables.nope == ''", boolean=True, variables=frozenset(variables))

    assert f"""expression "variables.nope == ''" at 1:10: there is no variable nope; {told}""" == wrong


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("x" * 4097, "it has 4097 characters; the limit is 4096", id="too long"),
        pytest.param("(" * 2000 + "1" + ")" * 2000, "nested too deep", id="brackets"),
        pytest.param("[" * 4096, "nested too deep", id="open lists"),
        pytest.param("1" + "+1" * 2000, "nested too deep", id="a long sum"),
        pytest.param("true ? 1 : " * 300 + "1", "nested too deep", id="choices"),
        pytest.param("has(" * 1000, "nested too deep", id="macros"),
        pytest.param("[1].map(x," * 300 + "x" + ")" * 300, "nested too deep", id="loops within loops"),
        pytest.param("[1].map(a, [1].map(b, [1].map(c, 1)))", "a loop within 2 others", id="three loops deep"),
        pytest.param(" && ".join(["[1].all(x, true)"] * 17), "it has 17 loops", id="seventeen loops"),
        pytest.param("a\ud800b", "expression 'a?b': it holds a character that is none", id="half a character"),
        pytest.param("'a'.matches('(a{9}){99}(b{9}){99}')", "repeats too much", id="a pattern that repeats"),
        pytest.param(f"'a'.matches('{'a' * 300}')", "the pattern has 300 characters", id="a long pattern"),
        pytest.param("'a'.matches('\\\\pL')", "write the ranges", id="a class of a thousand ranges"),
    ],
)
def test_planning_refuses_what_is_past_a_limit(text: str, message: str) -> None:
    """With a sentence, not with a crash."""
    wrong = problem(text, boolean=False)

    assert wrong is not None
    assert message in wrong


LARGE = a_scope(
    *(a_step_seen(result={"items": list(range(300))}, error="ab" * 500) for _ in range(256)),
    **{f"v{n}": "x" * 4096 for n in range(9)},
    ab="ab" * 2000,
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("steps.all(a, steps.all(b, steps[b].status == 'completed'))", id="all by all"),
        pytest.param("steps.map(a, steps[1].result.items)", id="a large result"),
        pytest.param("['aa']" + ".map(x, x + x)" * 16, id="text that doubles"),
        pytest.param("[[1]]" + ".map(x, x + x)" * 16, id="lists that double"),
        pytest.param("[[1]]" + ".map(x, [x, x, x, x])" * 12, id="lists that share what is in them"),
        pytest.param("[[1]]" + ".map(x, [x, x, x, x])" * 8 + " == [[1]]" + ".map(x, [x, x, x, x])" * 8, id="compared"),
        pytest.param("steps.all(a, variables.v1 + variables.v2 != '')", id="long texts put together"),
        pytest.param("steps.all(a, !variables.v1.contains(variables.v2 + 'y'))", id="long texts searched"),
        pytest.param(
            "steps.all(a, !steps[1].error.matches('([ab]+[ab]+)+y'))", id="a pattern that backtracks elsewhere"
        ),
        pytest.param("steps.all(a, !variables.ab.matches('[ab]*a[ab]{12}c'))", id="a pattern with many states"),
        pytest.param("steps.all(a, !'é'.matches('(.{10}){20}b'))", id="a pattern that takes long to compile"),
        pytest.param("steps.exists(a, steps.exists(b, steps[b].result.nope == a))", id="failures that are absorbed"),
        pytest.param("steps.all(a, a in steps.map(b, b))", id="looked up in lists"),
        pytest.param("steps.map(a, variables.v1)", id="a text many times"),
    ],
)
def test_a_costly_evaluation_ends_by_its_own_count(text: str) -> None:
    """The same on every machine: by units of work or the size of values, never by a clock."""
    budget = Budget()

    with pytest.raises(ExpressionError, match=r"too many steps|the limit is 32768"):
        evaluate(text, LARGE, budget)

    assert budget.left < MOST_COST


def test_what_an_evaluation_costs_is_exact() -> None:
    """A round of this loop goes through 3 parts of the macro and 5 of the condition."""
    budget = Budget()

    evaluate("steps.all(n, steps[n].status == 'completed')", LARGE, budget)

    assert 256 * (2 + 8) == MOST_COST - budget.left


def test_several_evaluations_share_a_budget_that_is_given_to_them() -> None:
    """So that many expressions together are bounded too."""
    budget, text = Budget(), "steps.all(n, steps[n].status == 'completed')"

    for _ in range(MOST_COST // (256 * 10)):
        evaluate(text, LARGE, budget)

    with pytest.raises(ExpressionError, match="too many steps"):
        evaluate(text, LARGE, budget)


def test_deep_values_are_refused() -> None:
    """However deep an executor nests its result."""
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(900):
        inner["a"] = {}
        inner = inner["a"]
    scope = a_scope(a_step_seen(result=deep), a_step_seen(result=deep))

    for text in ("steps[1].result", "steps[1].result == steps[2].result"):
        with pytest.raises(ExpressionError, match="nested deeper than 64 levels"):
            evaluate(text, scope)


def test_maps_are_gone_through_in_their_own_order_in_any_process() -> None:
    """A decision must be the same anywhere; the library's own order differs from process to process."""
    program = (
        "from scheduler.expressions import evaluate\n"
        "from tests.scheduler.scopes import a_scope\n"
        "print(evaluate('variables.map(k, k)', a_scope(**{f'v{n}': '' for n in range(20)})))"
    )

    printed = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout for _ in "ab"
    }

    assert {f"{[f'v{n}' for n in range(20)]}\n"} == printed


def test_giving_nulls_keeps_the_interpreter_alive() -> None:
    """The library's own evaluator lets go of None once too often for every null that it gives."""
    before = sys.getrefcount(None)

    for _ in range(5000):
        evaluate("[steps[1].result.none, null]", SCOPE)

    assert before - sys.getrefcount(None) < 1000


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
WORDS = (
    "variables steps workflow now x 1 -1 2.5 'a' true null . [ ] ( ) { } , : ? + - * / % < >= == != && || ! "
    ".map(x, .all(x, .filter(x, .exists_one(x, size( string( int( double( duration( timestamp( has( in .matches( "
    ".contains( .getHours( .result .status .startedAt .env steps[1] variables.env '5m' '[a-z]+'"
)
PIECES = st.sampled_from([*WORDS.split(), " ", "\n"])


@given(text=st.text(max_size=60) | st.lists(PIECES, max_size=24).map("".join), result=ANY_JSON)
@example(text="'\\ud800'", result=None)
@example(text="'a\\x00b'.matches('c')", result=None)
@example(text="steps[1].result", result=float("nan"))
@example(text="string(steps[1].result)", result=10**400)
@example(text="steps[1].result + 1", result="\ud800")
@settings(max_examples=400, deadline=None)
def test_any_text_on_any_values_gives_an_answer_or_an_expression_error(text: str, result: Any) -> None:
    """Never another exception, in planning or in executing."""
    scope = a_scope(a_step_seen(result=result), env="prod")
    told = problem(text, steps=frozenset({1}), boolean=True, variables=frozenset({"env"}))

    assert told is None or told.startswith("expression ")
    for ask in (evaluate, holds):
        with contextlib.suppress(ExpressionError):
            ask(text, scope)
