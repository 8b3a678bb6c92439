"""The simulated event loop: seeded, virtual, fair within a process, and it says what waits for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.simulation import loop as loops
from tests.simulation.loop import DeadlockError, HotLoopError, Owner, SimLoop, run

if TYPE_CHECKING:
    from collections.abc import Coroutine


def _start(loop: SimLoop, name: str, work: Coroutine[None, None, None]) -> Owner:
    owner = Owner(name)
    loop.adopt(owner)
    loop.create_task(work, context=owner.context())
    return owner


async def _three(loop: SimLoop) -> list[str]:
    """Three processes that take turns."""
    told: list[str] = []

    async def work(name: str) -> None:
        for number in range(4):
            told.append(f"{name}{number}")
            await asyncio.sleep(0)

    for name in "abc":
        _start(loop, name, work(name))
    await asyncio.sleep(1)
    return told


def test_the_same_seed_gives_the_same_turns_and_another_seed_others() -> None:
    """Which process is next is drawn."""
    assert run("1", _three) == run("1", _three) != run("2", _three)


def test_a_process_keeps_its_own_order() -> None:
    """As asyncio promises."""
    told = run("1", _three)

    assert [f"b{number}" for number in range(4)] == [each for each in told if each.startswith("b")]


def test_waiting_takes_no_time() -> None:
    """A day is a jump."""

    async def main(loop: SimLoop) -> float:
        await asyncio.sleep(86_400)
        return loop.time()

    assert 86_400 == run("1", main)


def test_a_held_process_goes_on_where_it_was_when_it_is_let_go() -> None:
    """SIGSTOP and SIGCONT: its timers are late, nothing of it is lost."""

    async def main(loop: SimLoop) -> list[float]:
        told: list[float] = []

        async def work() -> None:
            for _ in range(2):
                await asyncio.sleep(1)
                told.append(loop.time())

        owner = _start(loop, "a", work())
        await asyncio.sleep(0.5)
        owner.held = True
        await asyncio.sleep(20)
        owner.held = False
        await asyncio.sleep(5)
        return told

    assert [20.5, 21.5] == run("1", main)


def test_what_waits_for_ever_is_named() -> None:
    """Instead of hanging."""

    async def waits_for_nothing(_: SimLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match="waits_for_nothing"):
        run("1", waits_for_nothing)


def test_a_loop_that_waits_for_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of turning for ever."""
    monkeypatch.setattr(loops, "MOST_AT_ONCE", 1000)

    async def main(_: SimLoop) -> None:
        for _ in range(2000):
            await asyncio.sleep(0)

    with pytest.raises(HotLoopError, match="world goes on and on"):
        run("1", main)
