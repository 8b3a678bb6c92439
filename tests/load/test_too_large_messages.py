"""Messages that the server does not take for their size: a clear refusal, and the connection stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from runtime import metrics
from runtime.errors import TooLargeError
from schemas.cloudevents import Event
from schemas.subjects import LOG
from tests.contracts.log_worlds import NatsWorld
from tests.nats_server import administrator

if TYPE_CHECKING:
    from tests.nats_server import NatsServer

pytestmark = pytest.mark.real


def an_event(number: int, size: int) -> Event:
    """An event with a body of `size` bytes; its headers come on top."""
    return Event(subject="kubernaut.outcome.u1", id=f"e/{number}", type="t", source="/test", data=b"x" * size)


async def test_headers_that_push_a_message_over_max_payload_are_refused_before_it_is_sent(
    fresh_nats: NatsServer,
) -> None:
    """(F40) The body alone would fit. The server would close the connection, so that it must not see the message."""
    async with NatsWorld(fresh_nats) as world:
        log = await world.open()
        reconnects = metrics.BROKER_RECONNECTS._value.get()  # noqa: SLF001

        with pytest.raises(TooLargeError, match="headers included"):
            await log.publish(an_event(1, world.max_payload - 50))
        published = await log.publish(an_event(2, 100))

        assert (1, reconnects) == (published.sequence, metrics.BROKER_RECONNECTS._value.get())  # noqa: SLF001


async def test_what_is_larger_than_the_stream_takes_is_refused_by_name(fresh_nats: NatsServer) -> None:
    """(F40) An operator may limit the messages of a stream; it is no reason to try again."""
    async with NatsWorld(fresh_nats) as world, administrator(fresh_nats.url) as connection:
        log = await world.open()
        info = msgspec.json.decode(await connection.api(f"STREAM.INFO.{LOG.name}"))
        await connection.api(f"STREAM.UPDATE.{LOG.name}", info["config"] | {"max_msg_size": 10_000})

        with pytest.raises(TooLargeError, match=LOG.name):
            await log.publish(an_event(1, 20_000))

        assert 1 == (await log.publish(an_event(2, 100))).sequence
