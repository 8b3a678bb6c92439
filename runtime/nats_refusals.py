"""Which streams take nothing now, and why: what readiness says when a limit is reached or a disk is full.

A server whose disk is full answers everything but publishes, and those not at all, so that only a publish that came to
nothing tells. Pure; must never keep anybody from trying: the next publish that is stored is the end of it.
"""

from __future__ import annotations

from typing import Final

REMEMBERED_SECONDS: Final = 45.0
"""Longer than any writer waits before it tries again; after it nobody wants to write there any more."""


class Refusals:
    """The streams that refused, or did not answer, what was last published to them."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, str]] = {}

    def refused(self, stream: str, reason: str, now: float) -> None:
        """Take in that a publish came to nothing. `now`: monotonic seconds."""
        self._found[stream] = now, reason

    def taken(self, stream: str) -> None:
        """Take in that a message was stored."""
        self._found.pop(stream, None)

    def told(self, now: float) -> str:
        """Say which streams take nothing, and why; empty when all do as far as is known."""
        self._found = {name: (at, why) for name, (at, why) in self._found.items() if now - at < REMEMBERED_SECONDS}
        return "; ".join(f"stream {name} takes nothing: {why}" for name, (_, why) in self._found.items())
