"""Keep processes running: start, await, start again with a growing pause. It knows nothing of what they are for."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from enum import StrEnum

from kubernaut.local.backoff import BackOff
from kubernaut.local.errors import LocalStackError, NotReadyError
from kubernaut.local.process import Process, ProcessSpec, describe_exit

START_SECONDS = 240.0
"""An API server on two cores that others kept busy took 26. What ends before it is ready is told at once."""
_POLL_SECONDS = 0.05
_EXITS_BEFORE_GIVING_UP = 3  # at first start only: later a process may fail as often as it likes

logger = logging.getLogger(__name__)


class State(StrEnum):
    """Where a process is in its life."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"  # it ended and will be started again
    DOWN = "down"  # it is to stay down
    FROZEN = "frozen"


class Member:
    """One supervised process and what became of it so far."""

    def __init__(self, spec: ProcessSpec) -> None:
        """Begin with a process that is down."""
        self.spec = spec
        self.process = Process(spec)
        self.state = State.DOWN
        self.restarts = 0
        self.exits = 0
        self.end = ""
        self.task: asyncio.Task[None] | None = None


class Supervisor:
    """The processes by name, in the order in which they were added."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        """Start with none; `changed` is called after every change of a state."""
        self._members: dict[str, Member] = {}
        self._changed = changed

    @property
    def members(self) -> tuple[Member, ...]:
        """All processes, running or not."""
        return tuple(self._members.values())

    def __getitem__(self, name: str) -> Member:
        """Return one by name; the error lists the names that there are."""
        try:
            return self._members[name]
        except KeyError:
            known = ", ".join(self._members) or "none"
            message = f"there is no process named {name!r} in this stack; there are: {known}"
            raise LocalStackError(message) from None

    async def add(self, spec: ProcessSpec) -> None:
        """Start a process and keep it running from now on; await its readiness with `wait_ready`."""
        if spec.name in self._members:
            message = f"two processes are named {spec.name!r}; names are unique in a stack"
            raise LocalStackError(message)
        self._members[spec.name] = Member(spec)
        await self.start(spec.name)

    async def start(self, name: str) -> None:
        """Start a process that is down; nothing happens to one that is not."""
        member = self[name]
        if member.task is not None and not member.task.done():
            return
        member.exits = 0
        self._enter(member, State.STARTING)
        member.task = asyncio.create_task(self._keep(member), name=f"keep {name}")

    async def wait_ready(self, name: str, seconds: float = START_SECONDS) -> None:
        """Return when it is ready; NotReadyError with its last log lines when it keeps ending or the time is up.

        It is asked now: one that was ready once may not be any more.
        """
        member = self[name]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while member.state is not State.READY or await member.process.why_not_ready() is not None:
                    if member.state is State.DOWN:
                        raise member.process.not_ready("is down and nobody starts it")
                    if member.exits >= _EXITS_BEFORE_GIVING_UP:
                        told = f"failed {member.exits} times before it was ready; the last time it {member.end}"
                        raise member.process.not_ready(told)
                    await asyncio.sleep(_POLL_SECONDS)
                return
        reason = await member.process.why_not_ready()
        raise member.process.not_ready(f"was not ready after {seconds:g} s: {reason or 'it is only now'}")

    async def stop(self, name: str) -> None:
        """Stop it as a person would and keep it down until `start`."""
        member = self[name]
        await self._release(member)
        await member.process.stop()
        self._enter(member, State.DOWN)

    async def kill(self, name: str, *, stay_down: bool = False) -> None:
        """Kill it with SIGKILL; it is started again as after any death, or stays down until `start`."""
        member = self[name]
        if stay_down:
            await self._release(member)
        await member.process.kill()
        if stay_down:
            self._enter(member, State.DOWN)

    async def restart(self, name: str, seconds: float = START_SECONDS) -> None:
        """Stop it, start it and await its readiness."""
        await self.stop(name)
        await self.start(name)
        await self.wait_ready(name, seconds)

    def pause(self, name: str) -> None:
        """Freeze it with SIGSTOP, its children too."""
        member = self[name]
        member.process.pause()
        self._enter(member, State.FROZEN)

    def resume(self, name: str) -> None:
        """Let a frozen one go on."""
        member = self[name]
        member.process.resume()
        if member.state is State.FROZEN:
            self._enter(member, State.READY)

    async def stop_all(self, names: Iterable[str]) -> None:
        """Stop several side by side."""
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self.stop(name))

    async def _release(self, member: Member) -> None:
        """End the keeping of it, so that its end is final."""
        if member.task is not None:
            member.task.cancel()
            await asyncio.wait({member.task})  # unlike awaiting the task, it lets our own cancellation through
            member.task = None

    async def _keep(self, member: Member) -> None:
        back_off = BackOff()
        while True:
            self._enter(member, State.STARTING)
            member.end, ready_for = await self._run_once(member)
            delay, back_off = back_off.after_exit(ready_for)
            member.exits += 1
            self._enter(member, State.WAITING)
            logger.warning(
                "%s %s; it is started again in %g s; its log: %s", member.spec.name, member.end, delay, member.spec.log
            )
            await asyncio.sleep(delay)
            member.restarts += 1

    async def _run_once(self, member: Member) -> tuple[str, float]:
        """Run it until it ends; return how that was and for how many seconds it had been ready."""
        try:
            await member.process.start()
        except OSError as error:  # no memory, no log folder: that may pass
            return f"could not be started: {error}", 0.0
        self._changed()
        ready_at = await self._until_ready(member)
        code = await member.process.wait()
        return f"ended with {describe_exit(code)}", 0.0 if ready_at is None else time.monotonic() - ready_at

    async def _until_ready(self, member: Member) -> float | None:
        """Return when it became ready by the monotonic clock, None when it ended before."""
        try:
            await member.process.wait_ready(seconds=None)
        except NotReadyError:
            return None
        member.exits = 0
        self._enter(member, State.READY)
        return time.monotonic()

    def _enter(self, member: Member, state: State) -> None:
        member.state = state
        self._changed()
