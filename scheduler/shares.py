"""One message that several runs must handle: it is acknowledged when the last of them has."""

from __future__ import annotations

from runtime.ports import Delivery, Stored


class _Whole:
    def __init__(self, delivery: Delivery, parts: int) -> None:
        self.delivery = delivery
        self.open = parts
        self.given_back = False


class Share:
    """The part of one run; a `Delivery` of its own."""

    def __init__(self, whole: _Whole) -> None:
        self._whole = whole
        self._ended = False

    @property
    def message(self) -> Stored:
        """The message."""
        return self._whole.delivery.message

    @property
    def again(self) -> bool:
        """As of the whole."""
        return self._whole.delivery.again

    async def ack(self) -> None:
        """One run has handled it; the last one acknowledges, unless any run gave it back."""
        if self._end():
            await self._whole.delivery.ack()

    async def nak(self, delay: float = 0.0) -> None:
        """One run could not handle it: all of them get it again, which changes nothing for those that have."""
        if not self._whole.given_back:
            self._whole.given_back = True
            await self._whole.delivery.nak(delay)
        self._end()

    async def term(self) -> None:
        """As `ack`: one run alone cannot say that nobody needs it."""
        await self.ack()

    def _end(self) -> bool:
        if self._ended:
            return False
        self._ended = True
        self._whole.open -= 1
        return self._whole.open == 0 and not self._whole.given_back


def shares(delivery: Delivery, parts: int) -> tuple[Share, ...]:
    """Return as many parts of a message."""
    whole = _Whole(delivery, parts)
    return tuple(Share(whole) for _ in range(parts))
