"""Expressions are compiled once and kept, the last used ones of them, up to a size: a run asks the same ones often."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from scheduler.cel.limits import MOST_CHARACTERS
from scheduler.expressions import steps_in

KIB = 1024
NUMBERS = count(1)


def longest(many: int) -> list[str]:
    """So many expressions as long as one may be, that nobody has asked for."""
    return [f"steps[{next(NUMBERS)}].attempts == 1".ljust(MOST_CHARACTERS) for _ in range(many)]


def kept(texts: list[str]) -> list[frozenset[int] | None]:
    """What is kept of each, or what is made anew where nothing is."""
    return [steps_in(text) for text in texts]


def again(texts: list[str], before: list[frozenset[int] | None]) -> Iterator[bool]:
    """Whether each gives the very same object as before, so that it was not compiled once more."""
    return (now is then for now, then in zip(kept(texts), before, strict=True))


def test_an_expression_is_compiled_once() -> None:
    """Also one as long as an expression may be."""
    texts = ["steps[1].attempts > 1", *longest(1)]

    assert all(again(texts, kept(texts)))


def test_128_kib_of_expressions_are_kept() -> None:
    """To the last character, whatever was kept before."""
    kept(longest(40))
    texts = longest(128 * KIB // MOST_CHARACTERS)

    assert all(again(texts, kept(texts)))


def test_what_was_not_used_for_longest_makes_room() -> None:
    """One for each that is too many, and the one that was asked for again stays."""
    first, second, third, *others = texts = longest(128 * KIB // MOST_CHARACTERS)
    before = kept(texts)
    kept([first])

    kept(["steps[1].attempts > 2", *longest(1)])

    assert all(again([first, *others], [before[0], *before[3:]]))
    assert not any(again([third, second], [before[2], before[1]]))  # what is made anew takes the place of others
