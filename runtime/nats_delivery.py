"""One message in hand. Acknowledgements are sent and forgotten: a lost one brings the message again, harmlessly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.nats_connection import Connection
    from runtime.nats_pull import Puller
    from runtime.ports import Stored

KEEP_SECONDS: Final = 45.0
"""How long in all a message is kept from being delivered anew. Longer work is stuck; somebody else may try."""
_ACK, _NAK, _PROGRESS, _TERM = b"+ACK", b"-NAK", b"+WPI", b"+TERM"


class NatsDelivery:
    """A `Delivery` of JetStream."""

    __slots__ = ("_alive_at", "_came_at", "_connection", "_ended", "_puller", "_reply", "again", "message")

    def __init__(
        self, message: Stored, reply: str, *, again: bool, connection: Connection, puller: Puller, now: float
    ) -> None:
        """`reply`: where acknowledgements go; `now`: on the loop's clock."""
        self.message = message
        self.again = again
        self._reply = reply
        self._connection = connection
        self._puller = puller
        self._came_at = now
        self._alive_at = now
        self._ended = False

    async def ack(self) -> None:
        """See `Delivery.ack`."""
        self._end(_ACK)

    async def nak(self, delay: float = 0.0) -> None:
        """See `Delivery.nak`."""
        self._end(b'%s {"delay": %d}' % (_NAK, int(delay * 1e9)) if delay > 0 else _NAK)

    async def term(self) -> None:
        """See `Delivery.term`."""
        self._end(_TERM)

    def give_back(self) -> None:
        """Negative acknowledgement at once."""
        self._end(_NAK)

    def forget(self) -> None:
        """Give up the place without a word: the server gives the message out anew by itself."""
        if not self._ended:
            self._ended = True
            self._puller.ended(self)

    def expired(self, now: float) -> bool:
        """Whether it was in hand for so long that it is no longer kept from being delivered anew."""
        return now - self._came_at > KEEP_SECONDS

    def keep_alive(self, now: float, every: float) -> None:
        """Tell the server that it is being worked on, if `every` seconds went by since it was told last."""
        if now - self._alive_at >= every and not self.expired(now):
            self._alive_at = now
            self._connection.send(self._reply, _PROGRESS)

    def _end(self, how: bytes) -> None:
        if self._ended:
            return
        self._ended = True
        self._connection.send(self._reply, how)
        self._puller.ended(self)
