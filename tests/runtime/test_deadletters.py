"""Messages that can never be handled are set aside whole."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from runtime import deadletters, metrics
from schemas.messages import DeadLettered, decode
from schemas.subjects import LOG, SCHEDULER
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from runtime.ports import Delivery

SUBJECT = "kubernaut.outcome.u1"


async def poison(log: FakeLog, data: bytes, headers: dict[str, str]) -> Delivery:
    """Store a message and take it in hand."""
    log.broker.put(LOG.name, SUBJECT, headers, data)
    async with asyncio.timeout(5.0):
        return await anext(log.consume(SCHEDULER, in_hand=10))


async def bury(log: FakeLog, delivery: Delivery) -> None:
    """Bury it for the scheduler."""
    await deadletters.bury(log, delivery, consumer="scheduler", error="no JSON")


def letters(log: FakeLog) -> list[DeadLettered]:
    """Return the bodies of all dead letters."""
    found = [decode(m.headers["ce-type"], m.data) for m in log.stored("kubernaut.deadletter.scheduler")]
    return [letter for letter in found if isinstance(letter, DeadLettered)]


async def test_the_message_is_copied_whole_and_never_comes_again() -> None:
    """The dead letter holds body, headers and place byte by byte; the delivery ends for good."""
    log = FakeLog()
    before = metrics.DEAD_LETTERS.labels("scheduler")._value.get()  # noqa: SLF001
    delivery = await poison(log, b"\x00\xff no json", {"Nats-Msg-Id": "x/1", "odd": "ü"})

    await bury(log, delivery)

    expected = DeadLettered(
        consumer="scheduler",
        stream=LOG.name,
        sequence=1,
        subject=SUBJECT,
        headers={"Nats-Msg-Id": "x/1", "odd": "ü"},
        data=b"\x00\xff no json",
        error="no JSON",
    )
    assert [expected] == letters(log)
    assert [1] == log.terminated
    assert before + 1 == metrics.DEAD_LETTERS.labels("scheduler")._value.get()  # noqa: SLF001


async def test_a_crash_between_copy_and_end_makes_no_second_letter() -> None:
    """Burying the same message again, by another process, adds nothing."""
    clock = ManualClock()
    log = FakeLog(clock=clock)
    delivery = await poison(log, b"x", {})
    log.lose_answers = 1
    await bury(log, delivery)
    clock.advance(10.0)
    async with aclosing(log.consume(SCHEDULER, in_hand=10)) as deliveries, asyncio.timeout(10.0):
        await bury(log, await anext(deliveries))

    assert 1 == len(letters(log))
    assert [1] == log.terminated


async def test_different_messages_without_an_id_are_different_letters() -> None:
    """Two messages that only differ in their bodies, or not even in these, are both kept."""
    log = FakeLog()
    async with aclosing(log.consume(SCHEDULER, in_hand=10)) as deliveries, asyncio.timeout(10.0):
        for data in (b"x", b"y", b"y"):
            log.broker.put(LOG.name, SUBJECT, {}, data)
            await bury(log, await anext(deliveries))

    assert [(1, b"x"), (3, b"y"), (5, b"y")] == [(letter.sequence, letter.data) for letter in letters(log)]


async def test_a_message_too_large_to_wrap_is_kept_without_its_body() -> None:
    """The letter then says so and where the body is."""
    log = FakeLog()
    delivery = await poison(log, b"x" * 1_000_000, {})

    await bury(log, delivery)

    [letter] = letters(log)
    assert (1, b"") == (letter.sequence, letter.data)
    assert "1000000 bytes" in letter.error


async def test_without_the_log_the_message_is_given_back() -> None:
    """When the letter cannot be stored the message is neither ended nor lost, and nothing is raised."""
    log = FakeLog()
    delivery = await poison(log, b"x", {})
    log.unavailable = True

    await bury(log, delivery)

    assert ([], []) == (log.terminated, log.acked)
