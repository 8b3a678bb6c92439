"""Which work waits for rights that the bridge does not have, and since when. The process is not ready meanwhile.

Counted from the first refusal that this process saw, on its own monotonic clock: the age of a message says how long the
bridge was away, not for how long the rights were. What was refused here may come to another replica and be done there,
of which nobody tells this one: work that stays away is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from runtime.health import Dependency

REMEMBERED: Final = 10_000
"""More than can be in hand; the oldest is forgotten first and starts anew."""
QUIET_SECONDS: Final = 60.0
"""Refused work comes again every five seconds, to any replica; what did not come here for so long is settled."""


class _Wait(NamedTuple):
    right: str
    since: float
    seen: float


class Forbidden:
    """Remembers by the id of the work."""

    def __init__(self, rights: Dependency) -> None:
        """`rights`: the dependency that says whether the bridge may do what it is asked to."""
        self._rights = rights
        self._waits: dict[str, _Wait] = {}
        """The one that was refused last stands last."""
        rights.ok()

    def hopeful(self, work: str, right: str, now: float, limit: float, message: str) -> bool:
        """Take in a refusal; False once the work has waited for `limit` seconds and should be given up.

        `right`: what the work needs; all that needs the same has the same word.
        """
        before = self._waits.pop(work, None)
        since = now if before is None else before.since
        self._waits[work] = _Wait(right, since, now)
        if len(self._waits) > REMEMBERED:
            del self._waits[next(iter(self._waits))]
        self._rights.failed(message)
        if now - since < limit:
            return True
        self.settled(work)
        return False

    def settled(self, work: str) -> None:
        """The work waits no more."""
        self._drop([work] if work in self._waits else [])

    def granted(self, right: str) -> None:
        """Some work was done that needs this right: whatever waits for it will be, too."""
        self._drop([work for work, wait in self._waits.items() if wait.right == right])

    def forget(self, now: float) -> None:
        """Give up waiting for work that comes no more."""
        self._drop([work for work, wait in self._waits.items() if now - wait.seen >= QUIET_SECONDS])

    def _drop(self, works: list[str]) -> None:
        for work in works:
            del self._waits[work]
        if works and not self._waits:
            self._rights.ok()
