"""Which work waits for rights that the bridge does not have, and since when. The process is not ready meanwhile.

Counted from the first refusal that this process saw, on its own monotonic clock: the age of a message says how long the
bridge was away, not for how long the rights were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.health import Dependency

REMEMBERED: Final = 10_000
"""More than can be in hand; the oldest is forgotten first and starts anew."""


class Forbidden:
    """Remembers by the id of the work."""

    def __init__(self, rights: Dependency) -> None:
        """`rights`: the dependency that says whether the bridge may do what it is asked to."""
        self._rights = rights
        self._since: dict[str, float] = {}
        rights.ok()

    def hopeful(self, work: str, now: float, limit: float, message: str) -> bool:
        """Take in a refusal; False once the work has waited for `limit` seconds and should be given up."""
        since = self._since.setdefault(work, now)
        if len(self._since) > REMEMBERED:
            del self._since[next(iter(self._since))]
        self._rights.failed(message)
        if now - since < limit:
            return True
        self.settled(work)
        return False

    def settled(self, work: str) -> None:
        """The work waits no more."""
        if self._since.pop(work, None) is not None and not self._since:
            self._rights.ok()
