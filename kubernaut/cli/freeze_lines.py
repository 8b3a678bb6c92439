"""A freeze in words: what is frozen, since when and by whom, and the queue behind it. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from kubernaut.cli.times import clock_time

GOES_ON: Final = (
    "what goes on: decisions already in hand are carried out to their end; executions that exist belong to their "
    "executor; timeouts run, so that a long freeze makes steps and runs time out. What is decided meanwhile waits."
)
"""What a freeze does not stop, for the person who counts on it."""


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """How the consumer is. Times are ms since 1970 by the server's clock, 0 for none."""

    paused: bool
    until: int = 0
    """0 while it is not paused, and when it is until somebody thaws it."""
    waiting: int = 0
    """Decisions that nobody has in hand."""
    in_hand: int = 0
    """Decisions that were handed out before and are not acknowledged."""
    by: str = ""
    reason: str = ""
    since: int = 0

    @property
    def queue(self) -> int:
        """All decisions that are not carried out."""
        return self.waiting + self.in_hand


def freeze_line(frozen: Frozen) -> str:
    """Return one line about a freeze that holds."""
    until = f"until {clock_time(frozen.until)}" if frozen.until else "until `kubernaut thaw`"
    since = f" since {clock_time(frozen.since)}" if frozen.since else ""
    by = f" by {frozen.by}" if frozen.by else ""
    why = f" ({frozen.reason})" if frozen.reason else ""
    return f"FROZEN{since}{by}{why}, {until}: no new effects in the cluster; {queue_words(frozen)}"


def queue_words(frozen: Frozen) -> str:
    """Return how many decisions are not carried out."""
    return f"{_decisions(frozen.waiting)} waiting, {frozen.in_hand} in hand"


def _decisions(count: int) -> str:
    return "1 decision" if count == 1 else f"{count} decisions"
