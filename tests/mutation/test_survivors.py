"""The list of mutants that no test kills fits the code as it is. That they survive, and no others: `make mutants`."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.mutation.survivors import Mutant, Survivor, is_wording, on_one_line, survivors

ROOT = Path(__file__).resolve().parents[2]
LISTED = survivors()


def source_of(module: str, function: str) -> str:
    """The source of a function or method, on one line; of the module for no name; empty when there is none."""
    text = (ROOT / module).read_text()
    if not function:
        return on_one_line(text)
    found: ast.Module | ast.FunctionDef | ast.ClassDef = ast.parse(text)
    for name in function.split("."):
        kinds = (ast.FunctionDef, ast.ClassDef)
        within = [each for each in ast.walk(found) if isinstance(each, kinds) and each.name == name]
        if not within:
            return ""
        found = within[0]
    assert not isinstance(found, ast.Module)
    return on_one_line("\n".join(text.splitlines()[found.lineno - 1 : found.end_lineno]))


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: f"{entry.module}:{entry.function}:{entry.was}")
def test_a_listed_line_is_still_in_its_function(entry: Survivor) -> None:
    """So that a reason goes when the code that it speaks of goes."""
    assert entry.was in source_of(entry.module, entry.function)


def test_every_reason_says_something() -> None:
    """Each entry has mutants and a reason of a few words."""
    assert [entry for entry in LISTED if not entry.becomes or len(entry.reason.split()) < 4] == []


def test_no_mutant_is_listed_twice() -> None:
    """One mutant, one reason."""
    times = Counter(mutant for entry in LISTED for mutant in entry.mutants())

    assert [mutant for mutant, count in times.items() if count > 1] == []


@pytest.mark.parametrize(
    ("becomes", "expected"),
    [
        pytest.param('return "XXno such stepXX", 1', True, id="a sentence between XX"),
        pytest.param('return "NO SUCH STEP", 1', True, id="a sentence in capitals"),
        pytest.param('return "no such step", 2', False, id="a number beside it"),
        pytest.param("return None, 1", False, id="no text at all"),
    ],
)
def test_only_the_case_of_a_sentence_is_wording(becomes: str, *, expected: bool) -> None:
    """A change of anything else needs a test or a reason of its own."""
    assert expected == is_wording(Mutant("m.py", "f", 'return "no such step", 1', becomes))


@pytest.mark.parametrize("becomes", ['phase("XXplanningXX")', 'phase("PLANNING")'])
def test_a_single_word_is_no_wording(becomes: str) -> None:
    """A phase or a key is a value that others compare."""
    assert not is_wording(Mutant("m.py", "f", 'phase("planning")', becomes))
