"""Every fault in docs/faults.md is brought about by a test that names it, and no test names another number."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
CATALOGUE: Final = TESTS.parent / "docs" / "faults.md"
LATER: Final = "comes with"
"""What a fault says whose part is not built yet."""


@cache
def catalogue() -> dict[int, str]:
    """What is said of each fault."""
    rows = re.findall(r"^\| F(\d+) \| (.*) \|$", CATALOGUE.read_text(), re.MULTILINE)
    return {int(number): words for number, words in rows}


@cache
def named() -> dict[int, set[str]]:
    """Files of tests that name each fault."""
    found: dict[int, set[str]] = {}
    for file in TESTS.rglob("test_*.py"):
        if file != Path(__file__):
            for number in re.findall(r"(?<![%\w])F([1-9]\d?)\b", file.read_text()):
                found.setdefault(int(number), set()).add(file.name)
    return found


def test_every_fault_has_a_test_that_names_it() -> None:
    """But those that say with which part they come."""
    missing = {number: words for number, words in catalogue().items() if number not in named() and LATER not in words}

    assert {} == missing


def test_every_number_that_a_test_names_is_in_the_catalogue() -> None:
    """And none is there twice, or left out."""
    assert list(range(1, len(catalogue()) + 1)) == list(catalogue())
    assert set() == named().keys() - catalogue().keys()


def test_what_is_said_to_come_later_is_not_there_yet() -> None:
    """So that the sentence goes when the test comes."""
    assert [] == [number for number, words in catalogue().items() if LATER in words and number in named()]
