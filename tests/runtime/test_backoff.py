"""How long to wait before the next try."""

from __future__ import annotations

from runtime.backoff import Backoff


def test_waits_grow_up_to_the_most() -> None:
    """The bound doubles with each wait and stops at the most."""
    backoff = Backoff(first=1.0, factor=2.0, most=5.0, draw=lambda: 1.0)

    waits = [backoff.next() for _ in range(5)]

    assert [1.0, 2.0, 4.0, 5.0, 5.0] == waits


def test_success_starts_from_the_beginning() -> None:
    """After a reset the first bound holds again."""
    backoff = Backoff(first=1.0, draw=lambda: 1.0)
    backoff.next()

    backoff.reset()

    assert backoff.next() == 1.0


def test_jitter_goes_down_to_nothing() -> None:
    """A wait is drawn from the whole range below its bound."""
    draws = iter([0.0, 0.5])
    backoff = Backoff(first=1.0, factor=2.0, draw=lambda: next(draws))

    assert [0.0, 1.0] == [backoff.next(), backoff.next()]
