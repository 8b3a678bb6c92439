"""What the metrics port knows of tokens, and whether it may ask about one now. Pure: digests and times are arguments.

Bounded in every direction, for what is sent to the port is chosen by whoever reaches it: a flood of tokens that nobody
knows must neither become a flood on the API server nor push out those who were let in. Hence two budgets and two
memories, one for the regulars (let in when they were last asked about) and one for strangers.
"""

from __future__ import annotations

from typing import Final

from runtime.metrics_reviews import Verdict

ALLOWED_SECONDS: Final = 60.0
"""How long a yes holds: a right that is taken away, or a token that ends, is noticed as late as that."""
DENIED_SECONDS: Final = 30.0
"""How long a no holds: so long a right that was just given may go unnoticed."""
ALLOWED_KEPT: Final = 64
"""Tokens that were let in; one that comes after them puts out the one that was asked about longest ago."""
DENIED_KEPT: Final = 1024
"""More than the budget of strangers lets in within DENIED_SECONDS."""
BURST: Final = 20
A_SECOND: Final = 10.0
AT_ONCE: Final = 8
"""Reviews of a budget: all at once, then a second, and that may be under way together."""


class _Budget:
    """A bucket of reviews that fills with time, and places for those under way."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._as_of = 0.0
        self._under_way = 0

    def take(self, now: float) -> bool:
        """Take a review and a place, if there are."""
        self._left = min(BURST, self._left + max(0.0, now - self._as_of) * A_SECOND)
        self._as_of = now
        if self._left < 1.0 or self._under_way >= AT_ONCE:
            return False
        self._left -= 1.0
        self._under_way += 1
        return True

    def give_back(self) -> None:
        """Free the place; the review itself is spent."""
        self._under_way -= 1


class Memory:
    """Verdicts by the digest of a token, each with its time."""

    def __init__(self) -> None:
        self._allowed: dict[bytes, float] = {}
        self._denied: dict[bytes, tuple[Verdict, float]] = {}
        self._regulars, self._strangers = _Budget(), _Budget()
        self._under_way: dict[bytes, _Budget] = {}
        self._rest_until = float("-inf")

    def __len__(self) -> int:
        """How many tokens are remembered, those included whose time is over."""
        return len(self._allowed) + len(self._denied)

    def verdict(self, token: bytes, now: float) -> Verdict | None:
        """Return what is known; None when the API server has to be asked."""
        if token in self._allowed and now - self._allowed[token] < ALLOWED_SECONDS:
            return Verdict.ALLOWED
        verdict, asked = self._denied.get(token, (None, 0.0))
        return verdict if now - asked < DENIED_SECONDS else None

    def begin(self, token: bytes, now: float) -> bool:
        """Reserve a review, to be ended with `end`; False when there are too many, or the API server is to rest."""
        if now < self._rest_until:
            return False
        budget = self._regulars if token in self._allowed else self._strangers
        if not budget.take(now):
            return False
        self._under_way[token] = budget
        return True

    def end(self, token: bytes, verdict: Verdict, now: float) -> None:
        """Take in what came of a review; CLOSED teaches nothing, a regular stays one."""
        self._under_way.pop(token).give_back()
        if verdict is Verdict.CLOSED:
            return
        self._allowed.pop(token, None)
        self._denied.pop(token, None)
        if verdict is Verdict.ALLOWED:
            self._allowed[token] = now
        else:
            self._denied[token] = (verdict, now)
        for kept, most in ((self._allowed, ALLOWED_KEPT), (self._denied, DENIED_KEPT)):
            if len(kept) > most:
                del kept[next(iter(kept))]

    def rest(self, until: float) -> None:
        """Ask nothing before that time: the API server wants to be left alone (429 with Retry-After)."""
        self._rest_until = max(self._rest_until, until)
