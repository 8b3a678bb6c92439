"""How long a retry waits: exponential with full jitter, from a seed, so that a retry always waits the same. Pure."""

from __future__ import annotations

from typing import Final

from schemas import durations
from schemas.names import digest
from schemas.workflow import RetryPolicy

_DEFAULT: Final = RetryPolicy()


def delay_ms(policy: RetryPolicy | None, retry: int, uid: str, step: int, purpose: str) -> int:
    """Return the milliseconds before retry number `retry`, counted from 1.

    Uniform in [0, min(maxDelay, initialDelay x multiplier^(retry - 1))] ("full jitter": Brooker, Exponential Backoff
    And Jitter, AWS Architecture Blog, 2015). The policy's durations must have passed planning.
    """
    most = _longest(policy or _DEFAULT, retry)
    return int(digest("retry", uid, str(step), purpose, str(retry)), 16) % (most + 1)


def _longest(policy: RetryPolicy, retry: int) -> int:
    """Return the upper end of the range: in whole numbers, because floats differ in their last digit."""
    most = _ms(policy.max_delay)
    thousandths = round(policy.multiplier * 1000)
    delay = _ms(policy.initial_delay)
    for _ in range(retry - 1):
        grown = delay * thousandths // 1000
        if delay >= most or grown == delay:
            break
        delay = grown
    return min(delay, most)


def _ms(duration: str) -> int:
    return round(durations.parse(duration) * 1000)
