"""How long answers about tokens hold, and how much may be asked, whatever is sent."""

from __future__ import annotations

from itertools import count

import pytest

from runtime.metrics_memory import (
    A_SECOND,
    ALLOWED_KEPT,
    ALLOWED_SECONDS,
    AT_ONCE,
    BURST,
    DENIED_KEPT,
    DENIED_SECONDS,
    Memory,
)
from runtime.metrics_reviews import Verdict

GOOD = b"good"


def review(memory: Memory, token: bytes, verdict: Verdict, now: float) -> bool:
    """Ask about a token and take in the answer; whether it was let."""
    if not memory.begin(token, now):
        return False
    memory.end(token, verdict, now)
    return True


@pytest.mark.parametrize(
    ("verdict", "seconds"),
    [
        (Verdict.ALLOWED, ALLOWED_SECONDS),
        (Verdict.UNKNOWN, DENIED_SECONDS),
        (Verdict.FORBIDDEN, DENIED_SECONDS),
    ],
)
def test_an_answer_holds_for_its_time(verdict: Verdict, seconds: float) -> None:
    """And not a moment longer."""
    memory = Memory()

    review(memory, GOOD, verdict, 100.0)

    assert verdict is memory.verdict(GOOD, 99.9 + seconds)
    assert memory.verdict(GOOD, 100.0 + seconds) is None


def test_no_answer_is_not_remembered() -> None:
    """The next one who comes asks again."""
    memory = Memory()

    review(memory, GOOD, Verdict.CLOSED, 0.0)

    assert memory.verdict(GOOD, 0.0) is None


@pytest.mark.parametrize("changed", [Verdict.UNKNOWN, Verdict.FORBIDDEN], ids=lambda verdict: str(verdict.name))
def test_a_later_answer_is_in_place_of_the_earlier(changed: Verdict) -> None:
    """Both ways: a right that is taken away, and given back."""
    memory = Memory()
    review(memory, GOOD, Verdict.ALLOWED, 0.0)
    review(memory, GOOD, changed, ALLOWED_SECONDS)
    taken_away = memory.verdict(GOOD, ALLOWED_SECONDS)

    review(memory, GOOD, Verdict.ALLOWED, ALLOWED_SECONDS + DENIED_SECONDS)

    assert (changed, Verdict.ALLOWED) == (taken_away, memory.verdict(GOOD, ALLOWED_SECONDS + DENIED_SECONDS))


def test_a_flood_is_asked_about_at_the_rate_of_the_budget() -> None:
    """A hundred strangers a second for a minute: so many reviews as the budget has, and no more."""
    memory = Memory()

    asked = sum(review(memory, b"%d" % number, Verdict.UNKNOWN, number / 100) for number in range(6000))

    assert BURST + 60 * A_SECOND - 2 <= asked <= BURST + 60 * A_SECOND


def test_a_flood_costs_the_regulars_nothing() -> None:
    """Who was let in before is asked about again at its time, however many strangers come."""
    memory = Memory()
    review(memory, GOOD, Verdict.ALLOWED, 0.0)
    strangers = (b"%d" % number for number in count())
    while review(memory, next(strangers), Verdict.UNKNOWN, ALLOWED_SECONDS):
        pass

    assert memory.verdict(GOOD, ALLOWED_SECONDS) is None
    assert review(memory, GOOD, Verdict.ALLOWED, ALLOWED_SECONDS)


def test_a_regular_stays_one_while_the_api_is_away() -> None:
    """Failed reviews do not make a stranger of it; its yes has ended all the same."""
    memory = Memory()
    review(memory, GOOD, Verdict.ALLOWED, 0.0)
    review(memory, GOOD, Verdict.CLOSED, ALLOWED_SECONDS)
    while review(memory, b"stranger", Verdict.CLOSED, ALLOWED_SECONDS):
        pass

    assert memory.verdict(GOOD, ALLOWED_SECONDS) is None
    assert memory.begin(GOOD, ALLOWED_SECONDS)


def test_only_so_many_are_under_way_together() -> None:
    """However slow the API server is; a review that ended makes room for one."""
    memory = Memory()
    begun = [memory.begin(b"%d" % number, 0.0) for number in range(AT_ONCE + 1)]
    later = memory.begin(b"later", 1000.0)

    memory.end(b"0", Verdict.CLOSED, 1000.0)

    assert [True] * AT_ONCE + [False] == begun
    assert (False, True) == (later, memory.begin(b"later", 1000.0))


def test_what_is_remembered_has_an_end() -> None:
    """However many come in however long a time."""
    memory = Memory()
    for number in range(5000):
        verdict = Verdict.ALLOWED if number % 2 else Verdict.UNKNOWN
        assert review(memory, b"%d" % number, verdict, float(number))

    assert ALLOWED_KEPT + DENIED_KEPT == len(memory)


def test_who_was_asked_about_longest_ago_is_forgotten_first() -> None:
    """Who comes again and again stays, whoever else comes in between."""
    memory = Memory()
    times = [number * 0.1 for number in range(ALLOWED_KEPT)]
    for number, now in enumerate(times):
        review(memory, b"%d" % number, Verdict.ALLOWED, now)
    review(memory, b"0", Verdict.ALLOWED, times[-1])
    review(memory, b"new", Verdict.ALLOWED, times[-1])

    known = [token for token in (b"0", b"1", b"2", b"new") if memory.verdict(token, times[-1])]
    assert [b"0", b"2", b"new"] == known
