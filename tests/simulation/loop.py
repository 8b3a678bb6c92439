"""An asyncio event loop with a clock that jumps and turns that are drawn: the same seed gives the same order of all.

No sockets, no threads, no real waiting. Every task belongs to a process or to the world. Within a process callbacks
run first in, first out, as asyncio promises; which process has the next turn is drawn. A process that is held gets no
turn until it is let go: for a while that is SIGSTOP, for ever it is kill -9, because not even its `finally` runs.

Stands on what `asyncio.BaseEventLoop` has inside since Python 3.11; tests/simulation/test_loop.py would show a change.
"""
# ruff: noqa: SLF001 - a loop is made of the inside of the loop that it derives from

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
from asyncio import events
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")

MOST_AT_ONCE = 50_000
"""Callbacks at one moment of the virtual clock; more are a loop that waits for nothing."""


class Owner:
    """Whoever tasks belong to: their callbacks, in order."""

    def __init__(self, name: str) -> None:
        """`name`: for traces."""
        self.name = name
        self.held = False
        self.queue: deque[events.Handle] = deque()
        self.tasks: dict[SimTask, None] = {}

    def context(self) -> contextvars.Context:
        """Return a context whose tasks and callbacks belong to this owner."""
        made = contextvars.copy_context()
        made.run(OWNER.set, self)
        return made


OWNER: contextvars.ContextVar[Owner] = contextvars.ContextVar("owner")


class DeadlockError(RuntimeError):
    """Nothing will ever happen again; the message names what waits."""


class HotLoopError(RuntimeError):
    """Something goes on and on while no time passes; the message names who."""


class SimTask(asyncio.Task[Any]):
    """A task that stands in sets by its number, not by its address, so that their order is the same each time."""

    number: int

    def __hash__(self) -> int:
        return self.number


class SimLoop(asyncio.BaseEventLoop):
    """Use `run`."""

    def __init__(self, seed: str) -> None:
        """`seed`: of the order in which processes have their turns."""
        super().__init__()
        self.steps = 0
        self.world = Owner("world")
        self._turns = random.Random(seed)  # noqa: S311 - no secret
        self._now = 0.0
        self._tasks_made = 0
        self._at_once = 0
        self._owners: dict[Owner, None] = {self.world: None}
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def adopt(self, owner: Owner) -> None:
        """Let the callbacks of an owner have turns from now on."""
        self._owners[owner] = None

    def run_in_executor(self, *_: Any) -> Any:
        """Refuse: there are no threads here."""
        raise RuntimeError("no threads in a simulation")

    def _call_soon(self, callback: Any, args: Any, context: contextvars.Context | None) -> events.Handle:
        handle = events.Handle(callback, args, self, context)
        owner = handle._context.get(OWNER, self.world)  # type: ignore[attr-defined]
        owner.queue.append(handle)
        return handle

    def _make_task(self, loop: Any, coroutine: Any, **more: Any) -> SimTask:
        context: contextvars.Context | None = more.get("context")
        owner = (OWNER.get(self.world)) if context is None else context.get(OWNER, self.world)
        self._tasks_made += 1
        number = self._tasks_made
        task = _numbered(number)(coroutine, loop=loop, **more)
        owner.tasks[task] = None
        task.add_done_callback(lambda done: owner.tasks.pop(done, None), context=self.world_context)
        return task

    @property
    def world_context(self) -> contextvars.Context:
        """A context that belongs to no process."""
        if not hasattr(self, "_world_context"):
            self._world_context = self.world.context()
        return self._world_context

    def _run_once(self) -> None:
        able = [owner for owner in self._owners if owner.queue and not owner.held]
        while not able and not self._stopping:  # type: ignore[attr-defined]
            self._jump()
            able = [owner for owner in self._owners if owner.queue and not owner.held]
        if not able:
            return
        owner = able[0] if len(able) == 1 else able[int(self._turns.random() * len(able))]
        self.steps += 1
        self._at_once += 1
        if self._at_once > MOST_AT_ONCE:
            self._at_once = 0
            raise HotLoopError(f"{owner.name} goes on and on at {self._now:.3f} s: {owner.queue[0]!r}")
        handle = owner.queue.popleft()
        if not handle._cancelled:  # type: ignore[attr-defined]
            handle._run()  # type: ignore[attr-defined]

    def _jump(self) -> None:
        """Move the clock to the next timer and queue all that are due then."""
        timers: list[events.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0]._cancelled:  # type: ignore[attr-defined]
            heapq.heappop(timers)._scheduled = False  # type: ignore[attr-defined]
        if not timers:
            raise DeadlockError(f"nothing happens any more after {self._now:.3f} s; " + "; ".join(self.waiting()))
        if timers[0].when() > self._now:
            self._now, self._at_once = timers[0].when(), 0
        while timers and timers[0].when() <= self._now:
            timer = heapq.heappop(timers)
            timer._scheduled = False  # type: ignore[attr-defined]
            if not timer._cancelled:  # type: ignore[attr-defined]
                timer._context.get(OWNER, self.world).queue.append(timer)  # type: ignore[attr-defined]

    def waiting(self) -> Iterator[str]:
        """Say of each task that is not done where it waits."""
        for owner in self._owners:
            for task in owner.tasks:
                yield f"{owner.name}{' (held)' if owner.held else ''}: {where(task)}"

    def _process_events(self, event_list: Any) -> None:
        """Nothing comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody sleeps."""


def _numbered(number: int) -> Callable[..., SimTask]:
    """Return what makes a task that has its number before anything can ask for its hash."""

    def make(*args: Any, **more: Any) -> SimTask:
        task = SimTask.__new__(SimTask)
        task.number = number
        task.__init__(*args, **more)  # type: ignore[misc]
        return task

    return make


def where(task: asyncio.Task[Any]) -> str:
    """Name the innermost place at which a task waits."""
    frame: Any = task.get_coro()
    name = getattr(frame, "__qualname__", str(frame))
    place = ""
    while frame is not None:
        inner = getattr(frame, "cr_frame", None) or getattr(frame, "ag_frame", None) or getattr(frame, "gi_frame", None)
        if inner is not None:
            place = f"{inner.f_code.co_qualname}:{inner.f_lineno}"
        frame = (
            getattr(frame, "cr_await", None) or getattr(frame, "ag_await", None) or getattr(frame, "gi_yieldfrom", None)
        )
    return f"{name} at {place}" if place else name


def run(seed: str, main: Callable[[SimLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main` to its end in virtual time."""
    loop = SimLoop(seed)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))
