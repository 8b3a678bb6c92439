"""Work in order per key, the keys side by side."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.keyed import KeyedWork
from tests.eventually import eventually

Steps = list[tuple[str, int]]


async def work_through(steps: Steps, side_by_side: int) -> tuple[dict[str, list[int]], int, int]:
    """Add items some turns of the loop apart; return what each key got and how many ran at once, in all and a key."""
    done: dict[str, list[int]] = {}
    running: list[str] = []
    most, most_of_one = 0, 0

    async def handle(key: str, items: list[int]) -> None:
        nonlocal most, most_of_one
        running.append(key)
        most, most_of_one = max(most, len(running)), max(most_of_one, running.count(key))
        for _ in range(len(items)):
            await asyncio.sleep(0)
        done.setdefault(key, []).extend(items)
        running.remove(key)

    work: KeyedWork[int] = KeyedWork(handle, side_by_side=side_by_side)
    task = asyncio.create_task(work.run())
    for number, (key, turns) in enumerate(steps):
        for _ in range(turns):
            await asyncio.sleep(0)
        work.add(key, number)
    async with asyncio.timeout(10.0):
        await work.finished()
    assert work.pending == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return done, most, most_of_one


@settings(deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 4)), max_size=40),
    side_by_side=st.integers(1, 5),
)
def test_each_key_gets_its_items_in_order_and_never_twice_at_once(steps: Steps, side_by_side: int) -> None:
    """Whatever arrives when: nothing is lost or doubled, order holds per key, and limits hold."""
    done, most, most_of_one = asyncio.run(work_through(steps, side_by_side))

    expected: dict[str, list[int]] = {}
    for number, (key, _) in enumerate(steps):
        expected.setdefault(key, []).append(number)
    assert expected == done
    assert most <= side_by_side
    assert most_of_one <= 1


async def test_all_that_waits_for_a_key_is_handed_over_at_once() -> None:
    """Items that arrive while their key is handled come as one list afterwards; other keys do not wait for it."""
    gate = asyncio.Event()
    lists: list[tuple[str, list[int]]] = []

    async def handle(key: str, items: list[int]) -> None:
        lists.append((key, items))
        if key == "slow":
            await gate.wait()

    work: KeyedWork[int] = KeyedWork(handle, side_by_side=2)
    task = asyncio.create_task(work.run())
    work.add("slow", 1)
    await eventually(lambda: lists)
    for number in (2, 3):
        work.add("slow", number)
    work.add("quick", 4)
    await eventually(lambda: len(lists) == 2)
    assert work.pending == 3
    gate.set()
    await work.finished()
    task.cancel()

    assert [("slow", [1]), ("quick", [4]), ("slow", [2, 3])] == lists


async def test_an_error_of_the_handler_ends_the_work() -> None:
    """What a handler does not handle comes out of `run`, for the process to end on."""

    async def handle(_key: str, _items: list[int]) -> None:
        raise ZeroDivisionError

    work: KeyedWork[int] = KeyedWork(handle, side_by_side=3)
    work.add("a", 1)

    with pytest.raises(ExceptionGroup) as caught:
        await work.run()
    assert caught.group_contains(ZeroDivisionError)


async def test_a_handler_may_take_in_what_comes_while_it_works() -> None:
    """It gets it in order, once, and what comes after it has ended is handled as ever."""
    got: list[list[int]] = []

    async def handle(key: str, items: list[int]) -> None:
        got.append([*items, *await work.more(key, 5.0)])

    work: KeyedWork[int] = KeyedWork(handle, side_by_side=2)
    task = asyncio.create_task(work.run())
    work.add("a", 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    work.add("a", 2)
    await eventually(lambda: got)
    work.add("a", 3)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    work.add("a", 4)
    await work.finished()
    task.cancel()

    assert got == [[1, 2], [3, 4]]
    assert work.pending == 0


async def test_a_handler_waits_no_longer_than_it_said() -> None:
    """Nothing comes: it gets nothing and goes on."""
    got: list[list[int]] = []

    async def handle(key: str, items: list[int]) -> None:
        got.append([*items, *await work.more(key, 0.001)])

    work: KeyedWork[int] = KeyedWork(handle, side_by_side=1)
    task = asyncio.create_task(work.run())
    work.add("a", 1)
    await work.finished()
    task.cancel()

    assert got == [[1]]
