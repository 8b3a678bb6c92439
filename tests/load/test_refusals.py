"""What readiness says of streams that take nothing."""

from __future__ import annotations

from runtime.nats_refusals import REMEMBERED_SECONDS, Refusals


def test_a_stream_that_refuses_is_told_with_the_reason_until_it_takes_something() -> None:
    """(F36) Each stream for itself."""
    refusals = Refusals()
    refusals.refused("A", "maximum bytes exceeded", 1.0)
    refusals.refused("B", "no answer", 1.0)
    both = refusals.told(2.0)
    refusals.taken("A")

    assert both == "stream A takes nothing: maximum bytes exceeded; stream B takes nothing: no answer"
    assert refusals.told(2.0) == "stream B takes nothing: no answer"


def test_a_refusal_is_forgotten_when_nobody_tries_again() -> None:
    """Whoever waits tries more often: then nobody wants to write there, and nobody waits."""
    refusals = Refusals()
    refusals.refused("A", "maximum bytes exceeded", 1.0)

    assert refusals.told(1.0 + REMEMBERED_SECONDS - 0.1)
    assert not refusals.told(1.0 + REMEMBERED_SECONDS)
