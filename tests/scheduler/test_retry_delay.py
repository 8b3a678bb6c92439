"""How long a retry waits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.backoff import delay_ms
from schemas.workflow import RetryPolicy


def delays(policy: RetryPolicy | None, retry: int) -> list[int]:
    """The delays of that retry of 2,000 different steps."""
    return [delay_ms(policy, retry, "uid", step, "execute") for step in range(2000)]


@pytest.mark.parametrize(
    ("policy", "retry", "most"),
    [
        pytest.param(None, 1, 1_000, id="the default begins with a second"),
        pytest.param(None, 2, 2_000, id="and doubles"),
        pytest.param(None, 5, 16_000, id="each time"),
        pytest.param(None, 10, 300_000, id="up to 5 minutes"),
        pytest.param(RetryPolicy(initial_delay="1m", multiplier=1.5, max_delay="1h"), 3, 135_000, id="by 1.5"),
        pytest.param(RetryPolicy(initial_delay="2s", multiplier=1, max_delay="1h"), 9, 2_000, id="not at all"),
        pytest.param(RetryPolicy(initial_delay="1m", max_delay="10s"), 1, 10_000, id="never past the longest"),
        pytest.param(RetryPolicy(initial_delay="0s"), 10, 0, id="nothing stays nothing"),
    ],
)
def test_a_retry_waits_anything_up_to_its_longest_time(policy: RetryPolicy | None, retry: int, most: int) -> None:
    """Full jitter: uniform from 0 on."""
    found = delays(policy, retry)

    assert 0 <= min(found) <= most * 0.01
    assert most * 0.99 <= max(found) <= most
    assert most * 0.47 <= sum(found) / len(found) <= most * 0.53


def test_a_retry_waits_the_same_wherever_it_is_decided() -> None:
    """Its seed is what it is, not where or when."""
    assert [502, 1711] == [delay_ms(None, retry, "uid", 3, "execute") for retry in (1, 2)]


def test_each_retry_waits_differently() -> None:
    """Of each run, step, purpose and count."""
    policy = RetryPolicy(initial_delay="5m")

    different = {
        delay_ms(policy, retry, uid, step, purpose)
        for retry in (1, 2)
        for uid in ("a", "b")
        for step in (1, 2)
        for purpose in ("execute", "rollback")
    }

    assert 16 == len(different)


DURATIONS = st.builds("{}{}".format, st.integers(0, 10**18), st.sampled_from(["ms", "s", "m", "h"]))


@settings(deadline=None)
@given(
    policy=st.builds(RetryPolicy, initial_delay=DURATIONS, multiplier=st.floats(1, 10), max_delay=DURATIONS),
    retry=st.integers(1, 1_000_000),
)
def test_any_policy_gives_a_delay_of_at_most_its_longest(policy: RetryPolicy, retry: int) -> None:
    """However large the numbers are."""
    longest = delay_ms(RetryPolicy(initial_delay=policy.max_delay, max_delay=policy.max_delay), 1, "", 0, "")

    assert 0 <= delay_ms(policy, retry, "uid", 1, "execute")
    assert longest >= 0
