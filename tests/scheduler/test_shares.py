"""One message that several runs must handle: it is acknowledged when the last of them has."""

from __future__ import annotations

import pytest

from runtime.ports import Stored
from scheduler.shares import shares

MESSAGE = Stored(stream="KUBERNAUT", sequence=7, time_ms=0, subject="kubernaut.decision.queue", headers={}, data=b"{}")


class Slip:
    """A `Delivery` that notes what was said of it."""

    def __init__(self) -> None:
        self.message = MESSAGE
        self.again = True
        self.said: list[str] = []

    async def ack(self) -> None:
        """It was handled."""
        self.said.append("ack")

    async def nak(self, delay: float = 0.0) -> None:
        """It comes again."""
        self.said.append(f"nak {delay:g}")

    async def term(self) -> None:
        """It never comes again."""
        self.said.append("term")


@pytest.mark.parametrize("ends", ["ack", "term"])
async def test_the_message_is_acknowledged_with_the_last_of_its_parts(ends: str) -> None:
    """One run alone cannot say that nobody needs it."""
    slip = Slip()
    parts = shares(slip, 3)
    for part in parts[:2]:
        await getattr(part, ends)()
    before = list(slip.said)

    await getattr(parts[2], ends)()

    assert ([], ["ack"]) == (before, slip.said)


async def test_a_part_ends_once() -> None:
    """Acknowledged twice, it does not stand for another one."""
    slip = Slip()
    one, other = shares(slip, 2)
    await one.ack()

    await one.ack()
    before = list(slip.said)
    await other.ack()

    assert ([], ["ack"]) == (before, slip.said)


@pytest.mark.parametrize("first", [True, False])
async def test_a_message_that_one_run_gives_back_comes_again_for_all(first: bool) -> None:  # noqa: FBT001
    """Once, with the delay that it asked for; those that handled it find nothing new."""
    slip = Slip()
    one, other = shares(slip, 2)

    if first:
        await one.nak(1.5)
        await other.ack()
    else:
        await other.ack()
        await one.nak(1.5)

    assert ["nak 1.5"] == slip.said


async def test_a_message_that_two_runs_give_back_is_given_back_once() -> None:
    """The first one's delay counts."""
    slip = Slip()
    one, other = shares(slip, 2)

    await one.nak(1.5)
    await other.nak(9)

    assert ["nak 1.5"] == slip.said


async def test_without_a_delay_it_comes_again_at_once() -> None:
    """As of the whole."""
    slip = Slip()

    await shares(slip, 1)[0].nak()

    assert ["nak 0"] == slip.said


def test_a_part_is_the_message() -> None:
    """What reads a delivery reads a part."""
    slip = Slip()

    (part,) = shares(slip, 1)

    assert (MESSAGE, True) == (part.message, part.again)
