"""Up to which version everything is in the log, while publishes are under way and end in any order. Pure."""

from __future__ import annotations

from collections import deque


class Ticket:
    """One version that is on its way into the log."""

    __slots__ = ("done", "version")

    def __init__(self, version: int) -> None:
        """`version`: that of the watch event."""
        self.version = version
        self.done = False


class Floor:
    """The resourceVersion up to which everything of a view is known to be in the log.

    A watch gives versions in rising order. Each gets a ticket when it is read and is done once the log has it; the
    floor is the version before the first ticket that is not done. Messages carry the floor at the time of sending, so
    whatever was in flight at a crash lies above every floor in the log, and a watch from the largest one sees it again.
    """

    def __init__(self, version: int = 0) -> None:
        """`version`: as the log tells; 0 when nothing is known."""
        self.version = version
        self._open: deque[Ticket] = deque()

    def begin(self, version: int) -> Ticket:
        """Note that this version was read and is not in the log yet."""
        ticket = Ticket(version)
        self._open.append(ticket)
        return ticket

    def end(self, ticket: Ticket) -> None:
        """Note that the log has it, or need not have it."""
        ticket.done = True
        while self._open and self._open[0].done:
            self.version = max(self.version, self._open.popleft().version)

    def reach(self, version: int) -> None:
        """Note that nothing of this view changed up to this version but what has a ticket: a bookmark says so."""
        self.end(self.begin(version))

    def restart(self, version: int) -> None:
        """Start anew from a list of which every difference is in the log. Nothing may be under way."""
        self._open.clear()
        self.version = version
