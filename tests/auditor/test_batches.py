from __future__ import annotations

import asyncio

from auditor.batches import Batches
from runtime.ports import Stored
from tests.auditor.builders import poison

AGES = 3600.0
"""Seconds: a test that waits for it fails by its time limit."""


class Handed:
    """A delivery of which only the message matters."""

    again = False

    def __init__(self, sequence: int, size: int = 10) -> None:
        self.message: Stored = poison(b"x" * size, sequence)

    async def ack(self) -> None:
        """End it."""

    async def nak(self, delay: float = 0.0) -> None:
        """End it."""

    async def term(self) -> None:
        """End it."""


async def sequences(batches: Batches, idle: float = AGES) -> list[int] | None:
    """Take a batch and return the sequences in it."""
    batch = await batches.take(idle)
    return None if batch is None else [delivery.message.sequence for delivery in batch]


async def test_a_full_batch_does_not_wait() -> None:
    """Once the number is reached the batch is taken at once."""
    batches = Batches(messages=3, linger=AGES)
    for number in (1, 2, 3):
        await batches.put(Handed(number))

    assert [1, 2, 3] == await sequences(batches)


async def test_what_fills_a_batch_while_it_lingers_ends_the_wait() -> None:
    """Messages that come while the first one waits make the batch go as soon as it is full."""
    batches = Batches(messages=3, linger=AGES)
    await batches.put(Handed(1))

    taking = asyncio.create_task(sequences(batches))
    for number in (2, 3):
        await batches.put(Handed(number))

    assert [1, 2, 3] == await taking


async def test_a_lone_message_waits_for_company_no_longer_than_the_linger() -> None:
    """A message that stays alone is a batch after the linger."""
    batches = Batches(linger=0.01)
    await batches.put(Handed(1))

    assert [1] == await sequences(batches)


async def test_a_batch_is_bounded_in_bytes() -> None:
    """Large messages make smaller batches; the one that does not fit opens the next."""
    batches = Batches(size=100, linger=AGES)
    for number in (1, 2):
        await batches.put(Handed(number, size=60))
    batches.close()

    assert [[1], [2], None] == [await sequences(batches) for _ in range(3)]


async def test_a_message_larger_than_a_batch_is_a_batch() -> None:
    """No message is too large to be taken."""
    batches = Batches(size=100, linger=AGES)
    await batches.put(Handed(1, size=1000))

    assert [1] == await sequences(batches)


async def test_whoever_puts_waits_while_a_batch_stands_ready() -> None:
    """What is read ahead is bounded: one full batch, and no more until it is taken."""
    batches = Batches(messages=2, linger=AGES)
    await batches.put(Handed(1))
    await batches.put(Handed(2))
    third = asyncio.create_task(batches.put(Handed(3)))
    await asyncio.sleep(0)

    assert (2, False) == (len(batches), third.done())
    assert [1, 2] == await sequences(batches)
    await third
    assert len(batches) == 1


async def test_nothing_for_a_while_is_an_empty_batch() -> None:
    """Whoever takes can do something else now and then."""
    assert [] == await sequences(Batches(), idle=0.01)


async def test_closing_ends_the_linger_and_then_the_batches() -> None:
    """After the close what is there is taken without waiting, and then there is no more."""
    batches = Batches(linger=AGES)
    await batches.put(Handed(1))
    taking = asyncio.create_task(sequences(batches))
    await asyncio.sleep(0)
    batches.close()

    assert [1] == await taking
    assert await sequences(batches) is None
