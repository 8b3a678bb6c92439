"""What is read of an expression: its tree with the place of each part, or what is wrong, and where."""

from __future__ import annotations

import pytest

from scheduler.cel.syntax import Checked, Unreadable, read
from scheduler.cel.tree import Call, Const, Fold, Ident, Items, Node, Pairs, Select

RESULT = Ident(7, "@result")


@pytest.mark.parametrize(
    ("text", "root", "gives"),
    [
        pytest.param("null", Const(0, None), "NULL", id="null"),
        pytest.param(" true", Const(1, True), "BOOL", id="a boolean"),
        pytest.param("-9223372036854775808", Const(0, -(2**63)), "INT", id="the least number"),
        pytest.param("9223372036854775807", Const(0, 2**63 - 1), "INT", id="the largest number"),
        pytest.param("[1, 'é']", Items(0, (Const(1, 1), Const(4, "é"))), "LIST<DYN>", id="a list"),
        pytest.param("{'k': 1.5}", Pairs(0, ((Const(1, "k"), Const(6, 1.5)),)), "MAP<STRING, DOUBLE>", id="a map"),
        pytest.param("(now)", Ident(1, "now"), "TIMESTAMP", id="a name in brackets"),
        pytest.param(
            "\n variables.a", Select(11, Ident(2, "variables"), "a", test=False), "STRING", id="a field, a line below"
        ),
        pytest.param("has(variables.a)", Select(3, Ident(4, "variables"), "a", test=True), "BOOL", id="has"),
        pytest.param(
            "steps[1].status",
            Select(8, Call(5, "_[_]", (Ident(0, "steps"), Const(6, 1))), "status", test=False),
            "DYN",
            id="an index",
        ),
        pytest.param("'a'.size()", Call(8, "size", (Const(0, "a"),)), "INT", id="a method"),
        pytest.param(
            "[1].all(x, x > 2)",
            Fold(
                7,
                over=Items(0, (Const(1, 1),)),
                variable="x",
                carried="@result",
                start=Const(7, True),
                condition=Call(7, "@not_strictly_false", (RESULT,)),
                step=Call(7, "_&&_", (RESULT, Call(13, "_>_", (Ident(11, "x"), Const(15, 2))))),
                result=RESULT,
            ),
            "BOOL",
            id="a loop",
        ),
    ],
)
def test_an_expression_is_read_with_the_place_of_each_part(text: str, root: Node, gives: str) -> None:
    """Places count characters from 0."""
    assert Checked(root=root, gives=gives) == read(text)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        pytest.param("1 +", (1, 4), "Syntax error: mismatched input '<EOF>'", id="all that could follow is not listed"),
        pytest.param("{1}", (1, 3), "Syntax error: mismatched input '}' expecting ':'", id="what must follow is named"),
        pytest.param(
            "\n\n  nope && nape",
            (3, 3),
            "there is no nope; the names are variables, steps, workflow and now",
            id="the first of two names, two lines below",
        ),
        pytest.param("1 + 'a'", (1, 3), "+ does not work on (int, string)", id="kinds that do not fit"),
        pytest.param(
            "'a\nb'", (1, 1), r"Syntax error: token recognition error at: ''a\n'", id="a line break in a text"
        ),
        pytest.param("9223372036854775808", (1, 1), "invalid int literal", id="too large a number"),
        pytest.param("x" * 300, (1, 1), "there is no " + "x" * 188, id="a long message is cut"),
        pytest.param(
            "1u", (0, 0), "unsigned numbers such as 1u are not known here; write whole numbers and text", id="unsigned"
        ),
        pytest.param("b'a'", (0, 0), "bytes such as b'a' are not known here; write whole numbers and text", id="bytes"),
        pytest.param("{1.5: 1}", (0, 0), "Unsupported map key type: DOUBLE", id="a key of another kind"),
        pytest.param(
            "(" * 40,
            (0, 0),
            "it is nested too deep, or has too many operators in a row; the limit is 32",
            id="too deep",
        ),
        pytest.param(
            "\ud800", (0, 0), "it holds a character that is none (half of a surrogate pair)", id="half a character"
        ),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, place: tuple[int, int], message: str) -> None:
    """Line and column count from 1; they are 0 where the library does not know them."""
    with pytest.raises(Unreadable) as wrong:
        read(text)

    assert (message, place, message) == (wrong.value.message, (wrong.value.line, wrong.value.column), str(wrong.value))
