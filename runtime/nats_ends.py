"""Where the streams end, so that nothing counts as stored that is not.

A server whose disk fails shows the message that it could not make durable, by its subject and by its sequence, until it
is restarted, and acknowledges it to nobody; but its stream ends before it. It even delivers it, to a consumer that has
not looked at the end of the stream yet. Must never ask about what is older than something that is known to be stored:
that is nearly everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.ports import Stored


class Ends:
    """Up to where each stream is known to be stored."""

    def __init__(self, ask: Callable[[str], Awaitable[int]]) -> None:
        """`ask`: the server for the last sequence of a stream."""
        self._ask = ask
        self._known: dict[str, int] = {}

    def saw(self, stream: str, sequence: int) -> None:
        """Take in that the server acknowledged this one."""
        self._known[stream] = max(sequence, self._known.get(stream, 0))

    async def stored(self, stream: str, found: Stored) -> Stored:
        """Return a message that the server showed. Raises UnavailableError when its stream ends before it."""
        if found.sequence > self._known.get(stream, 0):
            self._known[stream] = end = await self._ask(stream)
            if found.sequence > end:
                raise UnavailableError(
                    f"message {found.sequence} of stream {stream} is shown but not stored: the stream ends at {end};"
                    " the disk of NATS fails, or did; see its whole /healthz, and restart it once its disk is well"
                )
        return found
