"""What a server shows and has not stored (F33): it counts for nothing, and nothing else is asked about."""

from __future__ import annotations

import pytest

from runtime.errors import UnavailableError
from runtime.nats_ends import Ends
from runtime.ports import Stored

STREAM = "KUBERNAUT"


def a_message(sequence: int) -> Stored:
    """A message as the server shows it."""
    return Stored(stream=STREAM, subject="s", sequence=sequence, time_ms=0, headers={}, data=b"")


class Server:
    """A stream that ends somewhere."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.asked = 0

    async def ask(self, _stream: str) -> int:
        """Say where it ends."""
        self.asked += 1
        return self.end


async def test_a_message_behind_the_end_of_its_stream_is_not_stored() -> None:
    """However often it is shown, until the stream has grown."""
    server = Server(end=9)
    ends = Ends(server.ask)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="message 10 of stream KUBERNAUT is shown but not stored"):
            await ends.stored(STREAM, a_message(10))

    server.end = 10

    assert a_message(10) == await ends.stored(STREAM, a_message(10))


async def test_the_server_is_asked_about_nothing_older_than_what_is_known() -> None:
    """Known from it, or from an acknowledgement."""
    server = Server(end=20)
    ends = Ends(server.ask)
    ends.saw(STREAM, 10)

    assert a_message(10) == await ends.stored(STREAM, a_message(10))
    assert 0 == server.asked
    assert a_message(11) == await ends.stored(STREAM, a_message(11))
    assert a_message(20) == await ends.stored(STREAM, a_message(20))
    assert 1 == server.asked
