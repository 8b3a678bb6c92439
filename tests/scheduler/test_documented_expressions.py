"""What docs/semantics.md says that expressions give."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scheduler.expressions import ExpressionError, Scope, evaluate, problem

PAGE = Path(__file__).parents[2] / "docs" / "semantics.md"
ROW = re.compile(r"^\| `(.+)` \| (.+) \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8").partition("| expression | gives |")[2].partition("\n\n")[0])
RESULT = {"success": True, "pods": [3, 8], "scaleResult": {"replicas": 6}}
VARIABLES = {"service": "checkout", "replicas": "4"}
SCOPE = Scope(
    variables=VARIABLES,
    steps={
        1: {"status": "completed", "result": RESULT, "error": "", "attempts": 2, "name": ""},
        2: {"status": "skipped", "result": {}, "error": "", "attempts": 0, "name": ""},
    },
    workflow={"name": "leak", "namespace": "shop", "uid": "u", "phase": "executing", "startedAt": 1_700_000_000_000},
    now=1_700_000_090_000,
)


def test_the_table_is_found() -> None:
    """A page that was rewritten is read again."""
    assert 17 == len(ROWS)


@pytest.mark.parametrize(("expression", "gives"), ROWS)
def test_a_documented_expression_gives_what_is_said(expression: str, gives: str) -> None:
    """Planning takes it, and its value is the one in the table."""
    assert problem(expression, steps=frozenset({1, 2}), boolean=False, variables=frozenset(VARIABLES)) is None

    if gives.startswith("an error: ask with `has()`"):
        with pytest.raises(ExpressionError, match=r"ask with has\(\) first"):
            evaluate(expression, SCOPE)
    else:
        assert json.loads(gives.strip("`")) == evaluate(expression, SCOPE)
